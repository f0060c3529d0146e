import {
  type AccountSession,
  EngineError,
  emailIdOf,
  type MembershipName,
  type Message,
  type Pace,
  type ReadState,
  type Row,
  type Summary,
} from "@restante/engine";
import { Problem } from "@restante/host";
import { baseSubject, decodeUnstructured, type HeaderBlock } from "@restante/mime";
import type { Element } from "wbxml";
import { dashed, fileTime } from "../protocol/dates.ts";
import { empty, group, leaf } from "../protocol/elements.ts";
import { conversationId } from "../protocol/ids.ts";
import type { Version } from "../protocol/version.ts";
import { type BodyOptions, PLAIN } from "../sync/options.ts";
import { addressList, addressText, clean, displayNames, mailboxesOf } from "./addresses.ts";
import { type Bodies, bodiesOf } from "./body.ts";
import { attachmentsElement } from "./files.ts";
import { type HtmlThread, HtmlTrouble } from "./html-thread.ts";
import { categoriesElement, flagElement, type Marks, readMarks, verbElements } from "./marks.ts";
import { type Meeting, readMeeting } from "./meeting.ts";
import { messageClass } from "./message-class.ts";
import { MessageTexts } from "./texts.ts";

/** Session, version and converters by which items are made. */
export interface ItemTools {
  readonly session: AccountSession;
  readonly version: Version;
  readonly pace: Pace;
  readonly html: HtmlThread;
  /** Gets the error of a message that can't be converted: without contents. */
  readonly onTrouble: (error: unknown) => void;
}

/** A membership and what is kept of its email beside the body. */
interface Kept {
  readonly message: Message;
  readonly summary: Summary;
  readonly header: HeaderBlock;
}

/**
 * Mails as ActiveSync's class Email has them (MS-ASEMAIL §2.2.2), in order; undefined for one that went meanwhile. One that
 * can't be converted is told as far as it can be, and says why: no mail stops a folder. `wants` says of each whether its body
 * is wanted. Errors: `unavailable`.
 */
export async function* readItems(
  messages: readonly Message[],
  options: BodyOptions,
  tools: ItemTools,
  wantsBody: (message: Message) => boolean = () => true,
): AsyncGenerator<readonly Element[] | undefined> {
  for (let from = 0; from < messages.length; from += ITEMS_AT_ONCE) {
    const some = messages.slice(from, from + ITEMS_AT_ONCE);
    for (const [at, kept] of (await readKept(some, tools)).entries()) {
      if (tools.pace.isOver()) await tools.pace.take();
      yield kept instanceof EngineError
        ? kept.code === "expunged"
          ? undefined
          : standIn(some[at]!, tools)
        : await itemOf(kept, options, tools, wantsBody(kept.message));
    }
  }
}

/** Mails whose summaries are read together. */
const ITEMS_AT_ONCE = 64;

/** Summaries and header blocks of mails. After an error each is read by itself, so that one damaged page is no other mail's
 * trouble. Errors: `unavailable`. */
export async function readKept(
  messages: readonly Message[],
  { session }: Pick<ItemTools, "session">,
): Promise<(Kept | EngineError)[]> {
  const read = async (some: readonly Message[]): Promise<Kept[]> => {
    const [summaries, headers] = [await session.readFullSummaries(some), await session.readHeaders(some)];
    return some.map((message, at) => ({ message, summary: summaries[at]!, header: headers[at]! }));
  };
  try {
    return await read(messages);
  } catch (error) {
    if (!isOfOne(error)) throw error;
  }
  const kept: (Kept | EngineError)[] = [];
  for (const message of messages) {
    try {
      kept.push(...(await read([message])));
    } catch (error) {
      if (!isOfOne(error)) throw error;
      kept.push(error);
    }
  }
  return kept;
}

function isOfOne(error: unknown): error is EngineError {
  return error instanceof EngineError && (error.code === "corrupt" || error.code === "expunged");
}

