import { type Message, partsOfSummary, type Summary } from "@restante/engine";
import { type ComposedMessage, decodeUnstructured, type HeaderBlock, look, quote } from "@restante/mime";
import {
  type Element,
  element,
  empty as emptyShape,
  octets,
  optional,
  readValues,
  SchemaError,
  schema,
  group as shapeOf,
  text,
} from "wbxml";
import type { Context } from "../context.ts";
import { ID_CHARS_MAX, LONG_ID_CHARS_MAX, REQUEST_BYTES_MAX, SENT_CLIENT_ID_CHARS_MAX } from "../limits.ts";
import { addressList, clean, mailboxesOf } from "../mail/addresses.ts";
import { findItem, idOf } from "../mail/item.ts";
import { FORWARDED, marksRecord, REPLIED, REPLIED_TO_ALL, readMarks } from "../mail/marks.ts";
import { isSealed } from "../mail/message-class.ts";
import { MessageTexts } from "../mail/texts.ts";
import { parseItemId } from "../protocol/ids.ts";
import { CommandError, STATUS } from "../protocol/status.ts";
import {
  appendHtml,
  type BroughtMessage,
  bodyOfBytes,
  innerHtml,
  type Letter,
  letterOf,
  readMessage,
  textAsHtml,
  writeLetter,
} from "../sending/letter.ts";
import { type Letters, readyMail, send } from "../sending/send.ts";

export type SendCommand = "SendMail" | "SmartReply" | "SmartForward";

/** A request to send: MS-ASCMD §2.2.1.17, §2.2.1.19, §2.2.1.20. */
interface SendRequest {
  readonly clientId: string | undefined;
  readonly savesInSent: boolean;
  readonly replacesMime: boolean;
  readonly mime: Uint8Array;
  /** The item that is answered or forwarded. */
  readonly source: string | undefined;
}

const FIELDS = {
  clientId: optional("ComposeMail:ClientId", text(SENT_CLIENT_ID_CHARS_MAX * 4)),
  accountId: optional("ComposeMail:AccountId", text(ID_CHARS_MAX)),
  savesInSent: optional("ComposeMail:SaveInSentItems", emptyShape),
  mime: optional("ComposeMail:Mime", octets(REQUEST_BYTES_MAX)),
  template: optional("RightsManagement:TemplateID", text()),
  replacesMime: optional("ComposeMail:ReplaceMime", emptyShape),
  source: optional(
    "ComposeMail:Source",
    shapeOf({
      folderId: optional("ComposeMail:FolderId", text(ID_CHARS_MAX)),
      itemId: optional("ComposeMail:ItemId", text(ID_CHARS_MAX * 4)),
      longId: optional("ComposeMail:LongId", text(LONG_ID_CHARS_MAX)),
      instance: optional("ComposeMail:InstanceId", text(ID_CHARS_MAX)),
    }),
  ),
  forwardees: optional("ComposeMail:Forwardees", element),
  body: optional("AirSyncBase:Body", element),
};

/** SendMail, SmartReply, SmartForward. An empty answer says that it went. `raw`: the message itself, before 14.0. Throws
 * CommandError; errors: `unavailable`, `unknown-outcome`. */
export async function sendMail(
  command: SendCommand,
  body: Element | undefined,
  raw: Uint8Array | undefined,
  context: Context,
): Promise<undefined> {
  const asked = raw ? readRaw(command, raw, context) : readWbxml(command, body, context.version);
  const brought = await readMessage(asked.mime, context.pace);
  if (!brought) throw new CommandError(STATUS.invalidMime, "that is no message");
  const source = command === "SendMail" ? undefined : findSource(asked.source, context);
  const clientId = asked.clientId ?? (await rawName(brought));
  const name = clientId ?? "";
  const isWhole = source === undefined || asked.replacesMime || brought.isSealed;
  const [original] = source ? await context.session.readHeaders([source]) : [];
  const answers = command === "SmartReply" && !brought.isSealed ? original : undefined;
  const own = await readyMail(brought, name, context, answers);
  const mail = isWhole ? own : await withOriginal(command, own, brought, source, context);
  const isNew = await send({ mail, savesInSent: asked.savesInSent, clientId }, context);
  // Before 14.0 nothing says so but that all is well.
  if (!isNew && !raw) throw new CommandError(STATUS.previouslySent, "it was sent before");
  if (source) await markSource(command, brought.header, source, context);
  return undefined;
}

