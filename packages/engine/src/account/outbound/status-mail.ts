import {
  type DeliveryReport,
  type DispositionReport,
  decodeTransfer,
  parseDeliveryReport,
  parseDispositionReport,
  reportPart,
  scan,
} from "@restante/mime";
import { equalBytes } from "../../crypto/index.ts";
import type { Body } from "../../mail/contents/contents.ts";
import { normalizeAddress } from "../sign-in/users.ts";
import type { Delivered, Submission } from "./submission.ts";

/** Octets of a mail within which its report must stand. */
const STATUS_BYTES_MAX: number = 256 * 1024;
/** Emails that one submission remembers of each kind, and characters of what a server said. */
const MAILS_MAX = 100;
const REPLY_CHARS_MAX = 400;

/** The content of a mail from outside that reports on one that was sent. */
export type Status =
  | { readonly kind: "delivery"; readonly report: DeliveryReport }
  | { readonly kind: "disposition"; readonly report: DispositionReport };

/** Undefined for a mail that says nothing of the sort. Errors: `unavailable`, `corrupt`. */
export async function readStatus(mail: Body): Promise<Status | undefined> {
  const bytes = await beginningOf(mail);
  const found = reportPart(scan(bytes).root);
  if (!found) return undefined;
  const { bodyStart, bodyEnd, encoding } = found.part;
  const content = decodeTransfer(bytes.subarray(bodyStart, bodyEnd), encoding);
  if (found.kind === "delivery") {
    const report = parseDeliveryReport(content);
    return report && { kind: "delivery", report };
  }
  const report = parseDispositionReport(content);
  return report && { kind: "disposition", report };
}

async function beginningOf(mail: Body): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.min(mail.size, STATUS_BYTES_MAX));
  let at = 0;
  for await (const piece of mail.read(0, bytes.length)) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes.subarray(0, at);
}

/** RFC 8621 §7: what a word of RFC 3464 §2.3.3 says of where the mail is. */
const DELIVERED: Readonly<Record<string, Delivered>> = {
  failed: "no",
  delayed: "queued",
  delivered: "yes",
  relayed: "unknown",
  expanded: "yes",
};

/** The submission, with what a mail says of it; undefined where that changes nothing. `email` is the mail's, 16 bytes. */
export function withStatus(one: Submission, status: Status, email: Uint8Array): Submission | undefined {
  if (status.kind === "disposition") {
    const isNew = !has(one.readMails, email);
    const to = recipientsOf(one, [status.report]);
    if (!isNew) return undefined;
    const isDisplayed = status.report.disposition.type === "displayed";
    return {
      ...one,
      readMails: [...one.readMails, email].slice(-MAILS_MAX),
      recipients: one.recipients.map((recipient, at) =>
        to.includes(at) && isDisplayed ? { ...recipient, isDisplayed } : recipient,
      ),
    };
  }
  if (has(one.statusMails, email)) return undefined;
  const recipients = [...one.recipients];
  for (const { action, reply, ...addresses } of status.report.recipients) {
    const delivered = Object.hasOwn(DELIVERED, action) ? DELIVERED[action] : undefined;
    if (delivered === undefined) continue;
    for (const at of recipientsOf(one, [addresses])) {
      const before = recipients[at]!;
      // A notice that was long on its way does not undo a final result.
      const isSettled = before.delivered === "yes" || before.delivered === "no";
      if (isSettled && delivered !== "yes" && delivered !== "no") continue;
      recipients[at] = { ...before, delivered, ...(reply !== undefined && { reply: line(reply) }) };
    }
  }
  return { ...one, statusMails: [...one.statusMails, email].slice(-MAILS_MAX), recipients };
}

function has(emails: readonly Uint8Array[], email: Uint8Array): boolean {
  return emails.some((known) => equalBytes(known, email));
}

/** Which of a submission's recipients are meant, by how they were first addressed, or at last. The only one is meant whatever it was
 * forwarded to. */
function recipientsOf(
  { recipients }: Pick<Submission, "recipients">,
  said: readonly { readonly originalRecipient: string | undefined; readonly finalRecipient: string | undefined }[],
): number[] {
  const wanted = new Set(
    said
      .flatMap(({ originalRecipient, finalRecipient }) => [originalRecipient, finalRecipient])
      .filter((one) => one !== undefined)
      .map(normalizeAddress),
  );
  const found = recipients.flatMap(({ address }, at) => (wanted.has(normalizeAddress(address)) ? [at] : []));
  return found.length === 0 && recipients.length === 1 ? [0] : found;
}

/** One line, without signs that no text has. */
function line(reply: string): string {
  return reply
    .replaceAll(/[\p{Cc}\p{Bidi_C}]+/gu, " ")
    .trim()
    .slice(0, REPLY_CHARS_MAX)
    .toWellFormed();
}
