import { ImapSyntaxError } from "./parser.ts";

export const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

/** `date-time`, RFC 9051 §9: `" 1-Feb-2026 10:11:12 +0100"`. Milliseconds since 1970 and minutes east of UTC. */
export interface DateTime {
  readonly timeMs: number;
  readonly zoneMinutes: number;
}

const DATE_TIME = /^([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$/;

export function parseDateTime(text: string): DateTime {
  const match = DATE_TIME.exec(text);
  if (!match) throw new ImapSyntaxError("Bad date-time");
  const [, day, month, year, hour, minute, second, sign, zoneHour, zoneMinute] = match as unknown as string[];
  const zoneMinutes = (sign === "-" ? -1 : 1) * (Number(zoneHour) * 60 + Number(zoneMinute));
  const dayMs = civilDay(Number(day), month!, Number(year));
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60 || Number(zoneMinute) > 59)
    throw new ImapSyntaxError("Bad date-time");
  const timeMs = dayMs + ((Number(hour) * 60 + Number(minute) - zoneMinutes) * 60 + Number(second)) * 1000;
  return { timeMs, zoneMinutes };
}

/** `date`, as SEARCH has it: `1-Feb-2026`. Milliseconds of that day's midnight, taken as UTC: RFC 9051 §6.4.4 compares
 * days "disregarding time and timezone". */
export function parseDate(text: string): number {
  const match = /^(\d{1,2})-([A-Za-z]{3})-(\d{4})$/.exec(text);
  if (!match) throw new ImapSyntaxError("Bad date");
  return civilDay(Number(match[1]), match[2]!, Number(match[3]));
}

function civilDay(day: number, monthName: string, year: number): number {
  const month = MONTHS.findIndex((name) => name.toUpperCase() === monthName.toUpperCase());
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  if (month < 0 || date.getUTCMonth() !== month || date.getUTCDate() !== day) throw new ImapSyntaxError("Bad date");
  return date.getTime();
}

export function formatDateTime({ timeMs, zoneMinutes }: DateTime): string {
  const local = new Date(timeMs + zoneMinutes * 60_000);
  const two = (value: number): string => String(value).padStart(2, "0");
  const zone = Math.abs(zoneMinutes);
  return (
    `${String(local.getUTCDate()).padStart(2, " ")}-${MONTHS[local.getUTCMonth()]}-` +
    `${String(local.getUTCFullYear()).padStart(4, "0")} ` +
    `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())} ` +
    `${zoneMinutes < 0 ? "-" : "+"}${two(Math.floor(zone / 60))}${two(zone % 60)}`
  );
}