function readWbxml(command: SendCommand, body: Element | undefined, version: number): SendRequest {
  if (!body) throw new CommandError(STATUS.invalidContent);
  const values = readValues(schema(`ComposeMail:${command}`, shapeOf(FIELDS)), body);
  if (values.clientId === null || values.clientId === "" || values.clientId.length > SENT_CLIENT_ID_CHARS_MAX)
    throw new SchemaError("missing", "ComposeMail:ClientId", body.offset);
  if (values.mime !== null && (values.forwardees || values.body))
    throw new CommandError(version >= 16 ? STATUS.mimeAndBody : STATUS.invalidXml);
  if (values.mime === null) throw new SchemaError("missing", "ComposeMail:Mime", body.offset);
  // One account is here, and it has no number.
  if (values.accountId !== null) throw new CommandError(STATUS.accountIdInvalid);
  return {
    clientId: values.clientId,
    savesInSent: values.savesInSent === true,
    replacesMime: values.replacesMime === true,
    mime: values.mime,
    source: values.source?.longId ?? values.source?.itemId ?? undefined,
  };
}

/** Before 14.0 the message is the body, and the rest is said in the query. */
function readRaw(command: SendCommand, mime: Uint8Array, { parameters }: Context): SendRequest {
  return {
    clientId: undefined,
    savesInSent: parameters.savesInSent === true,
    replacesMime: false,
    mime,
    source: command === "SendMail" ? undefined : (parameters.longId ?? parameters.itemId),
  };
}

/** The name of a mail without a ClientId: the hash of its octets, if they hold a Message-ID or a date, so that the same
 * octets are the same mail. Undefined otherwise. */
async function rawName({ bytes, header }: BroughtMessage): Promise<string | undefined> {
  if (["message-id", "date"].every((field) => header.values(field).length === 0)) return undefined;
  const hash = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return `raw ${Buffer.from(hash).toString("hex")}`;
}

/** Throws CommandError 150 where it is gone. */
function findSource(id: string | undefined, { session }: Context): Message {
  const { state } = session;
  const name = id === undefined ? undefined : parseItemId(id);
  const row = name && findItem(state, name);
  if (row === undefined) throw new CommandError(STATUS.itemGone, "the message that it is about is gone");
  return { position: 0, row, state };
}

/** The phone's words with the original behind them: quoted in an answer; with its files in what is forwarded. */
async function withOriginal(
  command: SendCommand,
  own: Letters,
  brought: BroughtMessage,
  source: Message,
  context: Context,
): Promise<Letters> {
  const { session, pace } = context;
  const [[summary], [header]] = [await session.readFullSummaries([source]), await session.readHeaders([source])];
  const letter = await letterOf(own.header, brought.root, bodyOfBytes(brought.bytes, pace), pace);
  const original = { summary: summary!, header: header!, source };
  const joined =
    command === "SmartReply" ? await answered(letter, original, context) : await forwarded(letter, original, context);
  try {
    const message = writeLetter(joined, { ...context, address: session.address });
    return { body: bodyOf(message), header: own.header };
  } catch (error) {
    if (error instanceof RangeError) throw new CommandError(STATUS.invalidMime, "no message can say that");
    throw error;
  }
}

interface Original {
  readonly source: Message;
  readonly summary: Summary;
  readonly header: HeaderBlock;
}

function textsOf({ summary, source }: Original, context: Context): MessageTexts {
  return new MessageTexts(summary, () => context.session.openBody(source), context);
}

/** Octets of the original's text that go along. */
const QUOTED_BYTES_MAX: number = 2 ** 20;

