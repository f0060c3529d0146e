import type { Message } from "../mail/mailbox-view.ts";
import { asEmailRow } from "../mail/numbers.ts";
import type { Condition } from "./condition.ts";
import { type Searched, type SearchTools, search } from "./filter.ts";
import { eachHeader, type HeaderTools, type SortedText } from "./kept-headers.ts";
import { listPlace } from "./list-texts.ts";
import { MEMBERSHIPS, type Scope } from "./scope.ts";
import { sortInSteps } from "./sort-in-steps.ts";
import { fieldOf, isSortedText, sortText, sortTextOf } from "./sort-text.ts";

/**
 * An order of messages: SORT of RFC 5256 §3 and RFC 5957 §3, Email/query's `sort` of RFC 8621 §4.4.2. The first key weighs
 * most; where all are equal the order of the list stays, if the protocol has no other rule.
 */
export interface SortKey {
  readonly by:
    | SortProperty
    | { readonly keyword: string }
    | { readonly threadKeyword: string; readonly of: "all" | "some" };
  readonly descending?: boolean;
}

/** `from`, `to`, `cc`: the local part of the first address, as RFC 5256 §3 has it. `from-name` and `to-name`: its name, or else
 * the address: RFC 5957 §3, RFC 8621 §4.4.2. `subject`: the base subject, RFC 5256 §2.1. */
export type SortProperty = "received" | "sent" | "saved" | "size" | SortedText;

export interface SortTools extends HeaderTools {
  readonly scope: Scope;
}

/** Emails whose headers are read again in one go, and whose texts are looked at without a look at the time. */
const CHUNK_EMAILS = 256;

/** The places in the list of what fulfils the condition, sorted by the keys; where those are equal in the order of the list:
 * RFC 5256 §3. Rejects with the signal's reason when it is aborted. Errors: `unavailable`, `corrupt`, `invalid`. */
export async function sortFound(
  list: Searched,
  condition: Condition,
  keys: readonly SortKey[],
  tools: SearchTools & HeaderTools,
): Promise<Uint32Array> {
  const found = Uint32Array.from(await search(list, condition, tools));
  return sortPlaces(list, found, keys, { scope: MEMBERSHIPS, ...tools });
}

/** The places, sorted by the keys, and by `tie` where those are equal. Rejects with the signal's reason when it is aborted. Errors: `unavailable`, `corrupt`. */
export async function sortPlaces(
  list: Searched,
  places: Uint32Array,
  keys: readonly SortKey[],
  tools: SortTools,
  tie: (a: number, b: number) => number = () => 0,
): Promise<Uint32Array> {
  if (keys.length === 0 || places.length < 2) return places;
  const messages = Array.from(places, (place) => list.message(place));
  const compares: ((a: number, b: number) => number)[] = [];
  for (const { by, descending = false } of keys) {
    const sign = descending ? -1 : 1;
    const values = isSortedText(by)
      ? await textRanks(messages, by, tools)
      : Float64Array.from(messages, numberOf(by, tools.scope));
    compares.push((a, b) => sign * (values[a]! - values[b]!));
    if (tools.pace.isOver()) await tools.pace.take();
  }
  const indexes = Uint32Array.from(places.keys());
  const compare = (a: number, b: number): number => {
    for (const one of compares) {
      const order = one(a, b);
      if (order !== 0) return order;
    }
    return tie(places[a]!, places[b]!);
  };
  return (await sortInSteps(indexes, compare, tools.pace)).map((index) => places[index]!);
}

function numberOf(by: SortKey["by"], scope: Scope): (message: Message) => number {
  if (typeof by !== "string") {
    const has = "keyword" in by ? scope.keyword(by.keyword) : scope.threadKeyword(by.threadKeyword, by.of);
    return (message) => (has(message) ? 1 : 0);
  }
  switch (by) {
    case "received":
      return ({ state, row }) => state.receivedOf(row).timeMs;
    case "sent":
      return ({ state, row }) => state.sentOf(row).timeMs;
    case "saved":
      return ({ state, row }) => state.memberships.columns.saved.get(row);
    default:
      return ({ state, row }) => state.sizeOf(row);
  }
}

/** Numbers in the order of a text of these messages, equal for equal texts. Texts that are not known from before are read
 * from the checkpoint's pages of texts, and from headers where those don't tell. */
async function textRanks(messages: readonly Message[], by: SortedText, tools: SortTools): Promise<Uint32Array> {
  const { kept, pace, scans, signal } = tools;
  const { order, keys, texts } = kept.textOrder(messages, by);
  if (order.missing(keys).length === 0) return order.ranksOf(keys);
  const end = await scans.begin(signal);
  try {
    // Another scan may have read them meanwhile.
    const missing = order.missing(keys);
    const place = listPlace(fieldOf(by));
    if (texts?.isWorth(missing.length)) await texts.open([place], tools);
    const { state } = messages[0]!;
    // Where texts are kept keys are rows of emails.
    const known = async (some: readonly number[]): Promise<(string | undefined)[]> => {
      const found: (string | undefined)[] = [];
      for (const [at, key] of some.entries()) {
        const text = texts?.textOf(place, asEmailRow(key));
        found.push(text === undefined ? undefined : sortText(by, text));
        if (at % CHUNK_EMAILS === 0 && pace.isOver()) await pace.take();
      }
      return found;
    };
    const places = new Map(Array.from(keys, (key, at) => [key, at]));
    const added = await known(missing);
    const left = [...missing.keys()].filter((at) => added[at] === undefined);
    const read = left.map((at) => messages[places.get(missing[at]!)!]!);
    await eachHeader(read, tools, (header, nth) => {
      added[left[nth]!] = sortTextOf(by, header);
    });
    const source = {
      isHeld: (key: number) => state.isHeld(asEmailRow(key)),
      async readTexts(some: readonly number[]) {
        const found = await known(some);
        const others = [...some.keys()].filter((at) => found[at] === undefined);
        for (let from = 0; from < others.length; from += CHUNK_EMAILS) {
          signal?.throwIfAborted();
          const chunk = others.slice(from, from + CHUNK_EMAILS);
          const headers = await tools.contents.readHeadersOf(
            state,
            chunk.map((at) => asEmailRow(some[at]!)),
          );
          for (const [nth, header] of headers.entries()) {
            if (pace.isOver()) await pace.take();
            found[chunk[nth]!] = sortTextOf(by, header);
          }
        }
        return found as string[];
      },
    };
    await order.add(missing, added as string[], source, pace);
    return order.ranksOf(keys);
  } finally {
    end();
  }
}
