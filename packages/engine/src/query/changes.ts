import { hexText } from "../bay/entry.ts";
import { changedRows } from "../mail/state/feed.ts";
import { isMail, type Mailbox } from "../mail/state/mailbox.ts";
import type { MailState } from "../mail/state/state.ts";

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
export function threadChanges(
  state: MailState,
  since: Point,
  max: number = Number.POSITIVE_INFINITY,
): Changes | undefined {
  if (isTooOld(state, since)) return undefined;
  if (since.modSeq >= state.changed.thread && !since.within) return page([], since, state.changed.thread, max);
  const { made, returned } = state.emails.columns;
  const touched = new Map<string, number>();
  for (const [email, modSeq] of changedEmails(state, since)) {
    const isThere = state.isShown(email);
    if (isThere ? made.get(email) <= baseOf(since) && returned.get(email) === 0 : made.get(email) === 0) continue;
    const thread = hexText(state.threadOf(email));
    touched.set(thread, Math.max(touched.get(thread) ?? 0, modSeq));
  }
  const shown = new Set<string>();
  const known = new Set<string>();
  const before = new Set<string>();
  for (const [email, thread] of emailsOf(state, new Set(touched.keys()))) {
    if (made.get(email) > 0 && made.get(email) <= since.modSeq) before.add(thread);
    if (!state.isShown(email)) continue;
    shown.add(thread);
    if (made.get(email) <= baseOf(since) && returned.get(email) === 0) known.add(thread);
  }
  const kindOf = (thread: string): Kind => {
    if (!shown.has(thread)) return before.has(thread) ? "destroyed" : undefined;
    return known.has(thread) ? "updated" : "created";
  };
  const items = [...touched].map(([id, modSeq]) => ({ modSeq, id, kind: kindOf(id) }));
  return page(items, since, state.changed.thread, max);
}

/** Mailboxes by their ids, and whether of those that were updated the counts alone changed: RFC 8621 §2.2. */
export function mailboxListChanges(
  state: MailState,
  since: Point,
  max: number = Number.POSITIVE_INFINITY,
): (Changes & { readonly countsOnly: boolean }) | undefined {
  if (isTooOld(state, since)) return undefined;
  const from = startOf(since);
  const { mailbox: ordinals, modSeq: stamps, email: emailOf } = state.memberships.columns;
  const changedAt = new Map<Mailbox, number>();
  const note = (mailbox: Mailbox, modSeq: number): void => {
    changedAt.set(mailbox, Math.max(changedAt.get(mailbox) ?? 0, modSeq));
  };
  for (const mailbox of state.mailboxes)
    if (isMail(mailbox) && mailbox.propsModSeq > from) note(mailbox, mailbox.propsModSeq);
  const threads = new Map<string, number>();
  for (const row of changedRows(state, from)) {
    note(state.mailboxes[ordinals.get(row)]!, stamps.get(row));
    const thread = hexText(state.threadOf(emailOf.get(row)));
    threads.set(thread, Math.max(threads.get(thread) ?? 0, stamps.get(row)));
  }
  // Threads count as unread by what any of their emails is, wherever it lies.
  const emails = new Map([...emailsOf(state, new Set(threads.keys()))].map(([email, id]) => [email, threads.get(id)!]));
  if (emails.size > 0)
    for (let row = 0; row < state.memberships.rows; row++) {
      const modSeq = emails.get(emailOf.get(row));
      if (modSeq !== undefined && state.isLive(row)) note(state.mailboxOf(row), modSeq);
    }
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
    countsOnly: items.every(({ id, mailbox }) => !updated.has(id) || mailbox.propsModSeq <= from),
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

function isTooOld({ floor }: MailState, { modSeq, within }: Point): boolean {
  return within ? modSeq <= floor && floor > 0 : modSeq < floor;
}

/** Emails of which a membership was stamped, each with the highest stamp. */
function changedEmails(state: MailState, since: Point): Map<number, number> {
  const { email, modSeq } = state.memberships.columns;
  const changed = new Map<number, number>();
  for (const row of changedRows(state, startOf(since))) {
    const of = email.get(row);
    changed.set(of, Math.max(changed.get(of) ?? 0, modSeq.get(row)));
  }
  return changed;
}

function emailChange(state: MailState, email: number, since: Point): Kind {
  const { made, returned } = state.emails.columns;
  const madeAt = made.get(email);
  if (state.isShown(email)) return madeAt > baseOf(since) || returned.get(email) === 1 ? "created" : "updated";
  return madeAt > 0 && madeAt <= since.modSeq ? "destroyed" : undefined;
}

/** All emails of these threads, each with its thread. */
function* emailsOf(state: MailState, threads: ReadonlySet<string>): Generator<readonly [number, string]> {
  if (threads.size === 0) return;
  const { threadHigh } = state.emails.columns;
  // Most emails are of none: told by half of the id, without a text for each.
  const halves = new Set([...threads].map((id) => Number.parseInt(id.slice(0, 8), 16)));
  for (let email = 0; email < state.emails.rows; email++) {
    if (!halves.has(threadHigh.get(email))) continue;
    const id = hexText(state.threadOf(email));
    if (threads.has(id)) yield [email, id];
  }
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
        : { modSeq: Math.max(end, modSeq) },
  };
}
