import { SEARCH_KEYS_MAX } from "../limits.ts";
import { parseDate } from "./date.ts";
import { ImapSyntaxError, type Parser } from "./parser.ts";
import { parseSequenceSet, type SequenceSet } from "./sequence-set.ts";

/** `search-key` of RFC 9051 §6.4.4 (and RFC 3501's \Recent keys), as a tree. Text is Unicode, dates are midnights in
 * UTC milliseconds. */
export type SearchKey =
  | { readonly kind: "all" }
  | { readonly kind: "and"; readonly keys: readonly SearchKey[] }
  | { readonly kind: "or"; readonly keys: readonly [SearchKey, SearchKey] }
  | { readonly kind: "not"; readonly key: SearchKey }
  | { readonly kind: "flag"; readonly flag: string; readonly set: boolean }
  | { readonly kind: "recent"; readonly set: boolean }
  | { readonly kind: "new" }
  | { readonly kind: "set"; readonly set: SequenceSet; readonly uid: boolean }
  | { readonly kind: "size"; readonly than: "larger" | "smaller"; readonly octets: number }
  | {
      readonly kind: "date";
      readonly of: "internal" | "sent" | "saved";
      readonly when: "before" | "on" | "since";
      readonly dayMs: number;
    }
  /** RFC 5032 §3: by how long ago it came. */
  | { readonly kind: "within"; readonly than: "older" | "younger"; readonly seconds: number }
  /** At this modseq or above: RFC 7162 §3.1.5. */
  | { readonly kind: "modSeq"; readonly from: number }
  /** As RFC 8474 §5.3 has them; what is no id is none. */
  | { readonly kind: "emailId" | "threadId"; readonly id: string }
  /** The field's decoded text holds `text`; "" asks for the field alone. */
  | { readonly kind: "header"; readonly field: string; readonly text: string }
  | { readonly kind: TextKey; readonly text: string };

type TextKey = "from" | "to" | "cc" | "bcc" | "subject" | "body" | "text";

/** Charsets that SEARCH takes: BADCHARSET names them, RFC 9051 §7.1. */
export const SEARCH_CHARSETS = ["US-ASCII", "UTF-8"] as const;

export class BadCharset extends Error {
  constructor() {
    super("charset not supported");
    this.name = "BadCharset";
  }
}

const FLAG_KEYS: Record<string, { readonly flag: string; readonly set: boolean }> = {
  ANSWERED: { flag: "\\Answered", set: true },
  UNANSWERED: { flag: "\\Answered", set: false },
  DELETED: { flag: "\\Deleted", set: true },
  UNDELETED: { flag: "\\Deleted", set: false },
  DRAFT: { flag: "\\Draft", set: true },
  UNDRAFT: { flag: "\\Draft", set: false },
  FLAGGED: { flag: "\\Flagged", set: true },
  UNFLAGGED: { flag: "\\Flagged", set: false },
  SEEN: { flag: "\\Seen", set: true },
  UNSEEN: { flag: "\\Seen", set: false },
};
const DATE_KEYS: Record<
  string,
  { readonly of: "internal" | "sent" | "saved"; readonly when: "before" | "on" | "since" }
> = {
  BEFORE: { of: "internal", when: "before" },
  ON: { of: "internal", when: "on" },
  SINCE: { of: "internal", when: "since" },
  SENTBEFORE: { of: "sent", when: "before" },
  SENTON: { of: "sent", when: "on" },
  SENTSINCE: { of: "sent", when: "since" },
  SAVEDBEFORE: { of: "saved", when: "before" },
  SAVEDON: { of: "saved", when: "on" },
  SAVEDSINCE: { of: "saved", when: "since" },
};
const TEXT_KEYS: Record<string, TextKey> = {
  BCC: "bcc",
  BODY: "body",
  CC: "cc",
  FROM: "from",
  SUBJECT: "subject",
  TEXT: "text",
  TO: "to",
};

/** A search program: `[CHARSET charset] key *(SP key)`. Throws BadCharset for a charset that we don't have. */
export function parseSearchProgram(parser: Parser): SearchKey {
  let charset = "UTF-8";
  if (/^CHARSET /i.test(parser.rest(8))) {
    parser.keyword();
    parser.space();
    charset = parser.astring().toUpperCase();
    parser.space();
  }
  return parseSearchKeys(parser, charset);
}

