/** Dates of the protocol, of which it has two forms: MS-ASDTYPE §2.6. */

/** `2026-03-01T09:30:00.000Z`. Of what no date can say the nearest that can. */
export function dashed(timeMs: number): string {
  return new Date(bounded(timeMs)).toISOString();
}

/** Milliseconds since 1970, of either form; undefined for none. */
export function readDate(text: string): number | undefined {
  const match = /^(\d{4})-?(\d{2})-?(\d{2})T(\d{2}):?(\d{2}):?(\d{2})(?:\.(\d{1,3})\d*)?Z$/.exec(text.trim());
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const timeMs = Date.UTC(year, month - 1, day, hour, minute, second, Number((match[7] ?? "0").padEnd(3, "0")));
  const made = new Date(timeMs);
  const isDate =
    made.getUTCMonth() === month - 1 && made.getUTCDate() === day && hour < 24 && minute < 60 && second < 60;
  return isDate ? timeMs : undefined;
}

const YEAR_1601_MS: number = Date.UTC(1601, 0, 1);
const YEAR_9999_MS: number = Date.UTC(9999, 11, 31, 23, 59, 59);

function bounded(timeMs: number): number {
  return Number.isFinite(timeMs) ? Math.min(YEAR_9999_MS, Math.max(YEAR_1601_MS, timeMs)) : 0;
}

/** FILETIME: hundreds of nanoseconds since 1601, as 8 octets, the highest first. */
export function fileTime(timeMs: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(Math.floor(bounded(timeMs) - YEAR_1601_MS)) * 10_000n);
  return bytes;
}