async function answered(letter: Letter, original: Original, context: Context): Promise<Letter> {
  const { header } = original;
  const texts = textsOf(original, context);
  const author = addressList(mailboxesOf(header, "from"));
  const intro = `${clean(header.values("date")[0] ?? "")}, ${author}:`;
  const text =
    letter.text === undefined
      ? undefined
      : `${letter.text}\r\n\r\n${intro}\r\n${quote((await texts.plain(QUOTED_BYTES_MAX)).text)}\r\n`;
  const html =
    letter.html === undefined
      ? undefined
      : appendHtml(
          letter.html,
          `<br>${textAsHtml(intro)}<blockquote type="cite">${innerHtml((await texts.html(QUOTED_BYTES_MAX)).text)}</blockquote>`,
        );
  return { ...letter, text, html };
}

async function forwarded(letter: Letter, original: Original, context: Context): Promise<Letter> {
  const { summary, header, source } = original;
  const { pace } = context;
  const texts = textsOf(original, context);
  const body = await texts.body();
  // A signature holds for the whole alone: what is signed or encrypted goes along as it is.
  if (isSealed(partsOfSummary(summary)))
    return { ...letter, files: [...letter.files, await wholeMessage(source, context)] };
  const { files } = await letterOf(header, partsOfSummary(summary), body, pace);
  const said = ["From", "Date", "To", "Cc", "Subject"].flatMap((field) => {
    const value = header.values(field.toLowerCase())[0];
    if (value === undefined) return [];
    const isText = field === "Subject" || field === "Date";
    return [
      `${field}: ${isText ? clean(decodeUnstructured(value)) : addressList(mailboxesOf(header, field.toLowerCase()))}`,
    ];
  });
  const intro = ["-------- Original Message --------", ...said].join("\r\n");
  const text =
    letter.text === undefined
      ? undefined
      : `${letter.text}\r\n\r\n${intro}\r\n\r\n${(await texts.plain(QUOTED_BYTES_MAX)).text}`;
  const html =
    letter.html === undefined
      ? undefined
      : appendHtml(letter.html, `<br>${textAsHtml(intro)}<br>${innerHtml((await texts.html(QUOTED_BYTES_MAX)).text)}`);
  return { ...letter, text, html, files: [...letter.files, ...files] };
}

async function wholeMessage(source: Message, { session }: Context): Promise<Letter["files"][number]> {
  const body = await session.openBody(source);
  const content = { length: body.size, read: () => body.read(0, body.size) };
  return {
    kind: "message",
    content: { ...content, facts: await look(content) },
    disposition: "attachment",
    fileName: "message.eml",
  };
}

/** A message that is written as it is read: from its beginning each time. */
function bodyOf(message: ComposedMessage) {
  return {
    size: message.length,
    async *read(start: number, end: number): AsyncGenerator<Uint8Array> {
      let at = 0;
      for await (const piece of message.read()) {
        const cut = piece.subarray(Math.max(0, start - at), Math.max(0, end - at));
        at += piece.length;
        if (cut.length > 0) yield cut;
        if (at >= end) return;
      }
    },
  };
}

/** Marks the mail that was answered or forwarded: \Answered or $Forwarded for all clients, the verb and its time for phones. */
async function markSource(command: SendCommand, sent: HeaderBlock, source: Message, context: Context): Promise<void> {
  const { session, pace, signal, now } = context;
  const email = idOf(source.state, source.row);
  const count = ["to", "cc", "bcc"].flatMap((field) => mailboxesOf(sent, field)).length;
  const verb = command === "SmartForward" ? FORWARDED : count > 1 ? REPLIED_TO_ALL : REPLIED;
  const flag = verb === FORWARDED ? "$Forwarded" : "\\Answered";
  await session.editEmails([{ email, add: [flag], remove: [], join: [], leave: [] }], { pace, signal });
  const marks = await readMarks(session, email);
  await session.writeRecords([marksRecord(email, { ...marks, verb, verbMs: now() })]);
}
