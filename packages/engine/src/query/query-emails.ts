import { EngineError } from "../errors.ts";
import type { Message } from "../mail/mailbox-view.ts";
import { asEmailRow, type EmailRow } from "../mail/numbers.ts";
import type { MailboxId } from "../mail/ops/names.ts";
import type { Point } from "./changes.ts";
import type { Condition } from "./condition.ts";
import type { CurrentLists } from "./current-lists.ts";
import { EmailResult, firstOfThreads, ListedEmails } from "./email-result.ts";
import { emailScope } from "./email-scope.ts";
import { type Searched, type SearchTools, search } from "./filter.ts";
import type { HeaderTools } from "./kept-headers.ts";
import { resultKey } from "./kept-results.ts";
import type { Lists } from "./lists.ts";
import { type SortKey, sortPlaces } from "./sort.ts";

/** A query of an account's emails: RFC 8620 §5.5, RFC 8621 §4.4. */
export interface EmailQuery {
  readonly condition: Condition;
  /** Without any: newest first. Where all are equal: by id. */
  readonly sort?: readonly SortKey[];
  /** Only the first email of each thread. */
  readonly collapseThreads?: boolean;
  readonly page?: Page;
}

/** Which part of the result is wanted. A negative position counts from the end. */
export interface Page {
  readonly position?: number;
  /** The email that the position is counted from instead, by its 16 bytes. */
  readonly anchor?: Uint8Array;
  readonly anchorOffset?: number;
  readonly limit?: number;
}

export interface EmailPage {
  /** Emails' ids: 16 bytes each. */
  readonly ids: readonly Uint8Array[];
  /** Of the first id in the whole result. */
  readonly position: number;
  /** Emails in the whole result. */
  readonly total: number;
  /** Since when changes of the result are to be asked for: `query/live.ts`. */
  readonly at: Point;
}

export type QueryTools = Omit<SearchTools, "scope"> & HeaderTools;

/** One page of the emails that fulfil a condition, each once, however many memberships hold it. Emails that \Deleted hides in
 * all mailboxes are not among them. Errors: `not-found` for an anchor that is not in the result; `unavailable`, `corrupt`,
 * `invalid`. */
export async function queryEmails(query: EmailQuery, current: CurrentLists, tools: QueryTools): Promise<EmailPage> {
  const { result, at } = await findEmails(query, current, tools);
  return pageOf(result, query.page, at);
}

/** All of a query's result, whatever page it asks for, and since when changes of it are to be looked for. */
export async function findEmails(
  query: Omit<EmailQuery, "page">,
  current: CurrentLists,
  tools: QueryTools,
): Promise<{ readonly result: EmailResult; readonly at: Point }> {
  const { mailbox, rest } = splitMailbox(query.condition);
  const { collapseThreads = false } = query;
  const mailboxes = await current.mailboxes(tools.pace, tools.signal);
  const lists = mailboxes.of;
  const { state } = lists;
  // Changes during the query may be in its result, or not: they are told as changes since this point.
  const at = { modSeq: state.changed.email };
  const ordinal = mailbox === undefined ? -1 : state.mailboxes.findIndex(({ id }) => id === mailbox);
  if (mailbox !== undefined && ordinal < 0)
    return { result: new EmailResult(new ListedEmails([]), lists, undefined), at };
  const order = ordinal < 0 ? undefined : mailboxes.orderOf(ordinal);
  if (order && rest.kind === "all" && isNewestFirst(query)) {
    const threads = collapseThreads ? mailboxes.countsOf(ordinal).totalThreads : undefined;
    return { result: new EmailResult(order, lists, threads), at };
  }
  const key = resultKey(query.condition, query.sort ?? [], collapseThreads);
  const kept = current.results.find(key, { state });
  if (kept) return { result: new EmailResult(new ListedEmails(kept), lists, undefined), at };
  const { modSeq } = state;
  const list = new EmailList(
    lists,
    order?.newestFirst() ?? lists.newestFirst().filter((email) => state.isShown(asEmailRow(email))),
  );
  const scope = emailScope(lists);
  let places = await findPlaces(list, rest, { ...tools, scope });
  if (!isNewestFirst(query)) {
    const byId = (a: number, b: number): number => lists.compareIds(list.emailAt(a), list.emailAt(b));
    places = await sortPlaces(list, places, query.sort ?? [], { ...tools, scope }, byId);
  }
  // Some may have gone meanwhile.
  const emails = places.map((place) => list.emailAt(place)).filter((email) => state.isShown(asEmailRow(email)));
  const found = collapseThreads ? Uint32Array.from(firstOfThreads(new ListedEmails(emails), lists)) : emails;
  current.results.keep(key, { state }, modSeq, found);
  return { result: new EmailResult(new ListedEmails(found), lists, undefined), at };
}

/** The places in the list of what fulfils the condition, ascending. */
async function findPlaces(list: EmailList, condition: Condition, tools: SearchTools): Promise<Uint32Array> {
  if (condition.kind === "all") return Uint32Array.from({ length: list.length }, (_, place) => place);
  return Uint32Array.from(await search(list, condition, tools));
}

/** A condition that names a mailbox, as that and what else it asks. */
export function splitMailbox(condition: Condition): {
  readonly mailbox: MailboxId | undefined;
  readonly rest: Condition;
} {
  if (condition.kind === "mailbox") return { mailbox: condition.mailbox, rest: { kind: "all" } };
  if (condition.kind !== "and") return { mailbox: undefined, rest: condition };
  const named = condition.of.find((one) => one.kind === "mailbox");
  const of = condition.of.filter((one) => one !== named);
  const rest = of.length === 0 ? ({ kind: "all" } as const) : of.length === 1 ? of[0]! : ({ kind: "and", of } as const);
  return { mailbox: named?.mailbox, rest };
}

function isNewestFirst({ sort = [] }: EmailQuery): boolean {
  const [first, ...more] = sort;
  return first === undefined || (more.length === 0 && first.by === "received" && first.descending === true);
}

/** Emails as messages: each by one of its memberships. */
class EmailList implements Searched {
  readonly #lists: Lists;
  readonly #emails: Uint32Array;

  constructor(lists: Lists, emails: Uint32Array) {
    this.#lists = lists;
    this.#emails = emails;
  }

  get length(): number {
    return this.#emails.length;
  }

  message(place: number): Message {
    return this.#lists.messageOf(this.emailAt(place), place);
  }

  emailAt(place: number): EmailRow {
    return asEmailRow(this.#emails[place]!);
  }
}

function pageOf(result: EmailResult, page: Page = {}, at: Point): EmailPage {
  const { state } = result.lists;
  const { id } = state.emails.columns;
  const { total } = result;
  const position = beginOf(page, total, (anchor) => {
    const email = state.findEmail(anchor);
    return email === undefined ? -1 : result.placeOf(email);
  });
  const end = page.limit === undefined ? total : position + page.limit;
  return { ids: result.slice(position, end).map((email) => id.getId(email).slice()), position, total, at };
}

/** RFC 8620 §5.5: where the page begins. */
function beginOf(
  { position = 0, anchor, anchorOffset = 0 }: Page,
  total: number,
  indexOf: (anchor: Uint8Array) => number,
): number {
  if (anchor === undefined) return position >= 0 ? position : Math.max(0, total + position);
  const index = indexOf(anchor);
  if (index < 0) throw new EngineError("not-found", "the anchor is not in the result");
  return Math.max(0, index + anchorOffset);
}
