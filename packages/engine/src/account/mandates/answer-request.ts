import {
  decodeUnstructured,
  findHeader,
  type HeaderField,
  parseAddresses,
  parseMessageIds,
  references,
} from "@restante/mime";
import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";

/** A mail that may want an answer while its recipient is away: what rides with its note, sealed to the server. */
export interface AnswerRequest {
  /** The recipient's account, 16 bytes, and address. */
  readonly account: Uint8Array;
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly madeMs: number;
  /** The return path. */
  readonly sender: string;
  /** Recipients in the mail's header: some of them. */
  readonly recipients: readonly string[];
  readonly subject: string;
  /** Without their angle brackets: its own, if it has one, and those that it refers to. */
  readonly messageId: string | undefined;
  readonly references: readonly string[];
}

/** The beginning of names of requests; an account's id and a random number follow. */
export const REQUESTS = "outbound/request/";
/** Recipients that are looked at, characters of a subject and of an address, and references that are kept. */
const RECIPIENTS_MAX = 50;
const SUBJECT_CHARS_MAX = 400;
const ADDRESS_CHARS_MAX = 500;
const REFERENCES_MAX = 20;

/** Names before the @ to which nothing is answered: RFC 3834 §2, RFC 5230 §4.6, and what programs call themselves. */
const NOBODY =
  /^(?:mailer-daemon|postmaster|listserv|majordomo|no-?_?reply(?:[-+.].*)?|do-?_?not-?_?reply(?:[-+.].*)?|owner-.*|.*-(?:request|owner|relay|bounces?)(?:[-+].*)?|bounces?(?:[-+=.].*)?)$/i;

/** Fields that forbid an answer by being there, whatever they say; all of mailing lists do: RFC 2369, RFC 2919. */
const FORBIDDING: ReadonlySet<string> = new Set(["x-autoreply", "x-autorespond", "x-auto-reply"]);

/** True for a mail whose return path and header forbid any answer: RFC 3834 §2. */
function isUnanswered(sender: string, fields: readonly HeaderField[]): boolean {
  const local = sender.slice(0, Math.max(0, sender.lastIndexOf("@")));
  if (local === "" || NOBODY.test(local)) return true;
  return fields.some(({ key, value }) => {
    const word = /^[^\s;(,]*/.exec(value.toLowerCase())![0];
    switch (key) {
      case "auto-submitted":
        return word !== "no";
      case "precedence":
        return word === "bulk" || word === "junk" || word === "list";
      case "x-auto-response-suppress":
        return /\b(?:all|oof|autoreply)\b/i.test(value);
      case "x-spam-flag":
      case "x-spam-status":
        return word === "yes";
      case "content-type":
        return /^multipart\/report\b/i.test(value);
      default:
        return key.startsWith("list-") || FORBIDDING.has(key);
    }
  });
}

const RECIPIENT_FIELDS: ReadonlySet<string> = new Set(["to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"]);

/**
 * The request in a mail's header, before which its Return-Path stands; undefined for a mail that is never answered. Of many
 * recipients, those are kept that may be the owner's.
 */
export function answerRequestOf(
  fields: readonly HeaderField[],
  { account, address }: Pick<AnswerRequest, "account" | "address">,
  madeMs: number,
): AnswerRequest | undefined {
  const [path] = parseAddresses(findHeader(fields, "return-path") ?? "");
  const sender = path?.kind === "mailbox" ? `${path.local}@${path.domain}` : "";
  if (sender.length > ADDRESS_CHARS_MAX || isUnanswered(sender, fields)) return undefined;
  const domain = address.slice(address.lastIndexOf("@"));
  const named = fields
    .filter(({ key }) => RECIPIENT_FIELDS.has(key))
    .flatMap(({ value }) => parseAddresses(value).flatMap((one) => (one.kind === "group" ? one.members : [one])))
    .map((one) => `${one.local}@${one.domain}`)
    .filter((one) => one.length <= ADDRESS_CHARS_MAX);
  // Its own first, then those of its domain.
  const nearness = (one: string): number => {
    const lower = one.toLowerCase();
    return lower === address ? 0 : lower.endsWith(domain) ? 1 : 2;
  };
  const recipients = [...new Set(named)].sort((a, b) => nearness(a) - nearness(b)).slice(0, RECIPIENTS_MAX);
  const [messageId] = parseMessageIds(findHeader(fields, "message-id") ?? "").filter(isPlainId);
  return {
    account,
    address,
    madeMs,
    sender,
    recipients,
    subject: decodeUnstructured(findHeader(fields, "subject") ?? "")
      .replaceAll(/\p{Cc}+/gu, " ")
      .slice(0, SUBJECT_CHARS_MAX)
      .toWellFormed(),
    messageId,
    references: references(fields).filter(isPlainId).slice(-REFERENCES_MAX),
  };
}

/** True for an id that may be written into another mail's field as it is. */
function isPlainId(id: string): boolean {
  return /^[!-;=?-~]{1,400}$/.test(id);
}

const FORMAT = 1;

export function encodeAnswerRequest(one: AnswerRequest): Uint8Array {
  const { address, madeMs, sender, recipients, subject, messageId = null } = one;
  return encode([FORMAT, address, madeMs, sender, recipients, subject, messageId, one.references]);
}

/** Throws RangeError on bytes that {@link encodeAnswerRequest} does not make. */
export function decodeAnswerRequest(account: Uint8Array, bytes: Uint8Array): AnswerRequest {
  const fields = Fields.decode(bytes);
  if (fields.integer() !== FORMAT) throw new RangeError("request of an unknown format");
  const one = {
    account,
    address: fields.text(),
    madeMs: fields.number(),
    sender: fields.text(),
    recipients: fields.texts(),
    subject: fields.text(),
    messageId: fields.optional((id) => id.text()),
    references: fields.texts(),
  };
  fields.end();
  return one;
}
