import { findHeader, type HeaderField } from "./headers.ts";
import { MESSAGE_IDS_MAX, URLS_MAX } from "./limits.ts";
import { commentEnd } from "./tokens.ts";

/** Milliseconds since 1970, and the zone it was written in, minutes east of UTC. */
export interface MailDate {
  readonly timeMs: number;
  readonly zoneMinutes: number;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/** RFC 5322 §4.3. Single letters mean nothing sure: -0000. */
const ZONES: Record<string, number> = {
  ut: 0,
  gmt: 0,
  utc: 0,
  z: 0,
  est: -300,
  edt: -240,
  cst: -360,
  cdt: -300,
  mst: -420,
  mdt: -360,
  pst: -480,
  pdt: -420,
};
const DATE =
  /^(?:[a-z]{3,9}\.?,?\s+)?(\d{1,2})[\s-]+([a-z]{3})[a-z]*\.?[\s,-]+(\d{2,4})(?:,?\s+(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?(?:\.\d+)?\s*([ap]m)?\s*([+-]\s?\d{3,4}|[a-z]{1,5})?)?/i;

/** RFC 5322 §3.3, obsolete forms and common slips included; undefined for what is no date. */
export function parseDate(value: string): MailDate | undefined {
  const match = DATE.exec(stripComments(value).trim());
  if (!match) return undefined;
  const [, day, monthName, yearText, hour = "0", minute = "0", second = "0", half, zone] = match as unknown as string[];
  const month = MONTHS.indexOf(monthName!.toLowerCase());
  if (month < 0) return undefined;
  const year = fullYear(yearText!);
  const hours = half ? (Number(hour) % 12) + (half.toLowerCase() === "pm" ? 12 : 0) : Number(hour);
  if (Number(day) < 1 || Number(day) > 31 || hours > 24 || Number(minute) > 59 || Number(second) > 60) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month, Number(day));
  date.setUTCHours(hours, Number(minute), Number(second));
  const zoneMinutes = parseZone(zone);
  const timeMs = date.getTime() - zoneMinutes * 60_000;
  return Number.isFinite(timeMs) ? { timeMs, zoneMinutes } : undefined;
}

/** RFC 5322 §4.3: two digits below 50 are of this century, three are from 1900. */
function fullYear(text: string): number {
  const year = Number(text);
  if (text.length === 2) return year < 50 ? 2000 + year : 1900 + year;
  return text.length === 3 ? 1900 + year : year;
}

function parseZone(zone: string | undefined): number {
  if (!zone) return 0;
  const named = ZONES[zone.toLowerCase()];
  if (named !== undefined) return named;
  const match = /^([+-])\s?(\d{1,2})(\d{2})$/.exec(zone);
  if (!match) return 0;
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  if (minutes > 24 * 60) return 0;
  return match[1] === "-" ? -minutes : minutes;
}

export function stripComments(value: string): string {
  let out = "";
  for (let at = 0; at < value.length; ) {
    if (value[at] === "(") {
      out += " ";
      at = commentEnd(value, at);
    } else out += value[at++];
  }
  return out;
}

/** `<…>` of a field, without the angles: RFC 5322 §3.6.4. A text in a comment is no id. */
export function parseMessageIds(value: string): string[] {
  return anglesOf(value, MESSAGE_IDS_MAX);
}

/** The URLs of a list field, without the angles: RFC 2369 §2. Commas, comments and words between them are passed over. */
export function parseUrls(value: string): string[] {
  return anglesOf(value, URLS_MAX);
}

/** Texts in angle brackets, without white space; at most `max`. A parenthesis that nothing closes begins no comment. */
function anglesOf(value: string, max: number): string[] {
  const found: string[] = [];
  let comment = value.indexOf("(");
  for (let at = 0; at < value.length && found.length < max; ) {
    const open = value.indexOf("<", at);
    if (open < 0) break;
    if (comment >= 0 && comment < at) comment = value.indexOf("(", at);
    if (comment >= 0 && comment < open) {
      const end = commentEnd(value, comment);
      const isClosed = value[end - 1] === ")";
      at = isClosed ? end : comment + 1;
      if (!isClosed) comment = -1;
      continue;
    }
    const close = value.indexOf(">", open);
    if (close < 0) break;
    const within = value.slice(open, close);
    const text = within.slice(within.lastIndexOf("<") + 1).replace(/[\t-\r ]+/g, "");
    if (text !== "") found.push(text);
    at = close + 1;
  }
  return found;
}

/** The messages that this one follows, oldest first: RFC 5256 §3, REFERENCES step 1. */
export function references(fields: readonly HeaderField[]): string[] {
  const listed = parseMessageIds(findHeader(fields, "references") ?? "");
  return listed.length > 0 ? listed : parseMessageIds(findHeader(fields, "in-reply-to") ?? "").slice(0, 1);
}
