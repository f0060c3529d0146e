import type { MailDate } from "@restante/mime";

/**
 * Apple Mail's .emlx: a line with the message's length in octets, the message, then a property list with its flags and
 * when it came. In .partial.emlx the attachments' octets are left out, and lie in files
 * of their own: `emlx-parts.ts`.
 */
export interface EmlxFacts {
  /** Octets before the message, and the message's own. */
  readonly start: number;
  readonly length: number;
}

/** Octets that the first line may have. */
export const EMLX_HEAD_BYTES = 32;
/** Bits of `flags`. */
const FLAGS: readonly (readonly [number, string])[] = [
  [1 << 0, "\\Seen"],
  [1 << 1, "\\Deleted"],
  [1 << 2, "\\Answered"],
  [1 << 4, "\\Flagged"],
  [1 << 6, "\\Draft"],
  [1 << 8, "$Forwarded"],
];

/** `head` are the file's first octets, {@link EMLX_HEAD_BYTES} of them; undefined if it is no .emlx. */
export function readEmlxHead(head: Uint8Array, fileBytes: number): EmlxFacts | undefined {
  const match = /^[ \t]*(\d{1,12})[ \t]*\r?\n/.exec(Buffer.from(head).toString("latin1"));
  if (!match) return undefined;
  const [start, length] = [match[0].length, Number(match[1])];
  return start + length <= fileBytes ? { start, length } : undefined;
}

/** The property list behind the message. Absent facts are undefined. */
export function readEmlxTail(plist: string): {
  readonly flags: readonly string[];
  readonly received: MailDate | undefined;
} {
  const bits = Number(/<key>flags<\/key>\s*<integer>(\d+)<\/integer>/.exec(plist)?.[1] ?? 0);
  const seconds = Number(/<key>date-received<\/key>\s*<(?:integer|real)>(\d+)/.exec(plist)?.[1] ?? 0);
  return {
    flags: FLAGS.filter(([bit]) => Math.floor(bits / bit) % 2 === 1).map(([, flag]) => flag),
    received: seconds > 0 ? { timeMs: seconds * 1000, zoneMinutes: 0 } : undefined,
  };
}
