import { EngineError, formatBlobId, hexText, type Message, partsOfSummary } from "@restante/engine";
import {
  allNodes,
  displayName,
  formatAddress,
  type HeaderBlock,
  type NewField,
  type NewPart,
  nodesOf,
  parseAddresses,
  parseMessageIds,
  type StructuredPart,
} from "@restante/mime";
import {
  boolean,
  type Element,
  element,
  group,
  integer,
  many,
  octets,
  optional,
  readValues,
  schema,
  text,
} from "wbxml";
import type { Context } from "../context.ts";
import type { Folder } from "../folders/tree.ts";
import { ADDRESSES_CHARS_MAX, ID_CHARS_MAX, REQUEST_BYTES_MAX } from "../limits.ts";
import { idOf, madeElements } from "../mail/item.ts";
import { MessageTexts } from "../mail/texts.ts";
import { group as element_, leaf } from "../protocol/elements.ts";
import { formatFileReference, parseFileReference } from "../protocol/ids.ts";
import { CONVERSION_ERROR, CommandError } from "../protocol/status.ts";
import { bodyOfBytes, type Letter, letterOf, readMessage, writeLetter } from "../sending/letter.ts";

/** Content of a draft as a phone gives it, from 16.0 on: MS-ASEMAIL §3.1.5.10. Undefined stays as it is. */
export interface DraftWish {
  readonly to: string | undefined;
  readonly cc: string | undefined;
  readonly bcc: string | undefined;
  readonly replyTo: string | undefined;
  readonly subject: string | undefined;
  readonly importance: number | undefined;
  /** The whole message, in place of all that is above. */
  readonly mime: Uint8Array | undefined;
  readonly text: string | undefined;
  readonly html: string | undefined;
  readonly files: readonly NewFile[];
  /** References of files that go. */
  readonly dropped: ReadonlySet<string>;
}

export interface NewFile {
  readonly clientId: string;
  readonly part: NewPart;
}

const FILE_BYTES_MAX = REQUEST_BYTES_MAX;
const FILES_MAX = 500;

const ADD = group({
  clientId: optional("AirSyncBase:ClientId", text(ID_CHARS_MAX * 4)),
  method: optional("AirSyncBase:Method", integer(1, 6)),
  type: optional("AirSyncBase:ContentType", text(255)),
  content: optional("AirSyncBase:Content", octets(FILE_BYTES_MAX)),
  name: optional("AirSyncBase:DisplayName", text(1024)),
  id: optional("AirSyncBase:ContentId", text(1024)),
  location: optional("AirSyncBase:ContentLocation", text(1024)),
  isInline: optional("AirSyncBase:IsInline", boolean),
});
const BODY = group({
  type: optional("AirSyncBase:Type", integer(1, 4)),
  size: optional("AirSyncBase:EstimatedDataSize", element),
  truncated: optional("AirSyncBase:Truncated", element),
  data: optional("AirSyncBase:Data", octets(REQUEST_BYTES_MAX)),
  preview: optional("AirSyncBase:Preview", element),
});
const DRAFT = group({
  to: optional("Email:To", text(ADDRESSES_CHARS_MAX * 4)),
  cc: optional("Email:Cc", text(ADDRESSES_CHARS_MAX * 4)),
  bcc: optional("Email2:Bcc", text(ADDRESSES_CHARS_MAX * 4)),
  replyTo: optional("Email:ReplyTo", text(ADDRESSES_CHARS_MAX * 4)),
  subject: optional("Email:Subject", text()),
  importance: optional("Email:Importance", integer(0, 2)),
  body: optional("AirSyncBase:Body", BODY),
  attachments: optional(
    "AirSyncBase:Attachments",
    group({
      add: many("AirSyncBase:Add", ADD, FILES_MAX),
      drop: many("AirSyncBase:Delete", group({ file: optional("AirSyncBase:FileReference", text(512)) }), FILES_MAX),
    }),
  ),
  // Phones send them along; what they say of a draft follows from its folder.
  from: optional("Email:From", text()),
  isDraft: optional("Email2:IsDraft", boolean),
  class: optional("Email:MessageClass", text()),
  read: optional("Email:Read", element),
  flag: optional("Email:Flag", element),
  categories: optional("Email:Categories", element),
  native: optional("AirSyncBase:NativeBodyType", element),
});
const APPLICATION_DATA = schema("AirSync:ApplicationData", DRAFT);

