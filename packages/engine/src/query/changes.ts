import { hexText } from "../bay/entry.ts";
import { changedRows } from "../mail/state/feed.ts";
import { isMail, type Mailbox } from "../mail/state/mailbox.ts";
import type { MailState } from "../mail/state/state.ts";
import type { Lists } from "./lists.ts";

/**
 * What changed in an account since a point that a follower knows (RFC 8620 §5.2), for emails, threads, mailboxes and records.
 * It can be cut anywhere: one op may change ten thousand emails at one modseq, so a point between two pages names the last one
 * told, and where the first page began. Emails are told in the order of (modseq, id), since rows are others after a rewind.
 *
 * An email is there for a follower while some membership shows it without \Deleted. Who can't have known it is told that it
 * was created, rather once too often: an update of what is not known is lost, and so is an end that nobody tells.
 */
export interface Point {
  readonly modSeq: number;
  /** Between two pages: the last id told at `modSeq`, and the point at which the first page began. */
  readonly within?: { readonly id: string; readonly base: number };
}

export interface Changes {
  readonly created: readonly string[];
  readonly updated: readonly string[];
  readonly destroyed: readonly string[];
  /** Where the next page begins. */
  readonly next: Point;
  /** Whether there is more than was asked for. */
  readonly hasMore: boolean;
}

export interface MailboxListChanges extends Changes {
  /** Whether of what was updated nothing changed but counts. */
  readonly countsOnly: boolean;
}

/** Emails by their ids in hex; undefined if the point lies too far back, and the follower begins anew. */
export function emailChanges(
  state: MailState,
  since: Point,
  max: number = Number.POSITIVE_INFINITY,
): Changes | undefined {
  if (isTooOld(state, since)) return undefined;
  const { id: ids } = state.emails.columns;
  const items = [...changedEmails(state, since)].map(([email, modSeq]) => ({
    modSeq,
    id: hexText(ids.getId(email)),
    kind: emailChange(state, email, since),
  }));
  return page(items, since, state.changed.email, max);
}

/** Threads by their ids in hex: those of which emails came, went or came back. Keywords don't change a thread. */
export function threadChanges(lists: Lists, since: Point, max: number = Number.POSITIVE_INFINITY): Changes | undefined {
  const { state } = lists;
  if (isTooOld(state, since)) return undefined;
  if (since.modSeq >= state.changed.thread && !since.within) return page([], since, state.changed.thread, max);
  const { made } = state.emails.columns;
  const touched = new Map<number, number>();
  lists.update();
  for (const [email, modSeq] of changedEmails(state, since)) {
    if (state.isShown(email) ? isKnown(state, email, since) : made.get(email) === 0) continue;
    const thread = lists.threadNumber(email);
    touched.set(thread, Math.max(touched.get(thread) ?? 0, modSeq));
  }
  const kindOf = (thread: number): Kind => {
    let [isShown, wasThere] = [false, false];
    for (const email of lists.threadEmails.of(thread)) {
      if (made.get(email) > 0 && made.get(email) <= since.modSeq) wasThere = true;
      if (!state.isShown(email)) continue;
      if (isKnown(state, email, since)) return "updated";
      isShown = true;
    }
    if (isShown) return "created";
    return wasThere ? "destroyed" : undefined;
  };
  // A thread's number is that of its first email.
  const items = [...touched].map(([thread, modSeq]) => ({
    modSeq,
    id: hexText(state.threadOf(thread)),
    kind: kindOf(thread),
  }));
  return page(items, since, state.changed.thread, max);
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
  const changedAt = new Map<Mailbox, number>();
  const note = (mailbox: Mailbox, modSeq: number): void => {
    changedAt.set(mailbox, Math.max(changedAt.get(mailbox) ?? 0, modSeq));
  };
  for (const mailbox of state.mailboxes)
    if (isMail(mailbox) && mailbox.propsModSeq > from) note(mailbox, mailbox.propsModSeq);
  const threads = new Map<number, number>();
  lists.update();
  for (const row of changedRows(state, from)) {
    note(state.mailboxes[ordinals.get(row)]!, stamps.get(row));
    const thread = lists.threadNumber(emailOf.get(row));
    threads.set(thread, Math.max(threads.get(thread) ?? 0, stamps.get(row)));
  }
  // Threads count as unread by what any of their emails is, wherever it lies.
  for (const [thread, modSeq] of threads)
    for (const email of lists.threadEmails.of(thread))
      for (const row of lists.memberships(email)) note(state.mailboxOf(row), modSeq);
  const kindOf = ({ gone, made }: Mailbox): Kind => {
    if (gone) return made <= since.modSeq ? "destroyed" : undefined;
    return made > baseOf(since) ? "created" : "updated";
  };
  const items = [...changedAt]
    .filter(([mailbox]) => isMail(mailbox))
    .map(([mailbox, modSeq]) => ({ modSeq, id: mailbox.id as string, kind: kindOf(mailbox), mailbox }));
  const changes = page(items, since, mailboxListPoint(state).modSeq, max);
  const updated = new Set(changes.updated);
  return {
    ...changes,
    // What changed of it may lie before the page: it is told by its last change.
    countsOnly: items.every(({ id, mailbox }) => !updated.has(id) || mailbox.propsModSeq <= baseOf(since)),
  };
}

