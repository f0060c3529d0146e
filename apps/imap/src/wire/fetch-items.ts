import { FETCH_ITEMS_MAX } from "../limits.ts";
import { ImapSyntaxError, type Parser } from "./parser.ts";

/** Octets that the longest word of an item or section has, and some more. */
const WORD_BYTES_MAX = 24;

/** One `fetch-att` of RFC 9051 §9 (with RFC 3501's RFC822 forms), as a value. */
export type FetchItem = SimpleItem | SectionItem | BinaryItem;

export interface SimpleItem {
  readonly kind:
    | "flags"
    | "uid"
    | "internaldate"
    | "size"
    | "envelope"
    | "body"
    | "bodystructure"
    | "emailid"
    | "threadid"
    | "modseq"
    | "savedate"
    | "preview";
}

/** `fetch-modifiers` of RFC 4466 §2.4. */
export interface FetchModifiers {
  /** RFC 7162 §3.1.4.1. */
  readonly changedSince?: number;
  /** RFC 7162 §3.2.6. */
  readonly vanished?: boolean;
  /** RFC 9394 §3.3. */
  readonly partial?: PartialRange;
}

/** Places of a list, from 1; from its end, from -1, if both are negative: RFC 9394 §3.1. */
export interface PartialRange {
  readonly first: number;
  readonly last: number;
}

export interface SectionItem {
  readonly kind: "section";
  readonly section: Section;
  readonly peek: boolean;
  readonly partial?: Partial;
  /** How the answer names it: `BODY[…]<origin>` or RFC822…. */
  readonly label: string;
}

/** A part, decoded, or how many octets that has: RFC 3516 §4.2. */
export interface BinaryItem {
  readonly kind: "binary";
  readonly path: readonly number[];
  readonly peek: boolean;
  readonly isSize: boolean;
  readonly partial?: Partial;
  readonly label: string;
}

/** `section-spec`: a part by its numbers, and what of it; `all` is the part's whole content (or the message). */
export interface Section {
  readonly path: readonly number[];
  readonly what: "all" | "header" | "text" | "mime" | "fields" | "fields-not";
  readonly fields: readonly string[];
}
/** Octets from `offset`, at most `length`: RFC 9051 §6.4.5. */
export interface Partial {
  readonly offset: number;
  readonly length: number;
}

/** Header fields named in one section, and levels of parts. */
const HEADER_FIELDS_MAX = 200;
const PATH_DEPTH_MAX = 100;

const SIMPLE = {
  FLAGS: "flags",
  UID: "uid",
  INTERNALDATE: "internaldate",
  "RFC822.SIZE": "size",
  ENVELOPE: "envelope",
  BODYSTRUCTURE: "bodystructure",
  EMAILID: "emailid",
  THREADID: "threadid",
  MODSEQ: "modseq",
  SAVEDATE: "savedate",
} as const;
const MACROS: Record<string, readonly FetchItem[]> = {
  FAST: [{ kind: "flags" }, { kind: "internaldate" }, { kind: "size" }],
  ALL: [{ kind: "flags" }, { kind: "internaldate" }, { kind: "size" }, { kind: "envelope" }],
  FULL: [{ kind: "flags" }, { kind: "internaldate" }, { kind: "size" }, { kind: "envelope" }, { kind: "body" }],
};
const WHOLE: Section = { path: [], what: "all", fields: [] };

