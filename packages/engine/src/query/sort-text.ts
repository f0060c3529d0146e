import { baseSubjectOf, type HeaderBlock } from "@restante/mime";
import { type ListField, listTexts } from "../mail/contents/list-text.ts";
import type { SortedText } from "./kept-headers.ts";

/**
 * Keys to sort messages by, which follow from the folded text that lists show of a field: so a checkpoint's pages of these
 * texts give the same keys as headers do, and no page of keys is needed. Folded first, a letter's compatibility forms are
 * that letter in any case, where i;unicode-casemap (RFC 5051 §2) tells some of them apart from its capital.
 */

/** Characters of a text that it is sorted by; what is equal so far is equal. */
const TEXT_KEY_CHARS_MAX = 64;

const FIELDS: Readonly<Record<SortedText, ListField>> = {
  subject: "subject",
  from: "from",
  to: "to",
  cc: "cc",
  "from-name": "from",
  "to-name": "to",
};

export function isSortedText(by: unknown): by is SortedText {
  return typeof by === "string" && Object.hasOwn(FIELDS, by);
}

/** The field whose text decides. */
export function fieldOf(by: SortedText): ListField {
  return FIELDS[by];
}

/** The key of a message whose field has this folded text, "" if it has none. */
export function sortText(by: SortedText, text: string): string {
  return own(casemap(textOf(by, text)).slice(0, TEXT_KEY_CHARS_MAX));
}

export function sortTextOf(by: SortedText, header: HeaderBlock): string {
  return sortText(by, listTexts(header, fieldOf(by))[0] ?? "");
}

function textOf(by: SortedText, text: string): string {
  switch (by) {
    case "subject":
      return baseSubjectOf(text).base;
    case "from":
    case "to":
    case "cc":
      return firstAddress(text).local;
    case "from-name":
    case "to-name":
      return firstAddress(text).shown;
  }
}

/** The first of some addresses, a line each: `name <address>`, or a group's `name:` with its members behind it. */
function firstAddress(text: string): { readonly local: string; readonly shown: string } {
  const [first = "", second = ""] = text.split("\n", 2);
  // RFC 5957 §3.1: a group is shown by its name; RFC 5256 §3 has no word on its address: that of the first member.
  if (first.endsWith(":")) return { local: localOf(second), shown: first.slice(0, -1) };
  const at = nameEnd(first);
  return { local: localOf(first), shown: at > 0 ? first.slice(0, at) : first.slice(at + 2, -1) };
}

function localOf(line: string): string {
  const address = line.slice(nameEnd(line) + 2, -1);
  const at = address.lastIndexOf("@");
  return at < 0 ? address : address.slice(0, at);
}

function nameEnd(line: string): number {
  return line.lastIndexOf(" <");
}

/** The order of i;unicode-casemap, which RFC 5256 §3 asks for: in capitals, with marks apart from their letters. */
function casemap(text: string): string {
  return text.toUpperCase().normalize("NFKD");
}

/** A text of its own: a slice would keep its whole header in memory. */
function own(text: string): string {
  return [...text].join("");
}