/** `key *(SP key)`, in this charset. Throws as {@link parseSearchProgram} does. */
export function parseSearchKeys(parser: Parser, charset: string): SearchKey {
  if (!SEARCH_CHARSETS.some((known) => known === charset.toUpperCase())) throw new BadCharset();
  const count: Count = { keys: 0 };
  const keys: SearchKey[] = [parseKey(parser, count)];
  while (parser.trySpace()) keys.push(parseKey(parser, count));
  return keys.length === 1 ? keys[0]! : { kind: "and", keys };
}

/** Keys that were read, those within others too. */
interface Count {
  keys: number;
}

function parseKey(parser: Parser, count: Count): SearchKey {
  if (++count.keys > SEARCH_KEYS_MAX) throw new ImapSyntaxError("Too many SEARCH keys");
  if (parser.atOpen) {
    const keys = parser.list(() => parseKey(parser, count));
    return { kind: "and", keys };
  }
  if (/^[\d*$]/.test(parser.rest(1))) return { kind: "set", set: parseSequenceSet(parser.setText()), uid: false };
  const name = parser.keyword();
  const flag = FLAG_KEYS[name];
  if (flag) return { kind: "flag", ...flag };
  const date = DATE_KEYS[name];
  if (date) {
    parser.space();
    return { kind: "date", ...date, dayMs: parseDate(parser.astring()) };
  }
  const text = TEXT_KEYS[name];
  if (text) {
    parser.space();
    return { kind: text, text: parser.astring() };
  }
  return parseOtherKey(parser, name, count);
}

function parseOtherKey(parser: Parser, name: string, count: Count): SearchKey {
  switch (name) {
    case "ALL":
    // Each message has one: RFC 8514 §4.3.
    case "SAVEDATESUPPORTED":
      return { kind: "all" };
    case "NEW":
      return { kind: "new" };
    case "OLD":
      return { kind: "recent", set: false };
    case "RECENT":
      return { kind: "recent", set: true };
  }
  parser.space();
  switch (name) {
    case "KEYWORD":
    case "UNKEYWORD":
      return { kind: "flag", flag: parser.flag(), set: name === "KEYWORD" };
    case "LARGER":
      return { kind: "size", than: "larger", octets: parser.number64() };
    case "SMALLER":
      return { kind: "size", than: "smaller", octets: parser.number64() };
    case "OLDER":
    case "YOUNGER":
      return { kind: "within", than: name === "OLDER" ? "older" : "younger", seconds: parser.nonZero() };
    case "MODSEQ":
      return { kind: "modSeq", from: parseModSeq(parser) };
    case "EMAILID":
      return { kind: "emailId", id: parser.astring() };
    case "THREADID":
      return { kind: "threadId", id: parser.astring() };
    case "UID":
      return { kind: "set", set: parseSequenceSet(parser.setText()), uid: true };
    // RFC 9738.
    case "UIDAFTER":
    case "UIDBEFORE":
      return { kind: "set", set: beyond(name, parser.nonZero()), uid: true };
    case "HEADER": {
      const field = parser.astring().toLowerCase();
      parser.space();
      return { kind: "header", field, text: parser.astring() };
    }
    case "NOT":
      return nested(parser, () => ({ kind: "not", key: parseKey(parser, count) }));
    case "OR":
      return nested(parser, () => {
        const first = parseKey(parser, count);
        parser.space();
        return { kind: "or", keys: [first, parseKey(parser, count)] };
      });
    default:
      throw new ImapSyntaxError("Unknown SEARCH key");
  }
}

/** Uids above one, or below it. */
function beyond(name: "UIDAFTER" | "UIDBEFORE", uid: number): SequenceSet {
  const range = name === "UIDAFTER" ? { first: uid + 1, last: UID_MAX } : { first: 1, last: uid - 1 };
  return { ranges: range.first <= range.last ? [range] : [] };
}

const UID_MAX = 0xffffffff;

/** `["/flags/…" ("priv" / "shared" / "all") SP] modseq`: a message has one modseq, whichever flag changed. */
function parseModSeq(parser: Parser): number {
  if (parser.atString) {
    parser.string();
    parser.space();
    if (!["PRIV", "SHARED", "ALL"].includes(parser.keyword())) throw new ImapSyntaxError("Bad MODSEQ type");
    parser.space();
  }
  return parser.number64();
}

function nested(parser: Parser, read: () => SearchKey): SearchKey {
  parser.enter();
  const key = read();
  parser.leave();
  return key;
}
