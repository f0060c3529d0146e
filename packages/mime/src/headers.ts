import { binaryText } from "./binary.ts";
import { trimSpace } from "./tokens.ts";

/** Names of the fields that ENVELOPE tells, in lower case. */
export const ENVELOPE_FIELDS: ReadonlySet<string> = new Set([
  ...["date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id"],
]);

/** One field of a header block: RFC 5322 §2.2. Text is binary: one character an octet. */
export interface HeaderField {
  /** As it is written. */
  readonly name: string;
  /** The same in lower case. */
  readonly key: string;
  /** Unfolded, without the white space around it. */
  readonly value: string;
  /** Octets of the field in its block, with its line ends. */
  readonly start: number;
  readonly end: number;
}

/** The fields of a block, in order. Lines that are no field (no colon, no continuation) are passed over. */
export function parseHeaders(block: Uint8Array): HeaderField[] {
  return fieldsOf(binaryText(block));
}

function fieldsOf(text: string): HeaderField[] {
  const fields: HeaderField[] = [];
  walkFields(text, (name, start, colon, end) => {
    fields.push({ name, key: name.toLowerCase(), value: unfold(text.slice(colon + 1, end)), start, end });
  });
  return fields;
}

/** Tells of each field its name, as it is written, and where it begins, where its colon is and where it ends. */
function walkFields(text: string, visit: (name: string, start: number, colon: number, end: number) => void): void {
  let colon = text.indexOf(":");
  for (let start = 0; start < text.length && colon >= 0; ) {
    if (isBlank(text, start)) return;
    const end = fieldEnd(text, start);
    if (colon < start) colon = text.indexOf(":", start);
    if (colon >= 0 && colon < end) {
      const name = trimSpace(text.slice(start, colon));
      if (name !== "" && !LINE_END.test(name)) visit(name, start, colon, end);
    }
    start = end;
  }
}

const LINE_END = /[\r\n]/;
const EMPTY_LINE_LAST = /(?:^|\n)(\r{0,2}\n)$/;

/** CRs before an LF that are one line end with it: some gateways double them. */
const LINE_END_CRS_MAX = 2;

function isBlank(text: string, start: number): boolean {
  let at = start;
  while (text[at] === "\r" && at - start < LINE_END_CRS_MAX) at++;
  return text[at] === "\n";
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
  const trimmed = trimSpace(value);
  return trimmed.includes("\n") ? trimmed.replace(/\r{0,2}\n/g, "") : trimmed;
}

/** The value of the first field of that name (in lower case), unfolded. */
export function findHeader(fields: readonly HeaderField[], name: string): string | undefined {
  return fields.find(({ key }) => key === name)?.value;
}

/** Distinct names of fields that are kept once for all blocks (mail has a few hundred), and characters of one. */
const NAMES_KEPT = 4096;
const KEPT_NAME_CHARS_MAX = 64;
const keptNames = new Map<string, string>();

/**
 * A header block for those who ask for some of its fields, again and again: it is walked once, and its fields' names
 * and places are kept; values are made only where they are asked for.
 */
export class HeaderBlock {
  /** Binary: one character an octet. */
  readonly text: string;
  /** In lower case. */
  readonly #names: string[] = [];
  /** Of each field: where it begins, where its colon is, where it ends. */
  #places: Uint32Array | undefined;

  constructor(block: Uint8Array) {
    this.text = binaryText(block);
  }

  fields(): HeaderField[] {
    return fieldsOf(this.text);
  }

  /** HEADER.FIELDS and HEADER.FIELDS.NOT: RFC 9051 §6.4.5.1. `names` are in lower case. Order and folding stay. An empty
   * line ends what was chosen; what is left behind ends as the block does. */
  select(names: ReadonlySet<string>, not: boolean): string {
    const places = this.#walked();
    let out = "";
    let from = 0;
    let to = 0;
    for (let field = 0; field < this.#names.length; field++) {
      if (names.has(this.#names[field]!) === not) continue;
      const start = places[field * 3]!;
      // Neighbours are taken in one go.
      if (start !== to) {
        out += this.text.slice(from, to);
        from = start;
      }
      to = places[field * 3 + 2]!;
    }
    const end = not ? (EMPTY_LINE_LAST.exec(this.text.slice(-4))?.[1] ?? "") : "\r\n";
    return `${out}${this.text.slice(from, to)}${end}`;
  }

  /** The values of the fields of one name (in lower case), unfolded. */
  values(name: string): string[] {
    const places = this.#walked();
    const values: string[] = [];
    for (let field = this.#names.indexOf(name); field >= 0; field = this.#names.indexOf(name, field + 1))
      values.push(unfold(this.text.slice(places[field * 3 + 1]! + 1, places[field * 3 + 2])));
    return values;
  }

  /** The values of the fields of one name (in lower case), as they are written behind the colon: folded, with their white
   * space, without the line end that ends them. */
  rawValues(name: string): string[] {
    const values: string[] = [];
    const places = this.#walked();
    for (let field = this.#names.indexOf(name); field >= 0; field = this.#names.indexOf(name, field + 1))
      values.push(this.#raw(places, field));
    return values;
  }

  /** The last of them; undefined if there is no such field. */
  lastRawValue(name: string): string | undefined {
    const places = this.#walked();
    const field = this.#names.lastIndexOf(name);
    return field < 0 ? undefined : this.#raw(places, field);
  }

  /** All fields, in order: the name as it is written, and the value as in {@link rawValues}. */
  rawFields(): { readonly name: string; readonly value: string }[] {
    const places = this.#walked();
    return this.#names.map((_, field) => ({
      name: trimSpace(this.text.slice(places[field * 3]!, places[field * 3 + 1])),
      value: this.#raw(places, field),
    }));
  }

  /** The lines that are no field and go on none, as they are written: some mails begin with their text, or have it there. */
  strayLines(): string[] {
    const places = this.#walked();
    const lines: string[] = [];
    let from = 0;
    for (let field = 0; field <= this.#names.length; field++) {
      const to = places[field * 3] ?? this.text.length;
      while (from < to && !isBlank(this.text, from)) {
        const newline = this.text.indexOf("\n", from);
        const end = newline < 0 ? this.text.length : newline;
        lines.push(trimSpace(this.text.slice(from, end)));
        from = end + 1;
      }
      from = places[field * 3 + 2] ?? to;
    }
    return lines;
  }

  #raw(places: Uint32Array, field: number): string {
    let end = places[field * 3 + 2]!;
    if (this.text[end - 1] === "\n") end--;
    for (let crs = 0; crs < LINE_END_CRS_MAX && this.text[end - 1] === "\r"; crs++) end--;
    return this.text.slice(places[field * 3 + 1]! + 1, end);
  }

  #walked(): Uint32Array {
    if (this.#places) return this.#places;
    const places: number[] = [];
    walkFields(this.text, (name, ...place) => {
      this.#names.push(keptName(name.toLowerCase()));
      places.push(...place);
    });
    this.#places = Uint32Array.from(places);
    return this.#places;
  }
}

function keptName(name: string): string {
  const kept = keptNames.get(name);
  if (kept !== undefined) return kept;
  // A text of its own: a slice would keep its whole block.
  const own = [...name].join("");
  if (keptNames.size < NAMES_KEPT && name.length <= KEPT_NAME_CHARS_MAX) keptNames.set(own, own);
  return own;
}
