import type { EmailRow } from "../mail/numbers.ts";
import { changedEmails, isKnown, isTooOld, type Point } from "./changes.ts";
import type { Condition } from "./condition.ts";
import type { CurrentLists } from "./current-lists.ts";
import type { EmailResult } from "./email-result.ts";
import type { Lists } from "./lists.ts";
import { type EmailQuery, findEmails, type QueryTools, splitMailbox } from "./query-emails.ts";

/**
 * How the result of a query changed since a point, for whoever holds it as it was: RFC 8620 §5.6. No result is kept: the
 * query is made anew, and of that is told what any change since then may have touched. A client that takes out the removed
 * ids, and then puts in the added ones, lowest index first, holds the present result.
 *
 * Invariant: whatever is not touched stands in both results or in neither, in the same order.
 */
export interface QueryChanges {
  /** Emails' ids: of those that were in the result, and of some that may have been. */
  readonly removed: readonly Uint8Array[];
  /** By index, ascending. */
  readonly added: readonly { readonly id: Uint8Array; readonly index: number }[];
  /** Emails in the whole result, if that was asked for. */
  readonly total: number | undefined;
  /** Since when changes are to be asked for next. */
  readonly at: Point;
}

export interface QueryChangesOptions {
  /** Items, removed and added, beyond which the answer is "too-many". */
  readonly maxChanges?: number | undefined;
  /** The last email that is held, by its 16 bytes: what was added behind it is left out if nothing but what never changes
   * decides where emails stand. */
  readonly upTo?: Uint8Array | undefined;
  readonly withTotal?: boolean | undefined;
}

/** "too-old": what changed since that point is known no more; the query is to be asked anew, as after "too-many". Errors:
 * `unavailable`, `corrupt`, `invalid`. */
export async function queryChanges(
  query: Omit<EmailQuery, "page">,
  since: Point,
  current: CurrentLists,
  tools: QueryTools,
  { maxChanges = Number.POSITIVE_INFINITY, upTo, withTotal = false }: QueryChangesOptions = {},
): Promise<QueryChanges | "too-old" | "too-many"> {
  const before = await current.get(tools.pace, tools.signal);
  if (isTooOld(before.state, since)) return "too-old";
  const { email: at } = before.state.changed;
  const early = touchedEmails(query, since, before);
  if (early.size === 0 && !withTotal) return { removed: [], added: [], total: undefined, at: { modSeq: at } };
  if (knownOf(early, since, before).length > maxChanges) return "too-many";
  const { result, at: now } = await findEmails(query, current, tools);
  const { lists } = result;
  // More may have changed while the query ran, and have gone from memory.
  if (isTooOld(lists.state, since)) return "too-old";
  const touched = touchedEmails(query, since, lists);
  const { id } = lists.state.emails.columns;
  const idOf = (email: EmailRow): Uint8Array => id.getId(email).slice();
  const end = upTo && isFixed(query) ? endOf(upTo, result) : Number.POSITIVE_INFINITY;
  const removed = knownOf(touched, since, lists).map(idOf);
  const added = result
    .placesOf(touched)
    .filter(({ place }) => place <= end)
    .map(({ email, place }) => ({ id: idOf(email), index: place }));
  if (removed.length + added.length > maxChanges) return "too-many";
  return { removed, added, total: withTotal ? result.total : undefined, at: now };
}

/** Emails that a change since then may have moved into the result, out of it, or within it. */
function touchedEmails(query: Omit<EmailQuery, "page">, since: Point, lists: Lists): ReadonlySet<EmailRow> {
  const { state } = lists;
  lists.update();
  const { mailbox } = splitMailbox(query.condition);
  const ordinal = mailbox === undefined ? -1 : state.mailboxes.findIndex(({ id }) => id === mailbox);
  const isFixedOne = isFixed(query);
  const asksThreads = asksForThreads(query);
  const touched = new Set<EmailRow>();
  const threads = new Set<EmailRow>();
  const touch = (email: EmailRow): void => {
    if (mailbox === undefined || wasEverIn(lists, email, ordinal)) touched.add(email);
  };
  for (const [email] of changedEmails(state, since)) {
    if (isFixedOne && state.isShown(email) && isKnown(state, email, since)) continue;
    if (asksThreads) threads.add(lists.threadNumber(email));
    else touch(email);
  }
  for (const thread of threads) for (const email of lists.threadEmails.of(thread)) touch(email);
  return touched;
}

/** Emails that may have been in the result then. */
function knownOf(emails: ReadonlySet<EmailRow>, { modSeq }: Point, { state }: Lists): EmailRow[] {
  const { made } = state.emails.columns;
  return [...emails].filter((email) => made.get(email) > 0 && made.get(email) <= modSeq);
}

/** True if some membership of the email is in the mailbox, or was. */
function wasEverIn({ state, membershipRows }: Lists, email: EmailRow, ordinal: number): boolean {
  const { mailbox } = state.memberships.columns;
  for (let row = membershipRows.last(email); row >= 0; row = membershipRows.before(row))
    if (mailbox.get(row) === ordinal) return true;
  return false;
}

function endOf(upTo: Uint8Array, result: EmailResult): number {
  const email = result.lists.state.findEmail(upTo);
  const place = email === undefined ? -1 : result.placeOf(email);
  return place < 0 ? Number.POSITIVE_INFINITY : place;
}

/** True if an email's place in the result never changes as long as the email is there. */
function isFixed({ condition, sort = [] }: Pick<EmailQuery, "condition" | "sort">): boolean {
  return sort.every(({ by }) => typeof by === "string" && by !== "saved") && !holds(condition, isMutable);
}

function isMutable(condition: Condition): boolean {
  switch (condition.kind) {
    case "keyword":
    case "thread-keyword":
    case "mailbox":
    case "uids":
    case "modSeq":
      return true;
    case "date":
      return condition.of === "saved";
    case "all":
    case "and":
    case "or":
    case "not":
    case "emails":
    case "threads":
    case "size":
    case "header":
    case "subject":
    case "from":
    case "to":
    case "cc":
    case "bcc":
    case "body":
    case "text":
    case "attachment":
      return false;
  }
}

/** True if an email's place depends on the others of its thread. */
function asksForThreads({ condition, sort = [], collapseThreads = false }: Omit<EmailQuery, "page">): boolean {
  return (
    collapseThreads ||
    sort.some(({ by }) => typeof by !== "string" && "threadKeyword" in by) ||
    holds(condition, ({ kind }) => kind === "thread-keyword")
  );
}

function holds(condition: Condition, is: (one: Condition) => boolean): boolean {
  switch (condition.kind) {
    case "and":
    case "or":
      return condition.of.some((inner) => holds(inner, is));
    case "not":
      return holds(condition.of, is);
    default:
      return is(condition);
  }
}
