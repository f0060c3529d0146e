import { findHeader, type MailDate, parseDate, parseHeaders } from "@restante/mime";

/** The years that INTERNALDATE can say: RFC 9051 §9, date-year. */
const TIME_MIN_MS: number = Date.parse("0001-01-01T00:00:00Z");
const TIME_MAX_MS: number = Date.UTC(9999, 11, 31, 23, 59, 59);
/** Minutes that no zone has. */
const ZONE_MINUTES_MAX: number = 24 * 60;

/** When a mail came: as its place says, else as its own fields do, the newest Received before Date, else the beginning of
 * time. A date outside INTERNALDATE's range is passed over. */
export function receivedOf(told: MailDate | undefined, header: Uint8Array): MailDate {
  const said = told && saneDate(told);
  if (said) return said;
  const fields = parseHeaders(header);
  const newest = findHeader(fields, "received")?.split(";").at(-1);
  for (const text of [newest, findHeader(fields, "date")]) {
    const date = parseDate(text ?? "");
    const sane = date && saneDate(date);
    if (sane) return sane;
  }
  return { timeMs: 0, zoneMinutes: 0 };
}

function saneDate({ timeMs, zoneMinutes }: MailDate): MailDate | undefined {
  if (!Number.isInteger(timeMs) || timeMs < TIME_MIN_MS || timeMs > TIME_MAX_MS) return undefined;
  const isZone = Number.isInteger(zoneMinutes) && Math.abs(zoneMinutes) < ZONE_MINUTES_MAX;
  return { timeMs, zoneMinutes: isZone ? zoneMinutes : 0 };
}
