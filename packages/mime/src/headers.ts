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

/** Walks the fields of a block as {@link parseHeaders} has them, making nothing: octets `start` to `nameEnd` are the
 * name, the value begins behind the colon and ends at `end`. */
function walkFields(
  block: Uint8Array,
  visit: (start: number, nameEnd: number, colon: number, end: number) => void,
): void {
  for (let start = 0; start < block.length; ) {
    if (block[start] === LF || (block[start] === CR && block[start + 1] === LF)) return;
    let at = start;
    while (at < block.length && block[at] !== COLON && block[at] !== LF) at++;
    let colon = block[at] === COLON ? at : -1;
    for (;;) {
      while (at < block.length && block[at] !== LF) at++;
      at++;
      if (at >= block.length || (block[at] !== SPACE && block[at] !== TAB)) break;
      // White space before the colon may be folded: RFC 5322 §4.5.
      if (colon < 0) {
        while (at < block.length && block[at] !== COLON && block[at] !== LF) at++;
        if (block[at] === COLON) colon = at;
      }
    }
    const end = Math.min(at, block.length);
    const nameEnd = endOfName(block, start, colon);
    if (nameEnd > start) visit(start, nameEnd, colon, end);
    start = end;
  }
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

/** Names of fields, compared without regard to the case of ASCII letters. */
class FieldNames {
  readonly #byLength: Uint8Array[][] = [];

  constructor(names: readonly string[]) {
    for (const name of names) {
      const bytes = new TextEncoder().encode(name).map(lower);
      const others = this.#byLength[bytes.length] ?? [];
      this.#byLength[bytes.length] = [...others, bytes];
    }
  }

  has(block: Uint8Array, start: number, end: number): boolean {
    const names = this.#byLength[end - start];
    if (!names) return false;
    for (const name of names) {
      let at = 0;
      while (at < name.length && lower(block[start + at]!) === name[at]) at++;
      if (at === name.length) return true;
    }
    return false;
  }
}

function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}

/** HEADER.FIELDS and HEADER.FIELDS.NOT: RFC 9051 §6.4.5.1, made once for many blocks. Order and folding stay; an empty
 * line ends it. */
export function selectHeaderFields(names: readonly string[], not: boolean): (block: Uint8Array) => Uint8Array {
  const wanted = new FieldNames(names);
  const spans: number[] = [];
  return (block) => {
    spans.length = 0;
    let size = 2;
    walkFields(block, (start, nameEnd, _colon, end) => {
      if (wanted.has(block, start, nameEnd) === not) return;
      size += end - start;
      // Neighbours are copied in one go.
      if (spans.at(-1) === start) spans[spans.length - 1] = end;
      else spans.push(start, end);
    });
    const out = new Uint8Array(size);
    let at = 0;
    for (let i = 0; i < spans.length; i += 2) {
      const piece = block.subarray(spans[i], spans[i + 1]);
      out.set(piece, at);
      at += piece.length;
    }
    out[at] = CR;
    out[at + 1] = LF;
    return out;
  };
}

/** The values of the fields of one name (any case), unfolded: made once for many blocks. */
export function headerValues(name: string): (block: Uint8Array) => string[] {
  const wanted = new FieldNames([name]);
  return (block) => {
    const values: string[] = [];
    walkFields(block, (start, nameEnd, colon, end) => {
      if (wanted.has(block, start, nameEnd)) values.push(unfold(binaryText(block.subarray(colon + 1, end))));
    });
    return values;
  };
}
