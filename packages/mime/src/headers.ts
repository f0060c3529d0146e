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

/** HEADER.FIELDS and HEADER.FIELDS.NOT: RFC 9051 §6.4.5.1. Order and folding stay; an empty line ends it. */
export function selectHeaderFields(block: Uint8Array, names: readonly string[], not: boolean): Uint8Array {
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  const chosen = parseHeaders(block).filter(({ name }) => wanted.has(name.toLowerCase()) !== not);
  const size = chosen.reduce((sum, { start, end }) => sum + end - start, 0);
  const out = new Uint8Array(size + 2);
  let at = 0;
  for (const { start, end } of chosen) {
    out.set(block.subarray(start, end), at);
    at += end - start;
  }
  out.set([13, 10], at);
  return out;
}
