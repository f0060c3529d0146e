import type { Mailbox } from "./mailbox.ts";
import type { MailboxId, WriterId } from "./names.ts";
import type { MailState } from "./state.ts";

/**
 * Numbering, STORAGE rules §1. UIDs, modseqs and UIDVALIDITY are in no op; they are computed from the set of ops, block
 * by block. A block is a run of ops in the total order that no cut divides (a cut: every later op knows every earlier
 * one). In linear mode every block is one op, `w` is 1 and nothing is burnt: the same code.
 *
 * Within a block ops are performed with provisional uids; `end` moves what the block added to a mailbox up by
 * (w-1)·n, where w of its ops added n messages there. Whoever saw only part of the block saw lower numbers and a
 * lower UIDNEXT, so no uid ever names two messages.
 */
export class Block {
  /** What everything that this block touches is stamped with. */
  readonly modSeq: number;
  /** Moves and replaces of this block, old row to new rows: a flag op that did not know them follows. */
  readonly movedTo: Map<number, number[]> = new Map();
  readonly #state: MailState;
  readonly #firstRow: number;
  readonly #adds = new Map<
    Mailbox,
    { readonly base: number; ops: number; messages: number; lastOp: object | undefined }
  >();
  readonly #puts = new Map<Mailbox, { readonly writer: WriterId; readonly sequence: number }[]>();
  readonly #deletes: { readonly mailbox: Mailbox; readonly knows: Knows }[] = [];
  readonly #numbered: { readonly mailbox: Mailbox; readonly seconds: number }[] = [];
  #numberingOps = 0;
  #pathsWritten = false;

  constructor(state: MailState, ops: number) {
    this.#state = state;
    this.#firstRow = state.memberships.rows;
    state.modSeq += ops;
    this.modSeq = state.modSeq;
  }

  /** The next provisional uid of `mailbox`, for `op`, an attempted add. */
  nextUid(mailbox: Mailbox, op: OpIdentity): number {
    let adds = this.#adds.get(mailbox);
    if (!adds) {
      adds = { base: mailbox.uidNext, ops: 0, messages: 0, lastOp: undefined };
      this.#adds.set(mailbox, adds);
    }
    if (adds.lastOp !== op) {
      adds.lastOp = op;
      adds.ops++;
      const puts = this.#puts.get(mailbox) ?? [];
      puts.push({ writer: op.writer, sequence: op.sequence });
      this.#puts.set(mailbox, puts);
    }
    adds.messages++;
    this.touch(mailbox);
    return mailbox.uidNext++;
  }

  touch(mailbox: Mailbox): void {
    mailbox.highestModSeq = this.modSeq;
  }

  /** A mailbox that some op of this block made, or whose UIDVALIDITY it raises. */
  number(mailboxes: readonly Mailbox[], seconds: number): void {
    this.#numberingOps++;
    for (const mailbox of mailboxes) this.#numbered.push({ mailbox, seconds });
  }

  /** A delete that knew what `knows` says; whether the mailbox is gone is decided at the end. */
  delete(mailbox: Mailbox, knows: Knows): void {
    this.#deletes.push({ mailbox, knows });
  }

  /** A number that orders this write of a path after all earlier ones. */
  nextPathOrder(): number {
    this.#pathsWritten = true;
    return ++this.#state.pathWrites;
  }

  end(): void {
    for (const [mailbox, adds] of this.#adds) this.#shiftUids(mailbox, adds.base, (adds.ops - 1) * adds.messages);
    this.#numberMailboxes();
    for (const { mailbox, knows } of this.#deletes) {
      const puts = this.#puts.get(mailbox) ?? [];
      if (puts.every(({ writer, sequence }) => knows(writer, sequence))) mailbox.gone = true;
    }
    if (this.#pathsWritten || this.#deletes.length > 0) showPaths(this.#state);
  }

  #shiftUids(mailbox: Mailbox, base: number, shift: number): void {
    if (shift === 0) return;
    const { uid, mailbox: ordinal } = this.#state.memberships.columns;
    for (let row = this.#firstRow; row < this.#state.memberships.rows; row++)
      if (ordinal.get(row) === mailbox.ordinal) uid.set(row, uid.get(row) + shift);
    mailbox.uidNext += shift;
    mailbox.vanished.shift(base, shift);
    mailbox.vanished.add(base, base + shift - 1, this.modSeq);
  }

  #numberMailboxes(): void {
    const count = this.#numbered.length;
    if (count === 0) return;
    const seconds = Math.max(...this.#numbered.map((item) => item.seconds));
    let next = Math.max(this.#state.uidValidity + 1, seconds) + (this.#numberingOps - 1) * count;
    for (const { mailbox } of this.#numbered) mailbox.uidValidity = next++;
    this.#state.uidValidity = next - 1;
  }
}

export type Knows = (writer: WriterId, sequence: number) => boolean;

export interface OpIdentity {
  readonly writer: WriterId;
  readonly sequence: number;
}

/** Shown paths: INBOX first; of mailboxes that want one path the one that wrote it first has it, the others the first
 * free of `path (2)`, `path (3)`, … In linear mode a wanted path is always free. */
function showPaths(state: MailState): void {
  const taken = new Map<string, MailboxId>();
  const live = state.liveMailboxes().sort((a, b) => a.pathWritten - b.pathWritten || a.ordinal - b.ordinal);
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
