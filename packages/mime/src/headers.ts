import { binaryText } from "./binary.ts";

/** One field of a header block: RFC 5322 §2.2. Text is binary: one character an octet. */
export interface HeaderField {
  /** As it is written. */
  readonly name: string;
  /** Unfolded, without the white space around it. */
  readonly value: string;
  /** Octets of the field in its block, with its line ends. */
  readonly start: number;
  readonly end: number;
}

/** The fields of a block, in order. Lines that are no field (no colon, no continuation) are passed over. */
export function parseHeaders(block: Uint8Array): HeaderField[] {
  const text = binaryText(block);
  const fields: HeaderField[] = [];
  for (let start = 0; start < text.length; ) {
    const end = fieldEnd(text, start);
    if (isBlank(text, start)) break;
    const colon = text.indexOf(":", start);
    if (colon >= 0 && colon < end) {
      const name = text.slice(start, colon).trimEnd();
      if (name !== "" && !/[\r\n]/.test(name))
        fields.push({ name, value: unfold(text.slice(colon + 1, end)), start, end });
    }
    start = end;
  }
  return fields;
}

function isBlank(text: string, at: number): boolean {
  return text[at] === "\n" || (text[at] === "\r" && text[at + 1] === "\n");
}

/** Where the field that begins at `start` ends: continuation lines begin with white space. */
function fieldEnd(text: string, start: number): number {
  let end = start;
  do {
    const newline = text.indexOf("\n", end);
    if (newline < 0) return text.length;
    end = newline + 1;
  } while (text[end] === " " || text[end] === "\t");
  return end;
}

/** RFC 5322 §2.2.3: the line ends go, the white space stays. */
export function unfold(value: string): string {
  return value.replace(/\r?\n/g, "").trim();
}

/** The value of the first field of that name (any case), unfolded. */
export function findHeader(fields: readonly HeaderField[], name: string): string | undefined {
  const wanted = name.toLowerCase();
  return fields.find((field) => field.name.toLowerCase() === wanted)?.value;
}

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;

/** Distinct names of fields that are kept once for all blocks; mail has a few hundred. */
const NAMES_KEPT = 4096;
const keptNames = new Map<string, string>();

/**
 * A header block for those who ask for some of its fields, again and again: it is walked once, and its fields' names
 * and places are kept, as {@link parseHeaders} has them; values are made only where they are asked for.
 */
export class HeaderBlock {
  readonly bytes: Uint8Array;
  /** In lower case. */
  readonly #names: string[] = [];
  /** Of each field: where it begins, where its colon is, where it ends. */
  #places: Uint32Array | undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** HEADER.FIELDS and HEADER.FIELDS.NOT: RFC 9051 §6.4.5.1. `names` are in lower case. Order and folding stay; an empty
   * line ends it. */
  select(names: ReadonlySet<string>, not: boolean): Uint8Array {
    const places = this.#walked();
    let size = 2;
    for (let field = 0; field < this.#names.length; field++)
      if (names.has(this.#names[field]!) !== not) size += places[field * 3 + 2]! - places[field * 3]!;
    const out = new Uint8Array(size);
    let at = 0;
    let from = 0;
    let to = 0;
    const copy = (): void => {
      out.set(this.bytes.subarray(from, to), at);
      at += to - from;
    };
    for (let field = 0; field < this.#names.length; field++) {
      if (names.has(this.#names[field]!) === not) continue;
      const start = places[field * 3]!;
      // Neighbours are copied in one go.
      if (start !== to) {
        copy();
        from = start;
      }
      to = places[field * 3 + 2]!;
    }
    copy();
    out[size - 2] = CR;
    out[size - 1] = LF;
    return out;
  }

  /** The values of the fields of one name (in lower case), unfolded. */
  values(name: string): string[] {
    const places = this.#walked();
    const values: string[] = [];
    for (let field = this.#names.indexOf(name); field >= 0; field = this.#names.indexOf(name, field + 1))
      values.push(unfold(binaryText(this.bytes.subarray(places[field * 3 + 1]! + 1, places[field * 3 + 2]))));
    return values;
  }

  #walked(): Uint32Array {
    if (this.#places) return this.#places;
    const places: number[] = [];
    walkFields(this.bytes, (start, nameEnd, colon, end) => {
      this.#names.push(keptName(binaryText(this.bytes.subarray(start, nameEnd)).toLowerCase()));
      places.push(start, colon, end);
    });
    this.#places = Uint32Array.from(places);
    return this.#places;
  }
}

function keptName(name: string): string {
  const kept = keptNames.get(name);
  if (kept !== undefined) return kept;
  if (keptNames.size < NAMES_KEPT) keptNames.set(name, name);
  return name;
}

/** Walks the fields of a block, making nothing: octets `start` to `nameEnd` are the name, the value begins behind the
 * colon and ends at `end`. */
function walkFields(
  block: Uint8Array,
  visit: (start: number, nameEnd: number, colon: number, end: number) => void,
): void {
  for (let start = 0; start < block.length; ) {
    if (block[start] === LF || (block[start] === CR && block[start + 1] === LF)) return;
    let end = endOfLine(block, start);
    let colon = findColon(block, start, end);
    while (block[end] === SPACE || block[end] === TAB) {
      const lineStart = end;
      end = endOfLine(block, end);
      // White space before the colon may be folded: RFC 5322 §4.5.
      if (colon < 0) colon = findColon(block, lineStart, end);
    }
    const nameEnd = endOfName(block, start, colon);
    if (nameEnd > start) visit(start, nameEnd, colon, end);
    start = end;
  }
}

function findColon(block: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; at++) if (block[at] === COLON) return at;
  return -1;
}

/** Behind the line's end. */
function endOfLine(block: Uint8Array, start: number): number {
  const at = block.indexOf(LF, start);
  return at < 0 ? block.length : at + 1;
}

/** The name's end without the white space before the colon; `start` if it is no name. */
function endOfName(block: Uint8Array, start: number, colon: number): number {
  let end = colon;
  while (end > start && isWhite(block[end - 1]!)) end--;
  for (let at = start; at < end; at++) if (block[at] === LF || block[at] === CR) return start;
  return end;
}

/** What `trim` takes away, of one octet. */
function isWhite(byte: number): boolean {
  return byte === SPACE || (byte >= TAB && byte <= CR) || byte === 0xa0;
}