/** Tags that make a Change one of a draft's content. */
const CONTENT: ReadonlySet<string> = new Set([
  ...["Email:To", "Email:Cc", "Email2:Bcc", "Email:ReplyTo", "Email:Subject", "Email:Importance"],
  ...["AirSyncBase:Body", "AirSyncBase:Attachments"],
]);

export function isDraftContent(data: Element): boolean {
  return data.children.some(({ tag }) => CONTENT.has(tag));
}

/** Throws SchemaError, and CommandError 6. */
export function readDraft(data: Element): DraftWish {
  const { body, attachments, ...values } = readValues(APPLICATION_DATA, data);
  const type = body?.type ?? 1;
  if (type === 3) throw new CommandError(CONVERSION_ERROR, "a draft in RTF");
  const content = body?.data === null || body === null ? undefined : body.data;
  const words = content === undefined || type === 4 ? undefined : UTF8.decode(content);
  return {
    to: values.to ?? undefined,
    cc: values.cc ?? undefined,
    bcc: values.bcc ?? undefined,
    replyTo: values.replyTo ?? undefined,
    subject: values.subject ?? undefined,
    importance: values.importance ?? undefined,
    mime: type === 4 ? content : undefined,
    text: type === 1 ? words : undefined,
    html: type === 2 ? words : undefined,
    files: (attachments?.add ?? []).map(newFile),
    dropped: new Set((attachments?.drop ?? []).map(({ file }) => file ?? "")),
  };
}

const UTF8 = new TextDecoder();

function newFile({ clientId, type, content, name, id, isInline }: ReturnType<typeof ADD.read>): NewFile {
  const media = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/.test(type ?? "") ? type!.toLowerCase() : "application/octet-stream";
  const isNoFile = /^(?:multipart|message)\//.test(media);
  const part: NewPart = {
    kind: "file",
    type: isNoFile ? "application/octet-stream" : media,
    content: content ?? new Uint8Array(),
    disposition: isInline ? "inline" : "attachment",
    fileName: name ?? undefined,
    id: id ?? undefined,
  };
  return { clientId: clientId ?? "", part };
}

/** Octets of a draft of what its phone says, upon what it was; `messageId`: what it is found again by, without angle
 * brackets, unless it brings a Message-ID of its own. Throws CommandError 6 where no message can say that. Errors:
 * `unavailable`, `corrupt`. */
export async function writeDraft(
  wish: DraftWish,
  before: Message | undefined,
  messageId: string,
  context: Context,
): Promise<AsyncIterable<Uint8Array>> {
  if (wish.mime) {
    const brought = await readMessage(wish.mime, context.pace);
    if (!brought) throw new CommandError(CONVERSION_ERROR, "a draft that is no message");
    const { bytes } = brought;
    const body = bodyOfBytes(bytes, context.pace).read(0, bytes.length);
    return brought.header.values("message-id").length > 0 ? body : withMessageId(messageId, body);
  }
  const letter = await merge(wish, before ? await draftLetter(before, wish, context) : EMPTY, messageId, context);
  try {
    return writeLetter(letter, { ...context, address: context.session.address }, true).read();
  } catch (error) {
    if (error instanceof RangeError) throw new CommandError(CONVERSION_ERROR, "no message can say that");
    throw error;
  }
}

async function* withMessageId(messageId: string, message: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  yield new TextEncoder().encode(`Message-ID: <${messageId}>\r\n`);
  yield* message;
}

const EMPTY: Letter = { fields: [], text: undefined, html: undefined, files: [] };

/** A stored draft, without the files that go. */
async function draftLetter(message: Message, { dropped }: DraftWish, context: Context): Promise<Letter> {
  const { session, pace } = context;
  const email = idOf(message.state, message.row);
  const [[summary], [header]] = [await session.readFullSummaries([message]), await session.readHeaders([message])];
  const root = nodesOf(partsOfSummary(summary!));
  const paths = new Map<StructuredPart, string | null>([...allNodes(root)].map(({ part, path }) => [part, path]));
  const gone = new Set([...dropped].map(parseFileReference).flatMap((file) => (file ? [fileKey(file)] : [])));
  const isGone = (part: StructuredPart): boolean => gone.has(fileKey({ email, path: paths.get(part) ?? "" }));
  return letterOf(header!, root.part, await session.openBody(message), pace, isGone);
}

function fileKey({ email, path }: { readonly email: Uint8Array; readonly path: string }): string {
  return `${formatBlobId(email)}:${path}`;
}

