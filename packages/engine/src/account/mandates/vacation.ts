import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";
import { utf8 } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";

/** The record of what an account's vacation says. */
export const VACATION = "vacation";
/** The one that there is: RFC 8621 §8. */
export const VACATION_ID = "singleton";

/** The answer while an account's owner is away: RFC 8621 §8. */
export interface Vacation {
  readonly isEnabled: boolean;
  /** Milliseconds since 1970: from when on, and until when; undefined for no bound. */
  readonly fromMs: number | undefined;
  readonly untilMs: number | undefined;
  /** Undefined: one is made. */
  readonly subject: string | undefined;
  readonly text: string | undefined;
  readonly html: string | undefined;
}

/** The vacation response of an account that never had one. */
export const NO_VACATION: Vacation = {
  isEnabled: false,
  fromMs: undefined,
  untilMs: undefined,
  subject: undefined,
  text: undefined,
  html: undefined,
};

/** Octets of all texts together, and characters of a subject. */
export const VACATION_BYTES_MAX: number = 48 * 1024;
const SUBJECT_CHARS_MAX = 998;

/** Throws EngineError: `too-large`; `invalid` for a subject of several lines, or a time that is none. */
export function checkVacation({ fromMs, untilMs, subject = "", text = "", html = "" }: Vacation): void {
  if (utf8(subject + text + html).length > VACATION_BYTES_MAX)
    throw new EngineError("too-large", "the vacation's texts are too long");
  const isTime = (ms: number | undefined): boolean => ms === undefined || Number.isSafeInteger(ms);
  if (subject.length > SUBJECT_CHARS_MAX || /\p{Cc}/u.test(subject) || !isTime(fromMs) || !isTime(untilMs))
    throw new EngineError("invalid", "the vacation can't be so");
  if (![subject, text, html].every((one) => one.isWellFormed()))
    throw new EngineError("invalid", "the vacation's texts are no texts");
}

/** True if it may answer now, by the server's clock. */
export function isAway(
  { isEnabled, fromMs, untilMs }: Omit<Vacation, "subject" | "text" | "html">,
  nowMs: number,
): boolean {
  return isEnabled && (fromMs === undefined || nowMs >= fromMs) && (untilMs === undefined || nowMs < untilMs);
}

const FORMAT = 1;

/** `isDone`: what the server does is what this says. */
export function encodeVacation(one: Vacation, isDone: boolean): Uint8Array {
  return encode([FORMAT, isDone, one.isEnabled, ...fieldsOf(one)]);
}

/** Throws RangeError on bytes that {@link encodeVacation} does not make. */
export function decodeVacation(bytes: Uint8Array): Vacation & { readonly isDone: boolean } {
  const fields = Fields.decode(bytes);
  if (fields.integer() !== FORMAT) throw new RangeError("vacation of an unknown format");
  const one = { isDone: fields.boolean(), isEnabled: fields.boolean(), ...readTexts(fields) };
  fields.end();
  return one;
}

/** The server's part of a vacation, with the owner's address. */
export interface VacationMandate extends Vacation {
  /** The owner's address. */
  readonly address: string;
}

export function encodeVacationMandate(one: VacationMandate): Uint8Array {
  return encode([FORMAT, one.address, ...fieldsOf(one)]);
}

/** Throws RangeError on bytes that {@link encodeVacationMandate} does not make. */
export function decodeVacationMandate(bytes: Uint8Array): VacationMandate {
  const fields = Fields.decode(bytes);
  if (fields.integer() !== FORMAT) throw new RangeError("vacation of an unknown format");
  const one = { isEnabled: true, address: fields.text(), ...readTexts(fields) };
  fields.end();
  return one;
}

function fieldsOf({ fromMs, untilMs, subject, text, html }: Vacation): unknown[] {
  return [fromMs, untilMs, subject, text, html].map((one) => one ?? null);
}

function readTexts(fields: Fields): Omit<Vacation, "isEnabled"> {
  const time = (): number | undefined => fields.optional((one) => one.number());
  const text = (): string | undefined => fields.optional((one) => one.text());
  return { fromMs: time(), untilMs: time(), subject: text(), text: text(), html: text() };
}
