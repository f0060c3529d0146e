import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";

/** A recipient, and the reports on it that the sender wants: RFC 5321 §3.3, RFC 3461 §4. */
export interface Recipient {
  readonly address: string;
  /** NOTIFY: words of RFC 3461 §4.1; undefined where nothing was said. */
  readonly notify: string | undefined;
}

const NOTIFY = /^(?:NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2})$/i;

/** NOTIFY as a {@link Recipient} has it; undefined for any other text. RFC 3461 §4.1. */
export function parseNotify(text: string): string | undefined {
  return NOTIFY.test(text) ? text.toUpperCase() : undefined;
}

/** RFC 5321 §3.3, as it was checked. */
export interface Envelope {
  readonly mailFrom: string;
  readonly recipients: readonly Recipient[];
}

/** Where the octets of a mail that waits to be sent are: with it, or in an object of their own under a key. */
export type QueuedContent =
  | { readonly in: "here"; readonly bytes: Uint8Array }
  | { readonly in: "object"; readonly key: Uint8Array };

/** A mail that waits to be sent: docs/formats/outbound.md. */
export interface QueuedMail {
  /** The submission's: 32 hex digits. */
  readonly id: string;
  /** Its sender's account and address. */
  readonly account: Uint8Array;
  readonly address: string;
  readonly envelope: Envelope;
  /** ENVID: RFC 3461 §4.4. */
  readonly envid: string;
  /** Milliseconds since 1970: when it was submitted, and from when on it is sent. */
  readonly madeMs: number;
  readonly releaseMs: number;
  /** Octets. */
  readonly size: number;
  /** True for octets above 127: in the header (RFC 6531), in a body (RFC 6152). */
  readonly needsUtf8: boolean;
  readonly needsEightBit: boolean;
  /** The process that queued it sends too: others leave it alone for a while. */
  readonly isSentByMaker: boolean;
  readonly content: QueuedContent;
}

const QUEUED_FORMAT = 1;

export function encodeQueued(mail: QueuedMail): Uint8Array {
  const { envelope, content } = mail;
  return encode([
    QUEUED_FORMAT,
    mail.account,
    mail.address,
    envelope.mailFrom,
    envelope.recipients.map(({ address, notify = null }) => [address, notify]),
    mail.envid,
    mail.madeMs,
    mail.releaseMs,
    mail.size,
    mail.needsUtf8,
    mail.needsEightBit,
    mail.isSentByMaker,
    content.in === "here",
    content.in === "here" ? content.bytes : content.key,
  ]);
}

/** Throws RangeError on bytes that {@link encodeQueued} does not make. */
export function decodeQueued(id: string, bytes: Uint8Array): QueuedMail {
  const fields = Fields.decode(bytes);
  if (fields.integer() !== QUEUED_FORMAT) throw new RangeError("queued mail of an unknown format");
  const mail = {
    id,
    account: fields.bytes(16),
    address: fields.text(),
    envelope: {
      mailFrom: fields.text(),
      recipients: fields.list((item) => ({
        address: item.text(),
        notify: item.optional((notify) => notify.text()),
      })),
    },
    envid: fields.text(),
    madeMs: fields.number(),
    releaseMs: fields.number(),
    size: fields.integer(),
    needsUtf8: fields.boolean(),
    needsEightBit: fields.boolean(),
    isSentByMaker: fields.boolean(),
    content: contentOf(fields.boolean(), fields.bytes()),
  };
  fields.end();
  return mail;
}

function contentOf(isHere: boolean, bytes: Uint8Array): QueuedContent {
  return isHere ? { in: "here", bytes } : { in: "object", key: bytes };
}

/** The state of one recipient. */
export interface RecipientState {
  readonly address: string;
  /** `waiting`: it is tried again. `sent`: the next server took it. `failed`: it never will. */
  readonly state: "waiting" | "sent" | "failed";
  /** The last reply of the other side: `250 2.0.0 queued as …`; "" before the first one. */
  readonly reply: string;
}

/** A claim: the process that has a mail in hand, and the results so far. docs/formats/outbound.md. */
export interface Claim {
  /** The process: 32 hex digits. */
  readonly holder: string;
  /** `sending`: its holder may be at it. `waiting`: until `dueMs`. `canceled`: its owner took it back. `moved`: it goes to another
   * store with its account. */
  readonly state: "sending" | "waiting" | "canceled" | "moved";
  /** When it is due again: milliseconds since 1970. */
  readonly dueMs: number;
  readonly tries: number;
  /** True once the sender was told that the mail takes long. */
  readonly isDelayTold: boolean;
  /** In the envelope's order. */
  readonly recipients: readonly RecipientState[];
}

const CLAIM_FORMAT = 1;
const CLAIM_STATES = ["sending", "waiting", "canceled", "moved"] as const;
export const RECIPIENT_STATES = ["waiting", "sent", "failed"] as const;

export function encodeClaim(claim: Claim): Uint8Array {
  return encode([
    CLAIM_FORMAT,
    claim.holder,
    CLAIM_STATES.indexOf(claim.state),
    claim.dueMs,
    claim.tries,
    claim.isDelayTold,
    claim.recipients.map(({ address, state, reply }) => [address, RECIPIENT_STATES.indexOf(state), reply]),
  ]);
}

/** Throws RangeError on bytes that {@link encodeClaim} does not make. */
export function decodeClaim(bytes: Uint8Array): Claim {
  const fields = Fields.decode(bytes);
  if (fields.integer() !== CLAIM_FORMAT) throw new RangeError("claim of an unknown format");
  const claim = {
    holder: fields.text(),
    state: wordAt(CLAIM_STATES, fields.integer()),
    dueMs: fields.number(),
    tries: fields.integer(),
    isDelayTold: fields.boolean(),
    recipients: fields.list((item) => ({
      address: item.text(),
      state: wordAt(RECIPIENT_STATES, item.integer()),
      reply: item.text(),
    })),
  };
  fields.end();
  return claim;
}

/** Throws RangeError for a place that no word has. */
export function wordAt<Word>(words: readonly Word[], place: number): Word {
  const word = words[place];
  if (word === undefined) throw new RangeError("field is no word of these");
  return word;
}