async function merge(
  wish: DraftWish,
  before: Letter,
  messageId: string,
  { session, now, html }: Context,
): Promise<Letter> {
  const set = new Map<string, NewField | undefined>();
  const addresses = (name: string, list: string | undefined): void => {
    if (list !== undefined) set.set(name.toLowerCase(), { name, form: "addresses", value: readList(list) });
  };
  addresses("To", wish.to);
  addresses("Cc", wish.cc);
  addresses("Bcc", wish.bcc);
  addresses("Reply-To", wish.replyTo);
  if (wish.subject !== undefined) set.set("subject", { name: "Subject", form: "text", value: wish.subject });
  if (wish.importance !== undefined) {
    for (const field of ["x-priority", "priority"]) set.set(field, undefined);
    const word = ["low", undefined, "high"][wish.importance];
    set.set("importance", word === undefined ? undefined : { name: "Importance", form: "text", value: word });
  }
  set.set("date", { name: "Date", form: "date", value: { timeMs: now(), zoneMinutes: 0 } });
  const has = (name: string): boolean => before.fields.some((field) => field.name.toLowerCase() === name);
  if (!has("from")) set.set("from", { name: "From", form: "addresses", value: [{ email: session.address }] });
  if (!has("message-id")) set.set("message-id", { name: "Message-ID", form: "messageIds", value: [messageId] });
  const isNewText = wish.text !== undefined || wish.html !== undefined;
  return {
    fields: [
      ...before.fields.filter(({ name }) => !set.has(name.toLowerCase())),
      ...[...set.values()].filter((field) => field !== undefined),
    ],
    text: isNewText ? (wish.text ?? (await html.strip(wish.html ?? ""))) : before.text,
    html: isNewText ? wish.html : before.html,
    files: [...before.files, ...wish.files.map(({ part }) => part)],
  };
}

/** A list as phones write it: commas or semicolons between. An entry that is no address stays as it is written. */
function readList(list: string): { readonly name: string | undefined; readonly email: string }[] {
  return parseAddresses(Buffer.from(list.replaceAll(";", ",")).toString("latin1"))
    .flatMap((one) => (one.kind === "group" ? one.members : [one]))
    .map((mailbox) => ({
      name: mailbox.name === undefined ? undefined : displayName(mailbox.name),
      email: formatAddress(mailbox),
    }));
}

/** Of a draft that a phone adds, what its Message-ID is: the same for the same request, so that it is found again where the
 * answer was lost. */
export async function draftMessageId(context: Context, folder: Folder, key: string, clientId: string): Promise<string> {
  const { session, deviceId } = context;
  const name = JSON.stringify([session.account, deviceId, folder.id, key, clientId]);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(name)));
  return `${hexText(hash.subarray(0, 16))}@${session.address.slice(session.address.lastIndexOf("@") + 1)}`;
}

/** The first of these messages whose header has this Message-ID; undefined if none has. Errors: `unavailable`. */
export async function findByMessageId(
  { session }: Context,
  messages: readonly Message[],
  messageId: string,
): Promise<Message | undefined> {
  if (messages.length === 0) return undefined;
  const headers: HeaderBlock[] = await session.readHeaders(messages);
  const at = headers.findIndex((header) => parseMessageIds(header.values("message-id")[0] ?? "")[0] === messageId);
  return messages[at];
}

/** Elements that answer for a phone's draft: its new files by the phone's names, and for an Add the properties that the
 * server sets. */
export async function draftAnswer(
  message: Message,
  wish: DraftWish,
  verb: "Add" | "Change" | "Delete" | "Fetch",
  context: Context,
): Promise<Element> {
  const { session, version } = context;
  const [summary] = await session.readFullSummaries([message]);
  const texts = new MessageTexts(summary!, () => session.openBody(message), context);
  const files = texts.files();
  const email = idOf(message.state, message.row);
  // New files stand behind those that were there.
  const added = wish.files.length === 0 ? [] : files.slice(-wish.files.length);
  const references = added.map((file, at) =>
    element_(
      "AirSyncBase:Attachment",
      leaf("AirSyncBase:ClientId", wish.files[at]?.clientId ?? ""),
      leaf("AirSyncBase:FileReference", formatFileReference(email, file.path!)),
    ),
  );
  const { state, row } = message;
  const made = verb === "Add" ? madeElements(state, row, version) : [];
  return element_(
    "AirSync:ApplicationData",
    ...made,
    references.length === 0 ? undefined : element_("AirSyncBase:Attachments", ...references),
  );
}

/** True for an error because the draft went meanwhile. */
export function isGone(error: unknown): boolean {
  return error instanceof EngineError && (error.code === "expunged" || error.code === "not-found");
}
