import { asRow, type ModSeq, modSeqAfter, type Row, type Uid, uidAfter } from "../numbers.ts";
import { type MailboxId, makerOf, type WriterId } from "../ops/names.ts";
import type { Mailbox } from "../state/mailbox.ts";
import type { MailState } from "../state/state.ts";

/**
 * Numbering, docs/rules.md §1. UIDs, modseqs and UIDVALIDITY are in no op; they are computed from the set of ops, block
 * by block. A block is a run of ops in the total order that no cut divides (a cut: every later op knows every earlier
 * one). In linear mode every block is one op, `w` is 1 and nothing is burnt: the same code.
 *
 * Within a block ops are performed with provisional uids. `end` looks at each mailbox by itself: of the ops that added
 * to it, those that no cut among them divides are a run, and what a run of w ops and n messages added moves up by
 * (w-1)·n. Whoever saw only part of a run saw lower numbers and a lower UIDNEXT, so no uid ever names two messages.
 */
export class Block {
  /** The modseq of all rows and mailboxes that this block touches. */
  readonly modSeq: ModSeq;
  /** Moves and replaces of this block, old row to new rows: a flag op that did not know them follows. */
  readonly movedTo: Map<Row, Row[]> = new Map();
  readonly #state: MailState;
  readonly #firstRow: Row;
  readonly #adds = new Map<Mailbox, Adds[]>();
  readonly #takers = new Map<Row, Author[]>();
  readonly #deletes: { readonly mailbox: Mailbox; readonly author: Author }[] = [];
  readonly #numbered: Numbered[] = [];
  #pathsWritten = false;
  #hasMailboxOps = false;
  readonly #ops: number;

  constructor(state: MailState, ops: number) {
    this.#state = state;
    this.#firstRow = asRow(state.memberships.rows);
    this.#ops = ops;
    state.modSeq = modSeqAfter(state.modSeq, ops);
    this.modSeq = state.modSeq;
  }

  /** The next provisional uid of `mailbox`, for `author`, an attempted add. */
  nextUid(mailbox: Mailbox, author: Author): Uid {
    let adds = this.#adds.get(mailbox);
    if (!adds) {
      adds = [];
      this.#adds.set(mailbox, adds);
    }
    const last = adds.at(-1);
    if (last?.author === author) last.messages++;
    else adds.push({ author, first: mailbox.uidNext, messages: 1 });
    this.touch(mailbox);
    const uid = mailbox.uidNext;
    mailbox.uidNext = uidAfter(uid);
    return uid;
  }

  /** `author` takes these rows out of their mailbox; some may be gone from it already. */
  take(rows: readonly Row[], author: Author): void {
    for (const row of rows) {
      const takers = this.#takers.get(row);
      if (takers) takers.push(author);
      else this.#takers.set(row, [author]);
    }
  }