async function itemOf(
  { message, summary, header }: Kept,
  options: BodyOptions,
  tools: ItemTools,
  wantsBody: boolean,
): Promise<readonly Element[] | undefined> {
  const { session, version } = tools;
  const { state, row } = message;
  const email = idOf(state, row);
  const flags = state.flagNames(row);
  const marks = await readMarks(session, email);
  const texts = new MessageTexts(summary, () => session.openBody(message), tools);
  let bodies: Bodies | undefined;
  let meeting: Meeting | undefined;
  let trouble: Element | undefined;
  try {
    if (wantsBody) bodies = await bodiesOf(texts, options, version);
    const calendar = await texts.calendar();
    meeting = calendar === undefined ? undefined : readMeeting(calendar);
  } catch (error) {
    if (error instanceof EngineError && error.code === "expunged") return undefined;
    if (error instanceof Problem || (error instanceof EngineError && error.code !== "corrupt")) throw error;
    tools.onTrouble(error);
    trouble = troubleBody(error);
  }
  return [
    ...headerElements(header, flags, version),
    leaf("Email:DateReceived", dashed(state.receivedOf(row).timeMs)),
    ...flagElements(flags, marks, version),
    leaf("Email:MessageClass", meeting?.messageClass ?? messageClass(texts.root.part)),
    meeting?.request?.(version),
    leaf("Email:InternetCPID", UTF8_CODE_PAGE),
    leaf("Email:ContentClass", `urn:content-classes:${meeting ? "calendarmessage" : "message"}`),
    attachmentsElement(email, texts),
    bodies?.body ?? trouble,
    bodies?.bodyPart,
    bodies || trouble ? leaf("AirSyncBase:NativeBodyType", bodies?.native ?? PLAIN) : undefined,
    ...conversationElements(state, row, header, version),
  ].filter((element) => element !== undefined);
}

const UTF8_CODE_PAGE = 65_001;

/** Properties of a mail that its owner changes: all that is told where one of them changed. */
export function flagElements(flags: readonly string[], marks: Marks, version: Version): (Element | undefined)[] {
  return [
    leaf("Email:Read", flags.includes("\\Seen") ? 1 : 0),
    flagElement(flags.includes("\\Flagged"), marks),
    version >= 14 ? categoriesElement(flags) : undefined,
    ...verbElements(flags, marks, version),
    version >= 16 ? leaf("Email2:IsDraft", flags.includes("\\Draft") ? 1 : 0) : undefined,
  ];
}

/** The same, of what is there now. Errors: `unavailable`. */
export async function readFlagElements({ state, row }: Message, { session, version }: ItemTools): Promise<Element[]> {
  const flags = state.flagNames(row);
  const marks = await readMarks(session, idOf(state, row));
  const elements = flagElements(flags, marks, version).filter((element) => element !== undefined);
  // Its phone may know of a verb that is there no more.
  const isVerbTold = version < 14 || elements.some(({ tag }) => tag === "Email2:LastVerbExecuted");
  return isVerbTold ? elements : [...elements, leaf("Email2:LastVerbExecuted", 0)];
}

function headerElements(header: HeaderBlock, flags: readonly string[], version: Version): (Element | undefined)[] {
  const [to, cc, from, sender, replyTo] = ["to", "cc", "from", "sender", "reply-to"].map((field) =>
    mailboxesOf(header, field),
  ) as [to: Boxes, cc: Boxes, from: Boxes, sender: Boxes, replyTo: Boxes];
  const author = from[0] ?? sender[0];
  const [fromText, senderText] = [author ? addressText(author) : "", sender[0] ? addressText(sender[0]) : ""];
  const replies = addressList(replyTo, "; ");
  const raw = header.values("subject")[0] ?? "";
  const isDraft = version >= 16 && flags.includes("\\Draft");
  const listOf = (tag: string, boxes: Boxes): Element | undefined =>
    boxes.length === 0 ? undefined : leaf(tag, addressList(boxes));
  return [
    listOf("Email:To", to),
    listOf("Email:Cc", cc),
    isDraft ? listOf("Email2:Bcc", mailboxesOf(header, "bcc")) : undefined,
    fromText === "" ? undefined : leaf("Email:From", fromText),
    version >= 14 && senderText !== "" && senderText !== fromText ? leaf("Email2:Sender", senderText) : undefined,
    replies === "" || replies === fromText ? undefined : leaf("Email:ReplyTo", replies),
    to.length === 0 ? undefined : leaf("Email:DisplayTo", displayNames(to)),
    leaf("Email:Subject", clean(decodeUnstructured(raw))),
    leaf("Email:ThreadTopic", clean(baseSubject(raw).base)),
    leaf("Email:Importance", importanceOf(header)),
  ];
}

