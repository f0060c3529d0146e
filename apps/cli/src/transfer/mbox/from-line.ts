import type { MailDate } from "@restante/mime";

/**
 * The line before a message in an mbox file: RFC 4155, Appendix A. Programs write it in many ways. `certain` names
 * sender, time and year; `likely` leaves the time out, so that only what stands around it tells it from text.
 */
export type FromLine = "certain" | "likely" | "bare" | "none";

const MONTHS: readonly string[] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
/** A sender, quoted or not; the line may begin with a byte order mark's rest. */
const SENDER = /^From ((?:"(?:[^"\\]|\\.)*"[^ \t]*|[^ \t"]+))(.*)$/s;
const TIME = /(?<![\d:])(\d{1,2}):(\d{2})(?::(\d{2}))?(?![\d:])/;
const ISO_DATE = /(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)/;
const MONTH = /(?<![a-z])(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?![a-z])/i;
const WEEKDAY = /(?<![a-z])(sun|mon|tue|wed|thu|fri|sat)(?![a-z])/i;
const YEAR = /(?<![\d:+-])(\d{4})(?!\d)/;
/** At the end, as programs wrote it before they thought of 2000; and dates in figures, whose order nobody can tell. */
const SHORT_YEAR = /(?<![\d:+-])(\d{2})$/;
const FIGURES = /(?<!\d)\d{1,4}([./-])\d{1,2}\1\d{1,4}(?!\d)/;
const DAY = /(?<![\d:+-])(\d{1,2})(?![\d:])/;
const ZONE = /([+-])(\d{2})(\d{2})(?!\d)/;
const NAMED_ZONES: Readonly<Record<string, number>> = {
  EST: -300,
  EDT: -240,
  CST: -360,
  CDT: -300,
  MST: -420,
  MDT: -360,
  PST: -480,
  PDT: -420,
};

/** `text` is a line without its end. */
export function classifyFromLine(text: string): FromLine {
  if (/^From[ \t]*$/.test(text)) return text.startsWith("From ") ? "bare" : "none";
  const match = SENDER.exec(text);
  if (!match) return "none";
  const rest = match[2]!.trim();
  if (rest === "") return "likely";
  if (ISO_DATE.test(rest)) return TIME.test(rest) ? "certain" : "likely";
  const isTimed = WEEKDAY.test(rest) && TIME.test(rest);
  if (FIGURES.test(rest)) return TIME.test(rest) ? "likely" : "none";
  if (!MONTH.test(rest) || !(YEAR.test(rest) || (isTimed && SHORT_YEAR.test(rest)))) return "none";
  return isTimed ? "certain" : "likely";
}

/** When the message came, by its From_ line: UTC unless a zone stands there. Undefined if no date does. */
export function parseFromDate(text: string): MailDate | undefined {
  const rest = SENDER.exec(text)?.[2] ?? "";
  const iso = ISO_DATE.exec(rest);
  const time = TIME.exec(rest);
  const year = iso ? Number(iso[1]) : yearIn(rest);
  const month = iso ? Number(iso[2]) - 1 : MONTHS.indexOf(MONTH.exec(rest)?.[1]?.toLowerCase() ?? "");
  const day = Number(iso?.[3] ?? DAY.exec(rest)?.[1]);
  if (!time || !year || month < 0 || month > 11 || !day) return undefined;
  const [hour, minute, second] = [time[1], time[2], time[3]].map((digits) => Number(digits ?? 0));
  const local = Date.UTC(year, month, day, hour, minute, second);
  const zoneMinutes = zoneOf(iso ? rest.slice(iso.index + iso[0].length) : rest);
  return { timeMs: local - zoneMinutes * 60_000, zoneMinutes };
}

function yearIn(text: string): number {
  const short = Number(SHORT_YEAR.exec(text.trimEnd())?.[1]);
  return Number(YEAR.exec(text)?.[1] ?? (short < 70 ? 2000 : 1900) + short);
}

function zoneOf(text: string): number {
  const match = ZONE.exec(text);
  if (match) return (match[1] === "-" ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3]));
  const named = /(?<![A-Za-z])[ECMP][SD]T(?![A-Za-z])/.exec(text);
  return named ? (NAMED_ZONES[named[0]] ?? 0) : 0;
}

/** A From_ line's time, as RFC 4155, Appendix A has it: in UTC. */
export function formatFromDate(timeMs: number): string {
  const date = new Date(timeMs);
  const two = (value: number): string => String(value).padStart(2, "0");
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(":");
  const month = MONTHS[date.getUTCMonth()]!;
  const day = String(date.getUTCDate()).padStart(2, " ");
  return `${DAYS[date.getUTCDay()]} ${month[0]!.toUpperCase()}${month.slice(1)} ${day} ${time} ${date.getUTCFullYear()}`;
}
