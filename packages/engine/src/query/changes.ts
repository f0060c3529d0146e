import { hexBytes, hexText } from "../bay/entry.ts";
import { asModSeq, type EmailRow, higherOf, type ModSeq, modSeqBefore, NO_MODSEQ } from "../mail/numbers.ts";
import { changedRows } from "../mail/state/feed.ts";
import { isMail } from "../mail/state/mailbox.ts";
import type { ReadMailbox, ReadState } from "../mail/state/read-state.ts";
import type { Lists } from "./lists.ts";

/**
 * Changes in an account since a point that a follower knows (RFC 8620 §5.2), for emails, threads, mailboxes and records.
 * They can be cut anywhere: one op may change ten thousand emails at one modseq, so a point between two pages names the last
 * id told, and the modseq at which the first page began. Emails are told in the order of (modseq, id), since rows are others
 * after a rewind.
 *
 * An email is there for a follower while some membership shows it without \Deleted. A follower that can't have known an
 * email is told that it was created, rather once too often: an update of an unknown email would be lost, and so would an end
 * that nobody tells.
 */
export interface Point {
  readonly modSeq: ModSeq;
  /** Between two pages: the last id told at `modSeq`, and the point at which the first page began. */
  readonly within?: { readonly id: string; readonly base: ModSeq };
}

export interface Changes {
  readonly created: readonly string[];
  readonly updated: readonly string[];
  readonly destroyed: readonly string[];
  /** Where the next page begins. */
  readonly next: Point;
  /** True if there are more changes than were asked for. */
  readonly hasMore: boolean;
}

export interface MailboxListChanges extends Changes {
  /** True if of the updated mailboxes nothing changed but counts. */
  readonly countsOnly: boolean;
}

/** Emails by their ids in hex; undefined if the point lies too far back, and the follower begins anew. */
export function emailChanges(
  state: ReadState,
  since: Point,
  max: number = Number.POSITIVE_INFINITY,
): Changes | undefined {
  if (isTooOld(state, since)) return undefined;
  const { id: ids } = state.emails.columns;
  const feed = new Feed(
    since,
    hexIds((email: EmailRow) => ids.getId(email)),
  );
  for (const [email, modSeq] of changedEmails(state, since)) feed.add(email, modSeq, emailChange(state, email, since));
  return feed.page(state.changed.email, max);
}

/** Threads by their ids in hex: those of which emails came, went or came back. Keywords don't change a thread. */
export function threadChanges(lists: Lists, since: Point, max: number = Number.POSITIVE_INFINITY): Changes | undefined {
  const { state } = lists;
  if (isTooOld(state, since)) return undefined;
  // A thread's number is that of its first email.
  const feed = new Feed(
    since,
    hexIds((thread: EmailRow) => state.threadOf(thread)),
  );
  if (since.modSeq >= state.changed.thread && !since.within) return feed.page(state.changed.thread, max);
  const { made } = state.emails.columns;
  const touched = new Map<EmailRow, ModSeq>();
  lists.update();
  for (const [email, modSeq] of changedEmails(state, since)) {
    if (state.isShown(email) ? isKnown(state, email, since) : made.get(email) === 0) continue;
    const thread = lists.threadNumber(email);
    touched.set(thread, higherOf(touched.get(thread) ?? NO_MODSEQ, modSeq));
  }
  const kindOf = (thread: EmailRow): Kind => {
    const { threadEmails } = lists;
    let [isShown, wasThere] = [false, false];
    for (let email = threadEmails.last(thread); email >= 0; email = threadEmails.before(email)) {
      if (made.get(email) > 0 && made.get(email) <= since.modSeq) wasThere = true;
      if (!state.isShown(email)) continue;
      if (isKnown(state, email, since)) return "updated";
      isShown = true;
    }
    if (isShown) return "created";
    return wasThere ? "destroyed" : undefined;
  };
  for (const [thread, modSeq] of touched) feed.add(thread, modSeq, kindOf(thread));
  return feed.page(state.changed.thread, max);
}

