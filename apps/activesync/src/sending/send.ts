import { type Body, EngineError, emailIdOf, type Message, SubmitRefusal } from "@restante/engine";
import { formatAddress, HeaderBlock, parseMessageIds, writeField } from "@restante/mime";
import type { Context } from "../context.ts";
import { mailboxesOf } from "../mail/addresses.ts";
import { CONVERSION_ERROR, CommandError, STATUS } from "../protocol/status.ts";
import { type BroughtMessage, bodyOfBytes } from "./letter.ts";

/** A mail that goes out. */
export interface Letters {
  readonly body: Body;
  readonly header: HeaderBlock;
}

export interface SendRequest {
  readonly mail: Letters;
  readonly savesInSent: boolean;
  /** The phone's name of the mail: a request with the same name sends the same mail, and not a second one. */
  readonly clientId: string | undefined;
}

/**
 * Hands a mail to the queue, then puts the copy into Sent. Resolves with whether it was sent now; false where it was sent
 * before under this name. Throws CommandError with a common status. Errors: `unavailable`, `unknown-outcome`.
 */
export async function send({ mail, savesInSent, clientId }: SendRequest, context: Context): Promise<boolean> {
  const { session, deviceId } = context;
  if (!session.sends) throw new CommandError(context.version >= 14.1 ? STATUS.sendingDisabled : STATUS.sendFailed);
  const repeatKey = clientId === undefined ? undefined : JSON.stringify(["activesync", deviceId, clientId]);
  const before = repeatKey === undefined ? undefined : await session.findRepeated(repeatKey);
  if (!before) await submit(mail, repeatKey, context);
  if (savesInSent && !(before && (await isInSent(mail, context)))) await copyToSent(mail, context);
  return !before;
}

async function submit({ body, header }: Letters, repeatKey: string | undefined, context: Context): Promise<void> {
  const { session } = context;
  const recipients = ["to", "cc", "bcc"]
    .flatMap((field) => mailboxesOf(header, field))
    .map((mailbox) => ({ address: formatAddress(mailbox), notify: undefined }));
  try {
    await session.submit({ envelope: { mailFrom: session.address, recipients }, message: body, repeatKey });
  } catch (error) {
    throw refusalOf(error);
  }
}

const REFUSALS: Readonly<Record<SubmitRefusal["reason"], number>> = {
  noRecipients: STATUS.noRecipient,
  invalidRecipients: STATUS.recipientUnknown,
  tooManyRecipients: STATUS.sendingQuotaExceeded,
  forbiddenMailFrom: STATUS.sendFailed,
  forbiddenFrom: STATUS.sendFailed,
  forbiddenToSend: STATUS.sendingQuotaExceeded,
  invalidEmail: STATUS.invalidMime,
  tooLarge: STATUS.attachmentTooLarge,
  holdTooLong: STATUS.sendFailed,
};

function refusalOf(error: unknown): unknown {
  if (error instanceof SubmitRefusal) return new CommandError(REFUSALS[error.reason], error.message);
  if (error instanceof EngineError && error.code === "not-permitted") return new CommandError(STATUS.sendFailed);
  return error;
}

/** The Sent folder, made where there is none. */
async function sentPath({ session }: Context): Promise<string> {
  const sent = session.state.liveMailboxes().find(({ specialUse }) => specialUse === "\\Sent");
  if (sent) return sent.path;
  if (!session.state.findPath("Sent")) await session.create("Sent", "\\Sent");
  return "Sent";
}

async function copyToSent({ body }: Letters, context: Context): Promise<void> {
  const path = await sentPath(context);
  const prepared = await context.session.prepare(body.read(0, body.size), { mailbox: path, flags: ["\\Seen"] });
  await context.session.append(context.session.getMailbox(path).id, prepared);
}

/** Of a repeat the copy is looked for among the newest. */
const NEWEST = 256;

async function isInSent({ header }: Letters, context: Context): Promise<boolean> {
  const { session } = context;
  const wanted = header.values("message-id")[0];
  if (wanted === undefined) return false;
  const view = session.openView(session.getMailbox(await sentPath(context)).id, { readOnly: true });
  const messages = view.messagesIn(Math.max(0, view.length - NEWEST), view.length);
  const headers = messages.length === 0 ? [] : await session.readHeaders(messages);
  return headers.some((one) => one.values("message-id")[0] === wanted);
}

/**
 * A mail as a phone brought it, ready to go: From is the owner's, Date and Message-ID are there, so that what goes out and the
 * copy are the same. `name`: what a made Message-ID follows from, so that a repeat has the same. `answers`: the mail that it
 * answers, where phones leave that to us.
 */
