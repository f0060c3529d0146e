/** How far a zone is from UTC: minutes east of it, at a moment in milliseconds since 1970. */
export type OffsetAt = (timeMs: number) => number;

const MINUTE_MS = 60_000;
const BYTES = 172;
const STANDARD_NAME = 4;
const STANDARD_DATE = 68;
const DAYLIGHT_NAME = 88;
const DAYLIGHT_DATE = 152;
const DAYLIGHT_BIAS = 168;
const NAME_CHARS_MAX = 31;

/** A moment at which a zone's offset changes. */
interface Change {
  readonly timeMs: number;
  readonly before: number;
  readonly after: number;
}

/**
 * A zone as phones have it (MS-ASDTYPE §2.7.6): its offset, and the days of a year between which clocks are put on. A zone
 * that changes in another way than twice a year by weekdays is told as it is in that year.
 */
export function timeZoneBlob(offsetAt: OffsetAt, year: number, name = ""): string {
  const changes = changesIn(offsetAt, year);
  const [first, second, ...more] = changes;
  const bytes = Buffer.alloc(BYTES);
  const isSummer = first && second && more.length === 0;
  const standard = isSummer ? Math.min(first.after, second.after) : offsetAt(Date.UTC(year, 0, 1));
  bytes.writeInt32LE(-standard, 0);
  bytes.write(name.slice(0, NAME_CHARS_MAX), STANDARD_NAME, "utf16le");
  if (isSummer) {
    const [on, off] = first.after > first.before ? [first, second] : [second, first];
    bytes.write(name.slice(0, NAME_CHARS_MAX), DAYLIGHT_NAME, "utf16le");
    writeDate(bytes, STANDARD_DATE, off);
    writeDate(bytes, DAYLIGHT_DATE, on);
    bytes.writeInt32LE(-(on.after - standard), DAYLIGHT_BIAS);
  }
  return bytes.toString("base64");
}

/** Looked for from month to month, then by halves. */
function changesIn(offsetAt: OffsetAt, year: number): Change[] {
  const changes: Change[] = [];
  for (let month = 0; month < 12; month++) {
    let low = Date.UTC(year, month, 1);
    let high = Date.UTC(year, month + 1, 1);
    const [before, after] = [offsetAt(low), offsetAt(high)];
    if (before === after) continue;
    while (high - low > MINUTE_MS) {
      const middle = Math.floor((low + high) / 2 / MINUTE_MS) * MINUTE_MS;
      if (middle === low) break;
      if (offsetAt(middle) === before) low = middle;
      else high = middle;
    }
    changes.push({ timeMs: high, before, after });
  }
  return changes;
}

/** SYSTEMTIME as a rule: no year; month, weekday, which of them in the month (5: the last), and the time on the old clock. */
function writeDate(bytes: Buffer, at: number, { timeMs, before }: Change): void {
  const local = new Date(timeMs + before * MINUTE_MS);
  const day = local.getUTCDate();
  const days = new Date(Date.UTC(local.getUTCFullYear(), local.getUTCMonth() + 1, 0)).getUTCDate();
  const which = day + 7 > days ? 5 : Math.ceil(day / 7);
  const words = [0, local.getUTCMonth() + 1, local.getUTCDay(), which, local.getUTCHours(), local.getUTCMinutes()];
  for (const [place, word] of words.entries()) bytes.writeUInt16LE(word, at + place * 2);
}

/** The offsets of a zone that IANA knows; undefined for another. */
export function ianaOffsets(zone: string): OffsetAt | undefined {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
    });
  } catch {
    // No zone of that name.
    return undefined;
  }
  return (timeMs) => {
    const whole = Math.floor(timeMs / MINUTE_MS) * MINUTE_MS;
    const parts = Object.fromEntries(format.formatToParts(whole).map(({ type, value }) => [type, Number(value)]));
    const { year, month, day, hour, minute } = parts as Record<string, number>;
    return Math.round((Date.UTC(year!, month! - 1, day!, hour!, minute!) - whole) / MINUTE_MS);
  };
}

export const UTC_OFFSETS: OffsetAt = () => 0;