/** The items of a FETCH: a macro, one item or a list of them. */
export function parseFetchItems(parser: Parser): readonly FetchItem[] {
  if (parser.atOpen) return parser.list(() => parseItem(parser), { max: FETCH_ITEMS_MAX });
  const macro = /^(ALL|FAST|FULL)(?![A-Za-z0-9.[])/i.exec(parser.rest(WORD_BYTES_MAX));
  if (macro) {
    parser.skip(macro[0].length);
    return MACROS[macro[0].toUpperCase()]!;
  }
  return [parseItem(parser)];
}

/** `[SP "(" modifier *(SP modifier) ")"]` */
export function parseFetchModifiers(parser: Parser): FetchModifiers {
  let modifiers: FetchModifiers = {};
  if (!parser.trySpace()) return modifiers;
  parser.list(() => {
    const name = parser.keyword();
    if (name === "CHANGEDSINCE") {
      parser.space();
      modifiers = { ...modifiers, changedSince: parser.number64() };
    } else if (name === "VANISHED") modifiers = { ...modifiers, vanished: true };
    else if (name === "PARTIAL") modifiers = { ...modifiers, partial: parsePartialRange(parser) };
    else throw new ImapSyntaxError("Unknown FETCH modifier");
  });
  return modifiers;
}

/** ` 1:100` or ` -1:-100`, in either order. */
export function parsePartialRange(parser: Parser): PartialRange {
  parser.space();
  const match = /^(-?)([1-9]\d{0,9}):(-?)([1-9]\d{0,9})(?!\d)/.exec(parser.rest(24));
  if (!match || match[1] !== match[3]) throw new ImapSyntaxError("Bad range");
  parser.skip(match[0].length);
  const [low, high] = [Number(match[2]), Number(match[4])].sort((a, b) => a - b) as [number, number];
  return match[1] === "-" ? { first: -low, last: -high } : { first: low, last: high };
}

function parseItem(parser: Parser): FetchItem {
  const name = /^[A-Za-z0-9.]+/.exec(parser.rest(WORD_BYTES_MAX))?.[0].toUpperCase() ?? "";
  parser.skip(name.length);
  if (name in SIMPLE) return { kind: SIMPLE[name as keyof typeof SIMPLE] };
  switch (name) {
    case "RFC822":
      return { kind: "section", section: WHOLE, peek: false, label: "RFC822" };
    case "RFC822.HEADER":
      return { kind: "section", section: { ...WHOLE, what: "header" }, peek: true, label: "RFC822.HEADER" };
    case "RFC822.TEXT":
      return { kind: "section", section: { ...WHOLE, what: "text" }, peek: false, label: "RFC822.TEXT" };
    case "BODY":
      return parser.peek() === 0x5b ? parseSection(parser, false) : { kind: "body" };
    case "BODY.PEEK":
      return parseSection(parser, true);
    case "BINARY":
    case "BINARY.PEEK":
    case "BINARY.SIZE":
      return parseBinary(parser, name);
    case "PREVIEW":
      // LAZY changes nothing, since previews are kept with the summary: RFC 8970 §3.
      if (/^ \(LAZY\)/i.test(parser.rest(7))) parser.skip(7);
      return { kind: "preview" };
    default:
      throw new ImapSyntaxError("Unknown FETCH item");
  }
}

function parseSection(parser: Parser, peek: boolean): FetchItem {
  parser.char("[");
  const { section, label } = parseSectionSpec(parser);
  parser.char("]");
  const partial = parsePartial(parser);
  return {
    kind: "section",
    section,
    peek,
    label: `BODY[${label}]${partial ? `<${partial.offset}>` : ""}`,
    ...(partial ? { partial } : {}),
  };
}

/** `section-binary`, and a partial where octets are asked for: RFC 3516 §7. */
function parseBinary(parser: Parser, name: string): FetchItem {
  parser.char("[");
  const path = parsePath(parser);
  parser.char("]");
  const isSize = name === "BINARY.SIZE";
  const partial = isSize ? undefined : parsePartial(parser);
  const label = `${isSize ? name : "BINARY"}[${path.join(".")}]${partial ? `<${partial.offset}>` : ""}`;
  const item = { kind: "binary", path, peek: name !== "BINARY", isSize, label } as const;
  return partial ? { ...item, partial } : item;
}

/** `1.2`, and a dot behind it where more is to come. */
function parsePath(parser: Parser): number[] {
  const path: number[] = [];
  while (isDigit(parser.peek())) {
    if (path.length >= PATH_DEPTH_MAX) throw new ImapSyntaxError("Part number too deep");
    path.push(parser.nonZero());
    if (!parser.tryChar(".")) break;
    if (parser.peek() === 0x5d || parser.peek() === -1) throw new ImapSyntaxError("Part number expected");
  }
  return path;
}

/** `[section-spec]`, up to a `]` or the end, and how an answer repeats it. */
export function parseSectionSpec(parser: Parser): { readonly section: Section; readonly label: string } {
  let what: Section["what"] = "all";
  let fields: readonly string[] = [];
  const path = parsePath(parser);
  let label = path.join(".");
  if (parser.peek() !== 0x5d && parser.peek() !== -1) {
    const word = /^[A-Za-z.]+/.exec(parser.rest(WORD_BYTES_MAX))?.[0].toUpperCase() ?? "";
    parser.skip(word.length);
    label += `${label === "" ? "" : "."}${word}`;
    what = sectionWord(word, path.length > 0);
    if (what === "fields" || what === "fields-not") {
      parser.space();
      fields = parser.list(() => parser.astring());
      if (fields.length > HEADER_FIELDS_MAX) throw new ImapSyntaxError("Too many header fields");
      label += ` (${fields.map(formatField).join(" ")})`;
    }
  }
  return { section: { path, what, fields }, label };
}

function sectionWord(word: string, inPart: boolean): Section["what"] {
  switch (word) {
    case "HEADER":
      return "header";
    case "TEXT":
      return "text";
    case "HEADER.FIELDS":
      return "fields";
    case "HEADER.FIELDS.NOT":
      return "fields-not";
    case "MIME":
      if (inPart) return "mime";
  }
  throw new ImapSyntaxError("Unknown section");
}

function parsePartial(parser: Parser): Partial | undefined {
  if (!parser.tryChar("<")) return undefined;
  const offset = parser.number64();
  parser.char(".");
  const length = parser.number64();
  if (length === 0) throw new ImapSyntaxError("Partial length must not be 0");
  parser.char(">");
  return { offset, length };
}

/** A field's name as the answer repeats it. */
function formatField(name: string): string {
  return /^[!#$&'+\-./0-9:;<=>?@A-Z^_`a-z|}~]+$/.test(name) ? name : `"${name.replace(/["\\]/g, "\\$&")}"`;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