export async function readyMail(
  brought: BroughtMessage,
  name: string,
  context: Context,
  answers?: HeaderBlock,
): Promise<Letters> {
  const { session, now } = context;
  const { bytes, header, root } = brought;
  const style = { utf8: false, eightBit: false };
  const [author] = mailboxesOf(header, "from");
  const isOwn = author !== undefined && (await session.isOwnAddress(formatAddress(author)));
  let before = "";
  if (!isOwn) before += writeField({ name: "From", form: "addresses", value: [{ email: session.address }] }, style);
  if (header.values("date").length === 0)
    before += writeField({ name: "Date", form: "date", value: { timeMs: now(), zoneMinutes: 0 } }, style);
  if (header.values("message-id").length === 0)
    before += writeField({ name: "Message-ID", form: "messageIds", value: [await messageIdOf(name, context)] }, style);
  if (answers && header.values("references").length === 0 && header.values("in-reply-to").length === 0)
    before += threadFields(answers);
  const head = Buffer.from(before + (isOwn ? header.text : withoutAuthors(header)), "latin1");
  const whole = Buffer.concat([head, bytes.subarray(root.bodyStart)]);
  return { body: bodyOfBytes(whole, context.pace), header: new HeaderBlock(head) };
}

/** In-Reply-To and References of an answer: RFC 5322 §3.6.4. */
function threadFields(answered: HeaderBlock): string {
  const ids = (field: string): string[] => answered.values(field).flatMap((value) => parseMessageIds(value));
  const [own] = ids("message-id");
  if (own === undefined) return "";
  const style = { utf8: false, eightBit: false };
  const above = [...ids("references"), ...ids("in-reply-to")].slice(-REFERENCES_MAX);
  const references = [...new Set([...above, own])];
  try {
    return (
      writeField({ name: "In-Reply-To", form: "messageIds", value: [own] }, style) +
      writeField({ name: "References", form: "messageIds", value: references }, style)
    );
  } catch (error) {
    // Ids that no field can hold are nobody's conversation.
    if (error instanceof RangeError) return "";
    throw error;
  }
}

const REFERENCES_MAX = 50;

/** The header block without From and Sender. */
function withoutAuthors(header: HeaderBlock): string {
  const fields = header.rawFields().filter(({ name }) => !/^(?:from|sender)$/i.test(name));
  return `${fields.map(({ name, value }) => `${name}:${value}\r\n`).join("")}\r\n`;
}

async function messageIdOf(name: string, { session, deviceId }: Context): Promise<string> {
  const text = JSON.stringify([session.account, deviceId, name]);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return `${Buffer.from(hash).toString("hex").slice(0, 32)}@${session.address.slice(session.address.lastIndexOf("@") + 1)}`;
}

/** A draft's key in the queue: a phone that has not got the answer sends the request again. */
function draftRepeatKey(name: string, { deviceId }: Context): string {
  return JSON.stringify(["activesync", deviceId, "draft", name]);
}

/** True if a draft went out by this name. Errors: `unavailable`, `corrupt`. */
export async function wasDraftSent(name: string, context: Context): Promise<boolean> {
  return (await context.session.findRepeated(draftRepeatKey(name, context))) !== undefined;
}

const RECIPIENT_STATUSES: ReadonlySet<number> = new Set([STATUS.noRecipient, STATUS.recipientUnknown]);

/** A draft goes out, and leaves for Sent: 16.0 on, MS-ASEMAIL §2.2.2.65. Throws CommandError 6 or 183 for the item. */
export async function sendStored(message: Message, name: string, context: Context): Promise<void> {
  const { session, pace, signal } = context;
  const { state, row } = message;
  const body = await session.openBody(message);
  const [header] = await session.readHeaders([message]);
  if (!(await wasDraftSent(name, context)))
    try {
      await submit({ body, header: header! }, draftRepeatKey(name, context), context);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      const isOfRecipients = RECIPIENT_STATUSES.has(error.status);
      throw new CommandError(isOfRecipients ? STATUS.draftRecipientsInvalid : CONVERSION_ERROR, error.message);
    }
  const sent = session.state.findPath(await sentPath(context))!;
  const email = emailIdOf(state, row);
  const leave = [state.mailboxOf(row).id];
  await session.editEmails([{ email, add: ["\\Seen"], remove: ["\\Draft"], join: [sent.id], leave }], { pace, signal });
}
