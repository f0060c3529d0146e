import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";
import { type Envelope, RECIPIENT_STATES, type RecipientState, wordAt } from "./queued.ts";

/** The records of mail that was submitted. */
export const SUBMISSION = "submission";

/** `pending` for a mail that may yet be taken back: RFC 8621 §7. */
export type UndoStatus = "pending" | "final" | "canceled";
const UNDO_STATUSES = ["pending", "final", "canceled"] as const;
/** Where it is said to have come: RFC 8621 §7. */
export type Delivered = "queued" | "yes" | "no" | "unknown";
const DELIVERED = ["queued", "yes", "no", "unknown"] as const;

/** A mail that its owner submitted, and what became of it: RFC 8621 §7, as a record of the account's log. */
export interface Submission {
  /** 32 hex digits. */
  readonly id: string;
  /** 16 bytes; undefined where no email of the account is meant. */
  readonly email: Uint8Array | undefined;
  /** 8 bytes. */
  readonly thread: Uint8Array | undefined;
  /** By which of its identities; "" where none was said. */
  readonly identity: string;
  readonly envelope: Envelope;
  /** The envelope in the words of the protocol that it came by; "" where it was made. */
  readonly said: string;
  readonly envid: string;
  /** Milliseconds since 1970. */
  readonly madeMs: number;
  readonly sendAtMs: number;
  readonly undoStatus: UndoStatus;
  readonly recipients: readonly (RecipientState & { readonly delivered: Delivered; readonly isDisplayed: boolean })[];
  /** Emails that told of it: 16 bytes each. */
  readonly statusMails: readonly Uint8Array[];
  readonly readMails: readonly Uint8Array[];
  /** True once the mail was put into the queue. */
  readonly isHanded: boolean;
}

const FORMAT = 1;

export function encodeSubmission(one: Submission): Uint8Array {
  return encode([
    FORMAT,
    one.email ?? null,
    one.thread ?? null,
    one.identity,
    one.envelope.mailFrom,
    one.envelope.recipients.map(({ address, notify = null }) => [address, notify]),
    one.said,
    one.envid,
    one.madeMs,
    one.sendAtMs,
    UNDO_STATUSES.indexOf(one.undoStatus),
    one.recipients.map(({ address, state, reply, delivered, isDisplayed }) => [
      address,
      RECIPIENT_STATES.indexOf(state),
      reply,
      DELIVERED.indexOf(delivered),
      isDisplayed,
    ]),
    one.statusMails,
    one.readMails,
    one.isHanded,
  ]);
}

/** Throws RangeError on bytes that {@link encodeSubmission} does not make. */
export function decodeSubmission(id: string, bytes: Uint8Array): Submission {
  const fields = Fields.decode(bytes);
  if (fields.integer() !== FORMAT) throw new RangeError("submission of an unknown format");
  const one = {
    id,
    email: fields.optional((email) => email.bytes(16)),
    thread: fields.optional((thread) => thread.bytes(8)),
    identity: fields.text(),
    envelope: {
      mailFrom: fields.text(),
      recipients: fields.list((item) => ({ address: item.text(), notify: item.optional((text) => text.text()) })),
    },
    said: fields.text(),
    envid: fields.text(),
    madeMs: fields.number(),
    sendAtMs: fields.number(),
    undoStatus: wordAt(UNDO_STATUSES, fields.integer()),
    recipients: fields.list((item) => ({
      address: item.text(),
      state: wordAt(RECIPIENT_STATES, item.integer()),
      reply: item.text(),
      delivered: wordAt(DELIVERED, item.integer()),
      isDisplayed: item.boolean(),
    })),
    statusMails: fields.list((item) => item.bytes(16), false),
    readMails: fields.list((item) => item.bytes(16), false),
    isHanded: fields.boolean(),
  };
  fields.end();
  return one;
}

/** The delivered status that a recipient's state stands for. */
export function deliveredOf(state: RecipientState["state"]): Delivered {
  return state === "failed" ? "no" : state === "sent" ? "unknown" : "queued";
}