type Boxes = ReturnType<typeof mailboxesOf>;

/** 0 low, 1, 2 high. */
export function importanceOf(header: HeaderBlock): 0 | 1 | 2 {
  const first = (field: string): string => (header.values(field)[0] ?? "").trim().toLowerCase();
  const words = [first("importance"), first("priority"), first("x-priority").slice(0, 1)];
  for (const word of words) {
    if (["high", "urgent", "1", "2"].includes(word)) return 2;
    if (["low", "non-urgent", "4", "5"].includes(word)) return 0;
  }
  return 1;
}

/** MS-ASCON §2.2.2. */
function conversationElements(state: ReadState, row: Row, header: HeaderBlock, version: Version): Element[] {
  if (version < 14) return [];
  return [
    leaf("Email2:ConversationId", conversationId(state.threadOf(state.emailOf(row)))),
    leaf("Email2:ConversationIndex", conversationIndex(header, state.sentOf(row).timeMs)),
  ];
}

/** Properties that the server adds to a draft of a phone. */
export function madeElements(state: ReadState, row: Row, version: Version): Element[] {
  return [
    leaf("Email:DateReceived", dashed(state.receivedOf(row).timeMs)),
    leaf("Email2:IsDraft", 1),
    ...conversationElements(state, row, NO_HEADER, version),
  ];
}

const TIME_BYTES = 5;
const LEVEL_BYTES = 5;
const INDEX_BYTES = 22;
const LEVELS_MAX = 100;

/** A time (without the highest octet of its eight) and a level for each answer: those of the mail's Thread-Index, or the time at which it was sent. */
export function conversationIndex(header: HeaderBlock, sentMs: number): Uint8Array {
  const given = Buffer.from((header.values("thread-index")[0] ?? "").replace(/\s+/g, ""), "base64");
  if (given.length >= INDEX_BYTES && (given.length - INDEX_BYTES) % LEVEL_BYTES === 0 && given[0] === 1)
    return Uint8Array.from([
      ...given.subarray(1, 1 + TIME_BYTES),
      ...given.subarray(INDEX_BYTES, INDEX_BYTES + LEVELS_MAX * LEVEL_BYTES),
    ]);
  return fileTime(sentMs).slice(1, 1 + TIME_BYTES);
}

/** A body that says why there is none. */
function troubleBody(error: unknown): Element {
  const text =
    error instanceof HtmlTrouble
      ? `Restante could not make this message safe to show: ${error.message}. Any mail program that speaks IMAP shows it.`
      : "This message is damaged in the store. The operator of your mail server can try to repair it.";
  return group(
    "AirSyncBase:Body",
    leaf("AirSyncBase:Type", PLAIN),
    leaf("AirSyncBase:EstimatedDataSize", Buffer.byteLength(text)),
    leaf("AirSyncBase:Data", text),
  );
}

/** An item for a mail of which not even the summary can be read. */
function standIn({ state, row }: Message, tools: ItemTools): Element[] {
  const flags = state.flagNames(row);
  return [
    leaf("Email:Subject", "(damaged message)"),
    leaf("Email:Importance", 1),
    leaf("Email:DateReceived", dashed(state.receivedOf(row).timeMs)),
    leaf("Email:Read", flags.includes("\\Seen") ? 1 : 0),
    empty("Email:Flag"),
    leaf("Email:MessageClass", "IPM.Note"),
    leaf("Email:InternetCPID", UTF8_CODE_PAGE),
    troubleBody(undefined),
    leaf("AirSyncBase:NativeBodyType", PLAIN),
    ...conversationElements(state, row, NO_HEADER, tools.version),
  ];
}

const NO_HEADER = { values: () => [] } as unknown as HeaderBlock;

/** The email that a membership holds now: 16 octets. */
export function idOf(state: ReadState, row: Row): Uint8Array {
  return emailIdOf(state, row);
}

/** The membership that is known by this name, if it is there and shown. */
export function findItem(state: ReadState, name: MembershipName): Row | undefined {
  const row = state.findLasting(name);
  return row !== undefined && state.isLive(row) && !state.isDeleted(row) ? row : undefined;
}