  /** Rows of `mailbox` that are gone by now, but were there for `author`: he knew none of those who took them. */
  takenUnknownTo(author: Author, mailbox: Mailbox): Row[] {
    return [...this.#takers]
      .filter(
        ([row, takers]) => this.#state.mailboxOf(row) === mailbox && !takers.some((taker) => knowsOp(author, taker)),
      )
      .map(([row]) => row);
  }

  touch(mailbox: Mailbox): void {
    mailbox.highestModSeq = this.modSeq;
  }

  /** Notes a change of the mailbox itself: its path, role, order, UIDVALIDITY or existence. */
  touchProps(mailbox: Mailbox): void {
    this.touch(mailbox);
    mailbox.propsModSeq = this.modSeq;
    this.#state.changed.mailbox = this.modSeq;
    this.#hasMailboxOps = true;
  }

  /** A mailbox that some op of this block made, or whose UIDVALIDITY it raises. */
  number(mailboxes: readonly Mailbox[], seconds: number, author: Author): void {
    this.#numbered.push({ mailboxes, seconds, author });
  }

  /** Notes a delete. The end of the block decides: a mailbox is gone only if a delete knew all that was put into it. */
  delete(mailbox: Mailbox, author: Author): void {
    this.#deletes.push({ mailbox, author });
  }

  /** True if a mailbox that lives was there for `author`: made by an op that it knew, and not deleted by one. */
  isLiveFor(author: Author, mailbox: Mailbox): boolean {
    const maker = makerOf(mailbox.id);
    if (maker && !knowsOp(author, maker)) return false;
    const adds = (this.#adds.get(mailbox) ?? []).filter((add) => knowsOp(author, add.author));
    return !this.#deletes.some(
      (taken) =>
        taken.mailbox === mailbox &&
        knowsOp(author, taken.author) &&
        adds.every((add) => knowsOp(taken.author, add.author)),
    );
  }

  /** A number that orders this write of a path after all earlier ones. */
  nextPathOrder(): number {
    this.#pathsWritten = true;
    return ++this.#state.pathWrites;
  }

  end(): void {
    for (const [mailbox, adds] of this.#adds) this.#numberMessages(mailbox, adds);
    this.#numberMailboxes();
    for (const { mailbox, author } of this.#deletes) {
      const adds = this.#adds.get(mailbox) ?? [];
      if (adds.every((add) => knowsOp(author, add.author))) mailbox.gone = true;
    }
    if (this.#pathsWritten || this.#deletes.length > 0) {
      showPaths(this.#state);
      this.#state.notePaths();
    }
    // An author that saw a part of such a block may have seen any mailbox at another path, or gone.
    if (this.#ops > 1 && this.#hasMailboxOps)
      for (const mailbox of this.#state.mailboxes) mailbox.propsModSeq = this.modSeq;
  }

  #numberMessages(mailbox: Mailbox, adds: readonly Adds[]): void {
    let shifted = 0;
    for (const run of splitAtCuts(adds)) {
      const messages = run.reduce((sum, add) => sum + add.messages, 0);
      const burnt = (run.length - 1) * messages;
      if (burnt > 0) this.#burn(mailbox, uidAfter(run[0]!.first, shifted), burnt);
      shifted += burnt;
    }
  }

  /** Leaves `count` uids from `first` on unused: what was there, and all above it, moves up. */
  #burn(mailbox: Mailbox, first: Uid, count: number): void {
    const { uid, mailbox: ordinal } = this.#state.memberships.columns;
    for (let row = this.#firstRow; row < this.#state.memberships.rows; row++)
      if (ordinal.get(row) === mailbox.ordinal && uid.get(row) >= first) uid.set(row, uidAfter(uid.get(row), count));
    mailbox.uidNext = uidAfter(mailbox.uidNext, count);
    mailbox.burnt.shift(first, count);
    mailbox.burnt.add({ first, last: uidAfter(first, count - 1), modSeq: this.modSeq });
  }

  #numberMailboxes(): void {
    for (const run of splitAtCuts(this.#numbered)) {
      const mailboxes = run.flatMap((item) => item.mailboxes);
      const seconds = Math.max(...run.map((item) => item.seconds));
      let next = Math.max(this.#state.uidValidity + 1, seconds) + (run.length - 1) * mailboxes.length;
      for (const mailbox of mailboxes) mailbox.uidValidity = next++;
      this.#state.uidValidity = next - 1;
    }
  }
}

/** One op's messages in one mailbox: their number, and their first provisional uid. */
interface Adds {
  readonly author: Author;
  readonly first: Uid;
  messages: number;
}

interface Numbered {
  readonly author: Author;
  readonly mailboxes: readonly Mailbox[];
  readonly seconds: number;
}

/** Splits what ops did, in their order, at each cut: where all later ops know all earlier ones. */
function splitAtCuts<T extends { readonly author: Author }>(items: readonly T[]): T[][] {
  const starts: number[] = [];
  for (const [place, { author }] of items.entries()) {
    const unknown = items.findIndex((earlier, at) => at >= place || !knowsOp(author, earlier.author));
    while (starts.length > 0 && starts.at(-1)! > unknown) starts.pop();
    if (unknown === place) starts.push(place);
  }
  return starts.map((start, at) => items.slice(start, starts[at + 1]));
}

function knowsOp(author: Author, other: OpIdentity): boolean {
  return author.knows(other.writer, other.sequence);
}

export type Knows = (writer: WriterId, sequence: number) => boolean;

/** An op as numbering sees it: its name, and which ops its author had applied. */
export interface Author extends OpIdentity {
  readonly knows: Knows;
}

export interface OpIdentity {
  readonly writer: WriterId;
  readonly sequence: number;
}

/** Shown paths: INBOX first; of mailboxes that want one path the one that wrote it first has it, the others the first
 * free of `path (2)`, `path (3)`, … In linear mode a wanted path is always free. */
function showPaths(state: MailState): void {
  const taken = new Map<string, MailboxId>();
  const live = state.allMailboxes().sort((a, b) => a.pathWritten - b.pathWritten || a.ordinal - b.ordinal);
  const waiting: Mailbox[] = [];
  for (const mailbox of live)
    if (taken.has(mailbox.wantedPath)) waiting.push(mailbox);
    else {
      taken.set(mailbox.wantedPath, mailbox.id);
      mailbox.path = mailbox.wantedPath;
    }
  for (const mailbox of waiting) {
    let number = 2;
    while (taken.has(`${mailbox.wantedPath} (${number})`)) number++;
    mailbox.path = `${mailbox.wantedPath} (${number})`;
    taken.set(mailbox.path, mailbox.id);
  }
}
