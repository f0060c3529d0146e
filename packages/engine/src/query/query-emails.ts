import { EngineError } from "../errors.ts";
import type { Message } from "../mail/mailbox-view.ts";
import type { MailboxId } from "../mail/ops/names.ts";
import type { Condition } from "./condition.ts";
import type { CurrentLists } from "./current-lists.ts";
import type { EmailOrder } from "./email-order.ts";
import { emailScope } from "./email-scope.ts";
import { type Searched, type SearchTools, search } from "./filter.ts";
import type { Lists } from "./lists.ts";
import type { EmailCounts } from "./mailbox-lists.ts";
import { type SortKey, sortPlaces } from "./sort.ts";

/** What is asked of an account's emails: RFC 8620 §5.5, RFC 8621 §4.4. */
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
}

/** One page of the emails that fulfil a condition, each once, however many memberships hold it. What is hidden by \Deleted
 * in all mailboxes is not among them. Errors: `not-found` for an anchor that is not in the result; `unavailable`, `corrupt`,
 * `invalid`. */
export async function queryEmails(
  query: EmailQuery,
  current: CurrentLists,
  tools: Omit<SearchTools, "scope">,
): Promise<EmailPage> {
  const { mailbox, rest } = splitMailbox(query.condition);
  const mailboxes = await current.mailboxes(tools.pace, tools.signal);
  const lists = mailboxes.of;
  const ordinal = mailbox === undefined ? -1 : lists.state.mailboxes.findIndex(({ id }) => id === mailbox);
  if (mailbox !== undefined && ordinal < 0) return pageOf(new Result([], lists, query), lists, query);
  const order = ordinal < 0 ? undefined : mailboxes.orderOf(ordinal);
  if (order && rest.kind === "all" && isNewestFirst(query))
    return pageOf(new KeptResult(order, mailboxes.countsOf(ordinal), lists, query), lists, query);
  const all = order?.newestFirst() ?? lists.newestFirst().filter((email) => lists.state.isShown(email));
  const list = new EmailList(lists, all);
  const scope = emailScope(lists);
  let places = Uint32Array.from(await search(list, rest, { ...tools, scope }));
  if (!isNewestFirst(query)) {
    const byId = (a: number, b: number): number => lists.compareIds(list.emailAt(a), list.emailAt(b));
    places = Uint32Array.from(await sortPlaces(list, places, query.sort ?? [], { ...tools, scope }, byId));
  }
  // Some may have gone meanwhile.
  const emails = Array.from(places, (place) => list.emailAt(place)).filter((email) => lists.state.isShown(email));
  return pageOf(new Result(emails, lists, query), lists, query);
}

/** A condition that names a mailbox, as that and what else it asks. */
function splitMailbox(condition: Condition): { readonly mailbox: MailboxId | undefined; readonly rest: Condition } {
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
    const { membershipRows, state } = this.#lists;
    const last = membershipRows.last(this.emailAt(place));
    let row = last;
    while (row >= 0 && (!state.isLive(row) || state.isDeleted(row))) row = membershipRows.before(row);
    // One that went meanwhile stays readable.
    return { position: place, row: row >= 0 ? row : last, state };
  }

  emailAt(place: number): number {
    return this.#emails[place]!;
  }
}

/** What was found, in order: as much of it as is asked for. */
interface Found {
  readonly total: number;
  /** Emails from `start` up to, not including, `end`, or as many as there are. */
  slice(start: number, end: number): readonly number[];
  /** -1 if the email is not there. */
  indexOf(email: number): number;
}

class Result implements Found {
  readonly #emails: readonly number[];

  constructor(emails: readonly number[], lists: Lists, { collapseThreads = false }: EmailQuery) {
    this.#emails = collapseThreads ? [...firstOfThreads(emails, lists)] : emails;
  }

  get total(): number {
    return this.#emails.length;
  }

  slice(start: number, end: number): readonly number[] {
    return this.#emails.slice(start, end);
  }

  indexOf(email: number): number {
    return this.#emails.indexOf(email);
  }
}

/** A whole mailbox, newest first: of threads no more is walked over than is asked for. */
class KeptResult implements Found {
  readonly total: number;
  readonly #order: EmailOrder;
  readonly #lists: Lists;
  readonly #isCollapsed: boolean;

  constructor(order: EmailOrder, counts: EmailCounts, lists: Lists, { collapseThreads = false }: EmailQuery) {
    this.#order = order;
    this.#lists = lists;
    this.#isCollapsed = collapseThreads;
    this.total = collapseThreads ? counts.totalThreads : counts.totalEmails;
  }

  slice(start: number, end: number): readonly number[] {
    const emails: number[] = [];
    if (this.#isCollapsed) {
      let place = 0;
      for (const email of firstOfThreads(walk(this.#order), this.#lists)) {
        if (place >= end) break;
        if (place++ >= start) emails.push(email);
      }
    } else for (let place = start; place < Math.min(end, this.total); place++) emails.push(this.#order.at(place));
    return emails;
  }

  indexOf(email: number): number {
    if (!this.#isCollapsed) return this.#order.placeOf(email);
    let place = 0;
    for (const one of firstOfThreads(walk(this.#order), this.#lists)) {
      if (one === email) return place;
      place++;
    }
    return -1;
  }
}

function* walk(order: EmailOrder): Generator<number> {
  for (let place = 0; place < order.length; place++) yield order.at(place);
}

/** The first of each thread. Linear, however large a thread is. */
function* firstOfThreads(emails: Iterable<number>, lists: Lists): Generator<number> {
  const seen = new Uint8Array(lists.state.emails.rows);
  for (const email of emails) {
    const thread = lists.threadNumber(email);
    if (seen[thread] === 0) yield email;
    seen[thread] = 1;
  }
}

function pageOf(found: Found, { state }: Lists, { page = {} }: EmailQuery): EmailPage {
  const { id } = state.emails.columns;
  const { total } = found;
  const position = beginOf(page, total, (anchor) => {
    const email = state.findEmail(anchor);
    return email === undefined ? -1 : found.indexOf(email);
  });
  const end = page.limit === undefined ? total : position + page.limit;
  return { ids: found.slice(position, end).map((email) => id.getId(email).slice()), position, total };
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
