import { baseSubject, decodeWords, type HeaderBlock, parseAddresses } from "@restante/mime";
import type { Message } from "../mail/mailbox-view.ts";
import type { Condition } from "./condition.ts";
import { type Searched, type SearchTools, search } from "./filter.ts";
import { eachHeader, type HeaderTools, type SortedText } from "./kept-headers.ts";
import { MEMBERSHIPS, type Scope } from "./scope.ts";
import { sortInSteps } from "./sort-in-steps.ts";

/**
 * An order of messages: SORT of RFC 5256 §3 and RFC 5957 §3, Email/query's `sort` of RFC 8621 §4.4.2. What stands first weighs
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

/** Characters of a text that it is sorted by; what is equal so far is equal. */
const TEXT_KEY_CHARS_MAX = 64;
/** Emails whose headers are read again in one go. */
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
    const values = isText(by)
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

const TEXTS: Readonly<Record<SortedText, (header: HeaderBlock) => string>> = {
  subject: (header) => baseSubject(header.values("subject")[0] ?? "").base,
  from: (header) => firstAddress(header, "from", false),
  to: (header) => firstAddress(header, "to", false),
  cc: (header) => firstAddress(header, "cc", false),
  "from-name": (header) => firstAddress(header, "from", true),
  "to-name": (header) => firstAddress(header, "to", true),
};

function firstAddress(header: HeaderBlock, field: string, byName: boolean): string {
  const [first] = parseAddresses(header.values(field)[0] ?? "");
  // RFC 5957 §3.1: a group's name is that of the first mailbox.
  if (!first) return "";
  if (first.kind === "group") return byName ? decodeWords(first.name) : (first.members[0]?.local ?? "");
  if (!byName) return first.local;
  return first.name === undefined ? `${first.local}@${first.domain}` : decodeWords(first.name);
}

/** The order of i;unicode-casemap, which RFC 5256 §3 asks for: in capitals, with marks apart from their letters (RFC 5051 §2). */
function casemap(text: string): string {
  return text.toUpperCase().normalize("NFKD");
}

function isText(by: SortKey["by"]): by is SortedText {
  return typeof by === "string" && by in TEXTS;
}

/** Numbers in the order of a text of these messages, equal for equal texts. Headers are read of those alone that are not known
 * from before. */
async function textRanks(messages: readonly Message[], by: SortedText, tools: SortTools): Promise<Uint32Array> {
  const { contents, kept, pace, scans, signal } = tools;
  const { order, keys } = kept.textOrder(messages, by);
  if (order.missing(keys).length === 0) return order.ranksOf(keys);
  const textOf = (header: HeaderBlock): string => own(casemap(TEXTS[by](header)).slice(0, TEXT_KEY_CHARS_MAX));
  const end = await scans.begin(signal);
  try {
    // Another scan may have read them meanwhile.
    const missing = order.missing(keys);
    const places = new Map(Array.from(keys, (key, at) => [key, at]));
    const texts: string[] = [];
    const read = missing.map((key) => messages[places.get(key)!]!);
    await eachHeader(read, tools, (header) => texts.push(textOf(header)));
    const { state } = messages[0]!;
    const source = {
      isHeld: (email: number) => state.isHeld(email),
      async readTexts(emails: readonly number[]) {
        const found: string[] = [];
        for (let from = 0; from < emails.length; from += CHUNK_EMAILS) {
          signal?.throwIfAborted();
          for (const header of await contents.readHeadersOf(state, emails.slice(from, from + CHUNK_EMAILS))) {
            if (pace.isOver()) await pace.take();
            found.push(textOf(header));
          }
        }
        return found;
      },
    };
    await order.add(missing, texts, source, pace);
    return order.ranksOf(keys);
  } finally {
    end();
  }
}

/** A text of its own: a slice would keep its whole header in memory. */
function own(text: string): string {
  return [...text].join("");
}