/** Mailboxes by their ids, and whether of those that were updated the counts alone changed: RFC 8621 §2.2. */
export function mailboxListChanges(
  lists: Lists,
  since: Point,
  max: number = Number.POSITIVE_INFINITY,
): MailboxListChanges | undefined {
  const { state } = lists;
  if (isTooOld(state, since)) return undefined;
  const from = startOf(since);
  const { mailbox: ordinals, modSeq: stamps, email: emailOf } = state.memberships.columns;
  const changedAt = new Map<ReadMailbox, ModSeq>();
  const note = (mailbox: ReadMailbox, modSeq: ModSeq): void => {
    changedAt.set(mailbox, higherOf(changedAt.get(mailbox) ?? NO_MODSEQ, modSeq));
  };
  for (const mailbox of state.mailboxes)
    if (isMail(mailbox) && mailbox.propsModSeq > from) note(mailbox, mailbox.propsModSeq);
  const threads = new Map<EmailRow, ModSeq>();
  lists.update();
  for (const row of changedRows(state, from)) {
    note(state.mailboxes[ordinals.get(row)]!, stamps.get(row));
    const thread = lists.threadNumber(emailOf.get(row));
    threads.set(thread, higherOf(threads.get(thread) ?? NO_MODSEQ, stamps.get(row)));
  }
  // Threads count as unread by what any of their emails is, wherever it lies.
  const { membershipRows, threadEmails } = lists;
  for (const [thread, modSeq] of threads)
    for (let email = threadEmails.last(thread); email >= 0; email = threadEmails.before(email))
      for (let row = membershipRows.last(email); row >= 0; row = membershipRows.before(row))
        if (state.isLive(row)) note(state.mailboxOf(row), modSeq);
  const kindOf = ({ gone, made }: ReadMailbox): Kind => {
    if (gone) return made <= since.modSeq ? "destroyed" : undefined;
    return made > baseOf(since) ? "created" : "updated";
  };
  const feed = new Feed(since, textIds(state.mailboxes));
  for (const [mailbox, modSeq] of changedAt) if (isMail(mailbox)) feed.add(mailbox.ordinal, modSeq, kindOf(mailbox));
  const changes = feed.page(mailboxListPoint(state).modSeq, max);
  const updated = new Set(changes.updated);
  return {
    ...changes,
    // A mailbox's other properties may have changed before the page: the page tells it by its last change.
    countsOnly: state.mailboxes.every(({ id, propsModSeq }) => !updated.has(id) || propsModSeq <= baseOf(since)),
  };
}

/** Where the list of mailboxes is now: its counts change with emails. */
export function mailboxListPoint({ changed }: ReadState): Point {
  return { modSeq: higherOf(changed.mailbox, changed.email) };
}

/** Records of one type by their ids. Nothing remembers whether one is new: a changed one counts as created. */
export function recordChanges(
  { records }: ReadState,
  type: string,
  since: Point,
  max: number = Number.POSITIVE_INFINITY,
): Changes | undefined {
  const known = records.types().find(([name]) => name === type);
  const [, changed, floor] = known ?? [type, NO_MODSEQ, NO_MODSEQ];
  if (since.modSeq < floor || (since.within !== undefined && since.modSeq <= floor)) return undefined;
  const all = [...records.all()];
  const feed = new Feed(since, textIds(all));
  for (const [at, { type: own, modSeq, value }] of all.entries())
    if (own === type && modSeq > startOf(since)) feed.add(at, modSeq, value ? "created" : "destroyed");
  return feed.page(changed, max);
}

type Kind = "created" | "updated" | "destroyed" | undefined;

function baseOf({ modSeq, within }: Point): ModSeq {
  return within?.base ?? modSeq;
}

/** The modseq beyond which changes are looked at: between two pages, changes of that modseq are looked at again. */
function startOf({ modSeq, within }: Point): ModSeq {
  return within ? modSeqBefore(modSeq) : modSeq;
}

/** True if changes since the point can't be told any more: removals at or below the floor are forgotten. */
export function isTooOld({ floor }: ReadState, { modSeq, within }: Point): boolean {
  return within ? modSeq <= floor && floor > 0 : modSeq < floor;
}

/** True if an email that is shown was surely shown to the follower too, and not hidden since. */
export function isKnown(state: ReadState, email: EmailRow, since: Point): boolean {
  const { made, returned } = state.emails.columns;
  return made.get(email) <= baseOf(since) && returned.get(email) === 0;
}

/** Emails of which a membership was stamped, each with the highest stamp. */
export function* changedEmails(state: ReadState, since: Point): Generator<readonly [email: EmailRow, modSeq: ModSeq]> {
  const { email, modSeq } = state.memberships.columns;
  const stamps = new Float64Array(state.emails.rows);
  const emails: EmailRow[] = [];
  for (const row of changedRows(state, startOf(since))) {
    const of = email.get(row);
    if (stamps[of] === 0) emails.push(of);
    stamps[of] = Math.max(stamps[of]!, modSeq.get(row));
  }
  for (const of of emails) yield [of, asModSeq(stamps[of]!)];
}

