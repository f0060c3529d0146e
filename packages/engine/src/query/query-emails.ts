import { EngineError } from "../errors.ts";
import type { Message } from "../mail/mailbox-view.ts";
import type { MailState } from "../mail/state/state.ts";
import type { Condition } from "./condition.ts";
import { emailScope } from "./email-scope.ts";
import { type Searched, type SearchTools, search } from "./filter.ts";
import type { CurrentLists, Lists } from "./lists.ts";
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
  { condition, sort = [], collapseThreads = false, page = {} }: EmailQuery,
  current: CurrentLists,
  tools: Omit<SearchTools, "scope">,
): Promise<EmailPage> {
  const lists = await current.get(tools.pace, tools.signal);
  const scope = emailScope(lists);
  const list = await listEmails(lists, tools);
  const found = Uint32Array.from(await search(list, condition, { ...tools, scope }));
  const byId = (a: number, b: number): number => lists.compareIds(list.emailAt(a), list.emailAt(b));
  const sorted = await sortPlaces(list, found, sort, { ...tools, scope }, byId);
  // Some may have gone meanwhile.
  const emails = Array.from(sorted, (place) => list.emailAt(place)).filter((email) => lists.state.isShown(email));
  const result = collapseThreads ? firstOfThreads(emails, lists) : emails;
  const { id } = lists.state.emails.columns;
  const position = beginOf(page, result.length, (anchor) => {
    const email = lists.state.findEmail(anchor);
    return email === undefined ? -1 : result.indexOf(email);
  });
  const end = page.limit === undefined ? result.length : position + page.limit;
  return { ids: result.slice(position, end).map((email) => id.getId(email).slice()), position, total: result.length };
}

/** Emails that are made a list of between two looks whether it is the others' turn. */
const LISTED_AT_ONCE = 1024;

/** The emails that are shown, newest first. */
async function listEmails(lists: Lists, { pace, signal }: Pick<SearchTools, "pace" | "signal">): Promise<EmailList> {
  const emails = lists.newestFirst();
  const rows = new Uint32Array(emails.length);
  let length = 0;
  for (let at = 0; at < emails.length; at++) {
    const [row] = lists.shownMemberships(emails[at]!);
    if (row !== undefined) rows[length++] = row;
    if (at % LISTED_AT_ONCE > 0) continue;
    signal?.throwIfAborted();
    if (pace.isOver()) await pace.take();
  }
  return new EmailList(lists.state, rows.subarray(0, length));
}

/** Emails as messages: each by one of its memberships. */
class EmailList implements Searched {
  readonly #state: MailState;
  readonly #rows: Uint32Array;

  constructor(state: MailState, rows: Uint32Array) {
    this.#state = state;
    this.#rows = rows;
  }

  get length(): number {
    return this.#rows.length;
  }

  message(place: number): Message {
    return { position: place, row: this.#rows[place]!, state: this.#state };
  }

  emailAt(place: number): number {
    return this.#state.emailOf(this.#rows[place]!);
  }
}

/** The first of each thread. Linear, however large a thread is. */
function firstOfThreads(emails: readonly number[], lists: Lists): number[] {
  const seen = new Set<number>();
  return emails.filter((email) => {
    const thread = lists.threadNumber(email);
    return !seen.has(thread) && seen.add(thread);
  });
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
