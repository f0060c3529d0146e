import { baseSubject, decodeWords, type HeaderBlock, parseAddresses } from "@restante/mime";
import type { Contents } from "../mail/contents/contents.ts";
import type { Message } from "../mail/mailbox-view.ts";
import type { Searched } from "./filter.ts";
import { fold } from "./needle.ts";
import type { Pace } from "./pace.ts";
import type { Scans } from "./scans.ts";
import type { Scope } from "./scope.ts";
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
export type SortProperty =
  | "received"
  | "sent"
  | "saved"
  | "size"
  | "subject"
  | "from"
  | "to"
  | "cc"
  | "from-name"
  | "to-name";

export interface SortTools {
  readonly contents: Pick<Contents, "readHeaders">;
  readonly scans: Scans;
  readonly pace: Pace;
  readonly signal?: AbortSignal | undefined;
  readonly scope: Scope;
}

/** Octets of a text that it is sorted by; what is equal so far is equal. */
const TEXT_KEY_CHARS_MAX = 40;
/** Messages whose headers are read in one go. */
const CHUNK_MESSAGES = 256;

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
    if (typeof by === "string" && by in TEXTS) {
      const values = await textsOf(messages, TEXTS[by as keyof typeof TEXTS], tools);
      compares.push((a, b) => sign * (values[a]! < values[b]! ? -1 : values[a]! > values[b]! ? 1 : 0));
    } else {
      const value = numberOf(by, tools.scope);
      const values = Float64Array.from(messages, value);
      compares.push((a, b) => sign * (values[a]! - values[b]!));
    }
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

const TEXTS = {
  subject: (header: HeaderBlock) => baseSubject(header.values("subject")[0] ?? "").base,
  from: (header: HeaderBlock) => firstAddress(header, "from", false),
  to: (header: HeaderBlock) => firstAddress(header, "to", false),
  cc: (header: HeaderBlock) => firstAddress(header, "cc", false),
  "from-name": (header: HeaderBlock) => firstAddress(header, "from", true),
  "to-name": (header: HeaderBlock) => firstAddress(header, "to", true),
};

function firstAddress(header: HeaderBlock, field: string, byName: boolean): string {
  const [first] = parseAddresses(header.values(field)[0] ?? "");
  // RFC 5957 §3.1: a group's name is that of the first mailbox.
  if (!first) return "";
  if (first.kind === "group") return byName ? decodeWords(first.name) : (first.members[0]?.local ?? "");
  if (!byName) return first.local;
  return first.name === undefined ? `${first.local}@${first.domain}` : decodeWords(first.name);
}

async function textsOf(
  messages: readonly Message[],
  text: (header: HeaderBlock) => string,
  { contents, scans, pace, signal }: SortTools,
): Promise<string[]> {
  const end = await scans.begin(signal);
  try {
    const texts: string[] = [];
    for (let from = 0; from < messages.length; from += CHUNK_MESSAGES) {
      signal?.throwIfAborted();
      if (pace.isOver()) await pace.take();
      const headers = await contents.readHeaders(messages.slice(from, from + CHUNK_MESSAGES));
      for (const header of headers) texts.push(own(fold(text(header)).slice(0, TEXT_KEY_CHARS_MAX)));
    }
    return texts;
  } finally {
    end();
  }
}

/** A text of its own: a slice would keep its whole header in memory. */
function own(text: string): string {
  return [...text].join("");
}