/** Where the list of mailboxes is now: its counts change with emails. */
export function mailboxListPoint({ changed }: MailState): Point {
  return { modSeq: Math.max(changed.mailbox, changed.email) };
}

/** Records of one type by their ids. Whether one is new nobody remembers: what changed counts as created. */
export function recordChanges(
  { records }: MailState,
  type: string,
  since: Point,
  max: number = Number.POSITIVE_INFINITY,
): Changes | undefined {
  const known = records.types().find(([name]) => name === type);
  const [, changed, floor] = known ?? [type, 0, 0];
  if (since.modSeq < floor || (since.within !== undefined && since.modSeq <= floor)) return undefined;
  const items: Item[] = [];
  for (const { type: own, id, modSeq, value } of records.all())
    if (own === type && modSeq > startOf(since)) items.push({ modSeq, id, kind: value ? "created" : "destroyed" });
  return page(items, since, changed, max);
}

type Kind = "created" | "updated" | "destroyed" | undefined;

interface Item {
  readonly modSeq: number;
  readonly id: string;
  readonly kind: Kind;
}

function baseOf({ modSeq, within }: Point): number {
  return within?.base ?? modSeq;
}

/** What was stamped after this is looked at: between two pages, that of the same modseq again. */
function startOf({ modSeq, within }: Point): number {
  return within ? modSeq - 1 : modSeq;
}

/** Whether what changed since can be told no more. */
export function isTooOld({ floor }: MailState, { modSeq, within }: Point): boolean {
  return within ? modSeq <= floor && floor > 0 : modSeq < floor;
}

/** Whether an email that is shown was surely shown to a follower, and not hidden since. */
export function isKnown(state: MailState, email: number, since: Point): boolean {
  const { made, returned } = state.emails.columns;
  return made.get(email) <= baseOf(since) && returned.get(email) === 0;
}

/** Emails of which a membership was stamped, each with the highest stamp. */
export function changedEmails(state: MailState, since: Point): Map<number, number> {
  const { email, modSeq } = state.memberships.columns;
  const changed = new Map<number, number>();
  for (const row of changedRows(state, startOf(since))) {
    const of = email.get(row);
    changed.set(of, Math.max(changed.get(of) ?? 0, modSeq.get(row)));
  }
  return changed;
}

function emailChange(state: MailState, email: number, since: Point): Kind {
  if (state.isShown(email)) return isKnown(state, email, since) ? "updated" : "created";
  const madeAt = state.emails.columns.made.get(email);
  return madeAt > 0 && madeAt <= since.modSeq ? "destroyed" : undefined;
}

/** The first `max` of the items that are to be told, in order. `end`: where one stands who was told all. */
function page(items: readonly Item[], since: Point, end: number, max: number): Changes {
  const { modSeq, within } = since;
  const told = items
    .filter((item) => item.kind && (!within || item.modSeq > modSeq || item.id > within.id))
    .sort((a, b) => a.modSeq - b.modSeq || (a.id < b.id ? -1 : 1));
  const now = told.slice(0, max);
  const last = now.at(-1);
  const hasMore = now.length < told.length;
  const of = (kind: Kind): string[] => now.filter((item) => item.kind === kind).map(({ id }) => id);
  return {
    created: of("created"),
    updated: of("updated"),
    destroyed: of("destroyed"),
    hasMore,
    next:
      hasMore && last
        ? { modSeq: last.modSeq, within: { id: last.id, base: baseOf(since) } }
        : { modSeq: within ? end : Math.max(end, modSeq) },
  };
}
