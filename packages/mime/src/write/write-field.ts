import { LINE_BYTES_MAX } from "../limits.ts";
import { FoldedLine, type HeaderStyle, utf8Length } from "./folded-line.ts";
import { type NewGroup, type NewMailbox, writeAddresses } from "./write-addresses.ts";
import { oneLine, writeText } from "./write-text.ts";

/** A field to be written, its value in one of the forms of RFC 8621 §4.1.2. */
export type NewField = { readonly name: string } & NewValue;
export type NewValue =
  /** Octets as they are to stand behind the colon, leading space and folding too, one character each or as Unicode. */
  | { readonly form: "raw"; readonly value: string }
  | { readonly form: "text"; readonly value: string }
  | { readonly form: "addresses"; readonly value: readonly NewMailbox[] }
  | { readonly form: "groupedAddresses"; readonly value: readonly NewGroup[] }
  /** Without angle brackets. */
  | { readonly form: "messageIds"; readonly value: readonly string[] }
  /** Milliseconds since 1970, and minutes east of UTC. */
  | { readonly form: "date"; readonly value: NewDate }
  | { readonly form: "urls"; readonly value: readonly string[] };

export interface NewDate {
  readonly timeMs: number;
  readonly zoneMinutes: number;
}

/** Characters of a field's name, which can't be folded. */
const NAME_CHARS_MAX = 76;
/** RFC 5322 §3.6.8. */
const NAME = /^[!-9;-~]+$/;
/** Characters of a message id or URL: more would leave no room on a line. */
const ID_CHARS_MAX = 900;

/** The field's lines, with their line ends; empty for a list of nothing. Throws RangeError for a name or value that no field
 * can have. */
export function writeField(field: NewField, style: HeaderStyle): string {
  const { name } = field;
  // None begins like a delimiter.
  if (name.length > NAME_CHARS_MAX || !NAME.test(name) || name.startsWith("--"))
    throw new RangeError("not a field's name");
  if (field.form === "raw" && isWholeValue(name, field.value, style)) return `${name}:${field.value}\r\n`;
  const line = new FoldedLine(name);
  switch (field.form) {
    case "raw":
      writeText(line, oneLine(field.value).trim(), style);
      break;
    case "text":
      writeText(line, field.value, style);
      break;
    case "addresses":
      if (field.value.length === 0) return "";
      writeAddresses(line, [{ name: undefined, addresses: field.value }], style);
      break;
    case "groupedAddresses":
      if (!field.value.some(({ name: group, addresses }) => group !== undefined || addresses.length > 0)) return "";
      writeAddresses(line, field.value, style);
      break;
    case "messageIds":
      if (field.value.length === 0) return "";
      for (const id of field.value) line.piece(`<${messageId(id, style)}>`);
      break;
    case "date":
      line.piece(formatMailDate(field.value));
      break;
    case "urls":
      if (field.value.length === 0) return "";
      for (const [index, url] of field.value.entries()) {
        if (index > 0) line.close(",");
        line.piece(`<${urlText(url)}>`);
      }
      break;
  }
  return line.text;
}

/** True for a raw value that can stand as it is: lines of a bounded length, each further line with white space and then
 * something, and no octet that is not declared. */
function isWholeValue(name: string, value: string, { utf8 }: HeaderStyle): boolean {
  const [first, ...further] = value.split("\r\n");
  const lines = [`${name}:${first}`, ...further];
  return (
    value.isWellFormed() &&
    lines.every((line) => utf8Length(line) <= LINE_BYTES_MAX) &&
    (utf8 ? /^[^\x00-\x08\x0a-\x1f\x7f]*$/ : /^[\t\x20-\x7e]*$/).test(lines.join("")) &&
    further.every((line) => /^[ \t]+[^ \t]/.test(line))
  );
}

/** An id without its angle brackets: RFC 5322 §3.6.4. Ids come from others' mails, so that more is taken than the grammar
 * has. */
export function messageId(id: string, { utf8 }: HeaderStyle): string {
  const isId = (utf8 ? /^[^\x00-\x20\x7f<>]+$/ : /^[!-;=?-~]+$/).test(id) && id.isWellFormed();
  if (!isId || utf8Length(id) > ID_CHARS_MAX) throw new RangeError("not a message id");
  return id;
}

/** The URL with percent-encoding for characters that no URL may have: RFC 3986 §2.1. Throws RangeError if it is too long. */
export function urlText(url: string): string {
  const text = url
    .toWellFormed()
    .replace(/[^!#-;=?-~]/gu, (char) =>
      Array.from(new TextEncoder().encode(char), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(
        "",
      ),
    );
  if (text.length > ID_CHARS_MAX) throw new RangeError("a URL is too long");
  return text;
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `date-time` of RFC 5322 §3.3. Throws RangeError for a year before 1900 or after 9999, or a zone of a day or more. */
export function formatMailDate({ timeMs, zoneMinutes }: NewDate): string {
  const local = new Date(timeMs + zoneMinutes * 60_000);
  const year = local.getUTCFullYear();
  if (!(year >= 1900 && year <= 9999) || !Number.isInteger(zoneMinutes) || Math.abs(zoneMinutes) >= 24 * 60)
    throw new RangeError("not a date");
  const two = (value: number): string => String(value).padStart(2, "0");
  const zone = Math.abs(zoneMinutes);
  return (
    `${DAYS[local.getUTCDay()]}, ${local.getUTCDate()} ${MONTHS[local.getUTCMonth()]} ${year} ` +
    `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())} ` +
    `${zoneMinutes < 0 ? "-" : "+"}${two(Math.floor(zone / 60))}${two(zone % 60)}`
  );
}
