import { type Address, decodeWords, formatAddress, type HeaderBlock, parseAddresses } from "@restante/mime";
import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";
import { utf8 } from "../../crypto/index.ts";
import { foldField } from "./fold.ts";

/**
 * The texts that lists show and that are searched most, folded: what a page of them holds of some emails, a run for each field.
 * They follow from headers, so that a page may be lost, or left out for a while: what it does not tell, headers do.
 */
export const LIST_FIELDS = ["from", "to", "cc", "subject"] as const;
export type ListField = (typeof LIST_FIELDS)[number];

/** Status of an email's field: its text is not known, the email has no such field, the text is there. */
export const NOT_KNOWN = 0;
export const ABSENT = 1;
export const PRESENT = 2;

/** Stands between two texts, and in none that is kept: what is looked for has none either, so that no find reaches from one
 * email into the next. */
export const SEPARATOR = "\0";
/** Characters of one email's text; a longer one is left to the header. */
export const LIST_TEXT_CHARS_MAX = 4096;

/** One field of some emails. */
export interface TextRun {
  /** Of each email one of the three above. */
  readonly status: Uint8Array;
  /** Texts in their order, between separators, as UTF-8; "" for those that have none. */
  readonly texts: Uint8Array;
}

const FORMAT = 1;

/** The texts of all fields of this name, as they are searched. */
export function listTexts(header: HeaderBlock, field: ListField): string[] {
  const text = field === "subject" ? decodeWords : addressText;
  return header.values(field).map((value) => foldField(text(value)));
}

/** True for the texts of one email and field that can be kept: one at most, and not too long a one. */
export function isKept(texts: readonly string[]): boolean {
  const [text = ""] = texts;
  return texts.length < 2 && text.length <= LIST_TEXT_CHARS_MAX && !text.includes(SEPARATOR) && text.isWellFormed();
}

/** The addresses of a field's value, a line each, decoded and without comments: `Name <local@domain>`. */
export function addressText(value: string): string {
  const line = (address: Address): string => {
    const name = address.name === undefined ? "" : decodeWords(address.name);
    if (address.kind === "group") return [`${name}:`, ...address.members.map(line)].join("\n");
    return `${name} <${decodeWords(formatAddress(address))}>`;
  };
  return parseAddresses(value).map(line).join("\n");
}

/** Collects a run, email by email. */
export class TextRunWriter {
  readonly #status: Uint8Array;
  readonly #texts: string[];

  constructor(emails: number) {
    this.#status = new Uint8Array(emails);
    this.#texts = new Array<string>(emails).fill("");
  }

  /** Sets the text of an email, one that {@link isKept}; undefined if the email has no such field. */
  set(at: number, text: string | undefined): void {
    this.#status[at] = text === undefined ? ABSENT : PRESENT;
    this.#texts[at] = text ?? "";
  }

  end(): TextRun {
    return { status: this.#status, texts: utf8(this.#texts.join(SEPARATOR)) };
  }
}

/** A page of texts: a run for each of {@link LIST_FIELDS}. */
export function encodeTextPage(runs: readonly TextRun[]): Uint8Array {
  return encode([FORMAT, runs.map(({ status, texts }) => [status, texts])]);
}

/** Throws RangeError on anything that {@link encodeTextPage} does not make. */
export function decodeTextPage(page: Uint8Array): TextRun[] {
  const fields = Fields.decode(page);
  if (fields.integer() !== FORMAT) throw new RangeError("texts of an unknown format");
  const runs = fields.list((run) => ({ status: run.bytes(), texts: run.bytes() }));
  fields.end();
  const emails = runs[0]?.status.length ?? 0;
  const isWhole = ({ status, texts }: TextRun): boolean => status.length === emails && countOf(0, texts) === emails - 1;
  if (runs.length !== LIST_FIELDS.length || !runs.every(isWhole)) throw new RangeError("a field's texts are missing");
  return runs;
}

function countOf(byte: number, bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(byte); at >= 0; at = bytes.indexOf(byte, at + 1)) count++;
  return count;
}

/** The texts of a run between separators, one for each email. */
export function joinedTexts({ texts }: TextRun): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(texts);
}
