import { EngineError } from "../../errors.ts";
import type { Message } from "../../mail/mailbox-view.ts";
import { DERIVED_PAGE_EMAILS } from "../../mail/state/pages.ts";
import { readAhead } from "../../read-ahead.ts";
import type { Condition } from "../condition.ts";
import { type Searched, type SearchTools, search } from "../filter.ts";
import { eachHeader, type HeaderTools } from "../kept-headers.ts";
import type { ThreadIds } from "./thread-ids.ts";
import { type ThreadAlgorithm, type Threads, threadsOf } from "./threads.ts";

/** Emails of a page whose ids are read in the time in which one header is. */
const HEADER_COST = 100;
/** Pages that are read before their turn comes. */
const PAGES_AHEAD = 6;
/** Messages that are added between two looks whether it is the others' turn. */
const AT_ONCE = 256;

/** Threads of what of the list fulfils the condition: RFC 5256 §3 and §4. What is not known from before is read from the
 * checkpoint's pages of ids, and from headers where those don't tell. Rejects with the signal's reason when it is aborted.
 * Errors: `unavailable`, `corrupt`, `invalid`. */
export async function threadFound(
  list: Searched,
  algorithm: ThreadAlgorithm,
  condition: Condition,
  tools: SearchTools & HeaderTools,
): Promise<Threads> {
  const places = await search(list, condition, tools);
  const messages = places.map((place) => list.message(place));
  const { ids, keys } = tools.kept.threadIds(messages);
  /** Of an email that the list has more than once the first. */
  const missing = (): number[] => {
    const seen = new Set<number>();
    const isNew = (key: number): boolean => !ids.has(key) && seen.size < seen.add(key).size;
    return [...messages.keys()].filter((at) => isNew(keys[at]!));
  };
  if (missing().length > 0) {
    const end = await tools.scans.begin(tools.signal);
    try {
      await addFromPages(missing(), { messages, ids, keys }, tools);
      const left = missing();
      const read = left.map((at) => messages[at]!);
      await eachHeader(read, tools, (header, nth) => ids.add(keys[left[nth]!]!, tools.contents.threadFacts(header)));
    } finally {
      end();
    }
  }
  const sent = Float64Array.from(messages, ({ state, row }) => state.sentOf(row).timeMs);
  const received = Float64Array.from(messages, ({ state, row }) => state.receivedOf(row).timeMs);
  return threadsOf({ places, keys, ids, sent, received }, algorithm, tools.pace);
}

/** Adds what the checkpoint's pages tell of these messages. A page of which little is wanted is left alone: headers of few are
 * read sooner. */
async function addFromPages(
  missing: readonly number[],
  {
    messages,
    ids,
    keys,
  }: { readonly messages: readonly Message[]; readonly ids: ThreadIds; readonly keys: Uint32Array },
  { contents, pace, signal }: HeaderTools,
): Promise<void> {
  // All that is listed is of one state.
  const state = messages[0]?.state;
  if (!state) return;
  const names = state.pages.ids;
  const numbers = state.emails.columns.number;
  const wanted = new Map<number, number[]>();
  for (const at of missing) {
    const page = Math.floor(numbers.get(state.emailOf(messages[at]!.row)) / DERIVED_PAGE_EMAILS);
    const known = wanted.get(page);
    if (known) known.push(at);
    else if (names[page]) wanted.set(page, [at]);
  }
  const isWorth = (page: number): boolean =>
    wanted.get(page)!.length * HEADER_COST >
    Math.min(DERIVED_PAGE_EMAILS, state.emailNumbers - page * DERIVED_PAGE_EMAILS);
  const pages = [...wanted.keys()].filter(isWorth);
  const next = readAhead(pages, PAGES_AHEAD, (page) => contents.readIds(names[page]!).catch(noneIfDamaged));
  for (const page of pages) {
    const found = await next();
    signal?.throwIfAborted();
    // The next checkpoint makes it anew.
    if (!found) contents.losePage("ids", page, names[page]!);
    const add = found && ids.adder(found);
    for (const [nth, at] of add ? wanted.get(page)!.entries() : []) {
      const number = numbers.get(state.emailOf(messages[at]!.row));
      add!(keys[at]!, number - page * DERIVED_PAGE_EMAILS);
      if (nth % AT_ONCE === 0 && pace.isOver()) await pace.take();
    }
  }
}

/** Without it headers are read. */
function noneIfDamaged(error: unknown): undefined {
  if (error instanceof EngineError && error.code === "corrupt") return undefined;
  throw error;
}
