import { formatBlobId, formatEmailId, formatThreadId, type Submission } from "@restante/engine";
import { formatReceived } from "../email/view.ts";

/** The properties of an EmailSubmission: RFC 8621 §7. */
export const SUBMISSION_PROPERTIES = [
  "id",
  "identityId",
  "emailId",
  "threadId",
  "envelope",
  "sendAt",
  "undoStatus",
  "deliveryStatus",
  "dsnBlobIds",
  "mdnBlobIds",
] as const;

const ID = /^s([0-9a-f]{32})$/;

export function formatSubmissionId(id: string): string {
  return `s${id}`;
}

/** Undefined for what is no id of ours. */
export function parseSubmissionId(id: string): string | undefined {
  return ID.exec(id)?.[1];
}

/** True if JMAP shows the submission. JMAP has no words for a mail that was sent by another protocol and is no email of the
 * account. */
export function isShown({ email }: Submission): boolean {
  return email !== undefined;
}

/** A submission as JMAP shows it. */
export function submissionObject(one: Submission): Readonly<Record<(typeof SUBMISSION_PROPERTIES)[number], unknown>> {
  const { mailFrom, recipients } = one.envelope;
  const made = {
    mailFrom: { email: mailFrom, parameters: null },
    rcptTo: recipients.map(({ address }) => ({ email: address, parameters: null })),
  };
  return {
    id: formatSubmissionId(one.id),
    identityId: one.identity,
    emailId: one.email ? formatEmailId(one.email) : null,
    threadId: one.thread ? formatThreadId(one.thread) : null,
    envelope: one.said === "" ? made : JSON.parse(one.said),
    sendAt: formatReceived(one.sendAtMs),
    undoStatus: one.undoStatus,
    deliveryStatus: Object.fromEntries(
      one.recipients.map(({ address, reply, delivered, isDisplayed }) => [
        address,
        {
          smtpReply: reply === "" ? "250 2.0.0 Queued" : reply,
          delivered,
          displayed: isDisplayed ? "yes" : "unknown",
        },
      ]),
    ),
    dsnBlobIds: one.statusMails.map((id) => formatBlobId(id)),
    mdnBlobIds: one.readMails.map((id) => formatBlobId(id)),
  };
}