function emailChange(state: ReadState, email: EmailRow, since: Point): Kind {
  if (state.isShown(email)) return isKnown(state, email, since) ? "updated" : "created";
  const madeAt = state.emails.columns.made.get(email);
  return madeAt > 0 && madeAt <= since.modSeq ? "destroyed" : undefined;
}

/** The ids of what a feed tells of, by keys: in their order, which is that of their texts. */
interface Ids<K extends number> {
  textOf(key: K): string;
  compare(a: K, b: K): number;
  /** True if the key's id comes after this text. */
  isAfter(key: K, text: string): boolean;
}

/** Ids of bytes, told in hex: texts are made of those alone that are told. */
function hexIds<K extends number>(bytesOf: (key: K) => Uint8Array): Ids<K> {
  let bound: { readonly text: string; readonly bytes: Uint8Array } | undefined;
  return {
    textOf: (key) => hexText(bytesOf(key)),
    compare: (a, b) => compareBytes(bytesOf(a), bytesOf(b)),
    isAfter(key, text) {
      // A client may ask for what is none.
      if (!HEX.test(text)) return hexText(bytesOf(key)) > text;
      if (bound?.text !== text) bound = { text, bytes: hexBytes(text) };
      return compareBytes(bytesOf(key), bound.bytes) > 0;
    },
  };
}

const HEX = /^(?:[0-9a-f]{2})*$/;

function textIds(items: readonly { readonly id: string }[]): Ids<number> {
  const textOf = (key: number): string => items[key]!.id;
  return {
    textOf,
    compare: (a, b) => (textOf(a) < textOf(b) ? -1 : 1),
    isAfter: (key, text) => textOf(key) > text,
  };
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < Math.min(a.length, b.length); at++) if (a[at] !== b[at]) return a[at]! - b[at]!;
  return a.length - b.length;
}

/** Changes in no order, told in pages by (modseq, id). */
class Feed<K extends number> {
  readonly #since: Point;
  readonly #ids: Ids<K>;
  readonly #keys: K[] = [];
  readonly #modSeqs: ModSeq[] = [];
  readonly #kinds: Kind[] = [];

  constructor(since: Point, ids: Ids<K>) {
    this.#since = since;
    this.#ids = ids;
  }

  /** Without a kind there is nothing to tell. */
  add(key: K, changedAt: ModSeq, kind: Kind): void {
    const { modSeq, within } = this.#since;
    if (!kind || (within && changedAt <= modSeq && !this.#ids.isAfter(key, within.id))) return;
    this.#keys.push(key);
    this.#modSeqs.push(changedAt);
    this.#kinds.push(kind);
  }

  /** The first `max`. `end`: where one stands who was told all. */
  page(end: ModSeq, max: number): Changes {
    const { modSeq, within } = this.#since;
    const compare = (a: number, b: number): number =>
      this.#modSeqs[a]! - this.#modSeqs[b]! || this.#ids.compare(this.#keys[a]!, this.#keys[b]!);
    const now = lowest(this.#keys.length, max, compare);
    const last = now.at(-1);
    const hasMore = now.length < this.#keys.length;
    const idOf = (at: number): string => this.#ids.textOf(this.#keys[at]!);
    const of = (kind: Kind): string[] => now.filter((at) => this.#kinds[at] === kind).map(idOf);
    return {
      created: of("created"),
      updated: of("updated"),
      destroyed: of("destroyed"),
      hasMore,
      next:
        hasMore && last !== undefined
          ? { modSeq: this.#modSeqs[last]!, within: { id: idOf(last), base: baseOf(this.#since) } }
          : { modSeq: within ? end : higherOf(end, modSeq) },
    };
  }
}

/** The `max` lowest of the numbers below `count`, in order: no more than these are ever sorted. */
function lowest(count: number, max: number, compare: (a: number, b: number) => number): number[] {
  if (max <= 0) return [];
  /** The highest of those that are kept is on top: a heap. */
  const heap: number[] = [];
  const sink = (item: number): void => {
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && compare(heap[child + 1]!, heap[child]!) > 0) child++;
      if (compare(heap[child]!, item) <= 0) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = item;
  };
  for (let item = 0; item < count; item++) {
    if (heap.length === max) {
      if (compare(item, heap[0]!) < 0) sink(item);
      continue;
    }
    heap.push(item);
    // A full list becomes a heap: sorted backwards it is one.
    if (heap.length === max) heap.sort((a, b) => compare(b, a));
  }
  return heap.sort(compare);
}
