import type { MailboxId } from "@restante/engine";
import type { SetError } from "../core/errors.ts";
import { isObject } from "../core/types.ts";
import { flagOf } from "./keywords.ts";
import { KEYWORDS_MAX, MAILBOXES_OF_EMAIL_MAX } from "./limits.ts";
import { type Mistakes, parseJmapDate } from "./new-fields.ts";

/** Where a new email goes, and what it carries there: the metadata that Email/set and Email/import share. */
export interface NewPlace {
  readonly mailboxes: readonly MailboxId[];
  /** As IMAP has them: `\Seen`, keywords. */
  readonly flags: readonly string[];
  /** Milliseconds since 1970; undefined: the method's default. */
  readonly receivedMs: number | undefined;
}

export interface PlaceTools {
  /** The mailbox of an id, or of a creation id with its `#`; undefined if there is none. */
  mailbox(id: string): MailboxId | undefined;
}

/** Milliseconds that a date may be away from 1970: what Date can say in four digits of a year. */
const RECEIVED_MS_MIN = Date.UTC(1970, 0, 1);
const RECEIVED_MS_MAX = Date.UTC(9999, 11, 31);

/** Reads `mailboxIds`, `keywords` and `receivedAt` (RFC 8621 §4.6, §4.8). Wrong properties go to `mistakes`; resolves with an
 * error of its own type where there are too many. */
export function readPlace(
  { mailboxIds, keywords, receivedAt }: Readonly<Record<string, unknown>>,
  { mailbox }: PlaceTools,
  mistakes: Mistakes,
): NewPlace | SetError {
  if (isObject(keywords) && Object.keys(keywords).length > KEYWORDS_MAX) return { type: "tooManyKeywords" };
  if (isObject(mailboxIds) && Object.keys(mailboxIds).length > MAILBOXES_OF_EMAIL_MAX)
    return { type: "tooManyMailboxes" };
  const names = namesOf(mailboxIds);
  const mailboxes = names?.map((id) => mailbox(id)) ?? [];
  if (mailboxes.length === 0 || mailboxes.includes(undefined)) mistakes.add("mailboxIds");
  const words = keywords === undefined || keywords === null ? [] : namesOf(keywords);
  const flags = (words ?? []).map(flagOf);
  if (!words || flags.includes(undefined)) mistakes.add("keywords");
  const received = receivedAt === undefined || receivedAt === null ? undefined : parseJmapDate(receivedAt, true);
  const isDate = received !== undefined && received.timeMs >= RECEIVED_MS_MIN && received.timeMs < RECEIVED_MS_MAX;
  if (!isDate && receivedAt !== undefined && receivedAt !== null) mistakes.add("receivedAt");
  return {
    // Two ids may stand for one mailbox: a creation id, and what it came to.
    mailboxes: [...new Set(mailboxes.filter((id) => id !== undefined))],
    flags: [...new Set(flags.filter((flag) => flag !== undefined))],
    receivedMs: received?.timeMs,
  };
}

/** The names of a set, as JMAP writes one: each has the value true. Undefined for anything else. */
function namesOf(value: unknown): string[] | undefined {
  if (!isObject(value)) return undefined;
  const entries = Object.entries(value);
  return entries.every(([, one]) => one === true) ? entries.map(([name]) => name) : undefined;
}
