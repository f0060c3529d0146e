import { classifyFromLine } from "./from-line.ts";
import { readLines } from "./line-ends.ts";
import { isFileField, WRITTEN_FIELDS } from "./mbox-fields.ts";

/** Octets that can be read from any place: a file's, or a test's. `end` is exclusive. */
export interface Octets {
  readonly size: number;
  read(start: number, end: number): AsyncIterable<Uint8Array>;
}

/**
 * mboxrd quotes `>*From `, mboxo and mboxcl `From ` alone, mboxcl2 nothing; the last two say how long a body is in
 * Content-Length. `mbox` is any: a body whose Content-Length is right is mboxcl2's, another mboxrd's.
 */
export type MboxKind = "mbox" | "mboxrd" | "mboxo" | "mboxcl" | "mboxcl2";

/** One message's place. */
export interface MboxMessage {
  /** The line of its From_ line, from 1. */
  readonly line: number;
  /** Octets behind the From_ line, to the end of the message with the empty line behind it. */
  readonly start: number;
  readonly end: number;
  readonly fromLine: string;
  /** The file's fields, unfolded. */
  readonly fields: readonly string[];
  /** Content-Length was there and right. */
  readonly isCounted: boolean;
}

/** What isn't mbox, and where. */
export class MboxError extends Error {
  readonly line: number;
  constructor(line: number, message: string) {
    super(message);
    this.name = "MboxError";
    this.line = line;
  }
}

/** The sender of From_ lines that an export writes: three fields of the file follow, then the message as mboxrd. */
export const EXPORT_SENDER = "restante@export.invalid";
/** The same for a message whose line ends are not all CRLF: they stand as they are. */
export const EXPORT_SENDER_RAW = "restante@export-raw.invalid";
export const MBOX_LINE_BYTES_MAX: number = 64 * 1024;
/** Octets of a line that are looked at. */
const LOOK_BYTES = 1000;
/** Octets of the file's fields in one message. */
const FIELDS_BYTES_MAX = 64 * 1024;
const BYTE_ORDER_MARK = "\u00ef\u00bb\u00bf";
const FIELD = /^[!-9;-~]+[ \t]*:/;
const CONTENT_LENGTH = /^content-length[ \t]*:[ \t]*(\d{1,15})[ \t]*$/i;

export function isExported({ fromLine }: Pick<MboxMessage, "fromLine">): boolean {
  return fromLine.startsWith(`From ${EXPORT_SENDER} `) || isExportedRaw({ fromLine });
}

export function isExportedRaw({ fromLine }: Pick<MboxMessage, "fromLine">): boolean {
  return fromLine.startsWith(`From ${EXPORT_SENDER_RAW} `);
}

interface Line {
  readonly text: string;
  readonly number: number;
  readonly start: number;
  readonly end: number;
}

/** Finds the messages of an mbox file in one pass. Throws {@link MboxError} where no From_ line stands at its beginning. */
export async function* findMessages(octets: Octets, kind: MboxKind): AsyncGenerator<MboxMessage> {
  let found: { line: number; start: number; end: number; fromLine: string; fields: string[] } | undefined;
  let isCounted = false;
  let state: "header" | "body" = "body";
  let inFileField = false;
  let fieldBytes = 0;
  let fieldsSeen = 0;
  let length: number | undefined;
  let countedTo = 0;
  let before = "";
  for await (const [line, next] of withNext(lines(octets))) {
    const { text } = line;
    if (line.start >= countedTo && begins(text, before, next?.text, found === undefined)) {
      if (found) yield { ...found, isCounted };
      found = { line: line.number, start: line.end, end: line.end, fromLine: text.trimEnd(), fields: [] };
      [isCounted, state, inFileField, fieldBytes, fieldsSeen, length] = [false, "header", false, 0, 0, undefined];
    } else if (!found) {
      if (text !== "") throw new MboxError(line.number, "no From_ line stands here, so it is no mbox file");
    } else {
      // A counted body ends where it says; the line ends behind it belong to neither message.
      if (!isCounted) found.end = line.end;
      if (state === "header") {
        const isFolded = /^[ \t]/.test(text);
        if (text === "") {
          state = "body";
          if (length !== undefined && kind !== "mboxrd" && kind !== "mboxo" && !isExported(found)) {
            isCounted = await endsAt(octets, line.end + length);
            if (isCounted) found.end = countedTo = line.end + length;
          }
        } else if (!isFolded) {
          inFileField = isFileField(text) && (!isExported(found) || fieldsSeen < WRITTEN_FIELDS);
          fieldsSeen++;
          const digits = CONTENT_LENGTH.exec(text)?.[1];
          if (digits !== undefined) length = Number(digits);
        }
        if (inFileField && text !== "") {
          fieldBytes += text.length;
          if (fieldBytes > FIELDS_BYTES_MAX) throw new MboxError(line.number, "the fields of the file are too long");
          if (isFolded) found.fields.push(`${found.fields.pop() ?? ""} ${text.trim()}`);
          else found.fields.push(text);
        }
      }
    }
    before = text;
  }
  if (found) yield { ...found, isCounted };
}

/** Whether a line begins a message: what stands around it decides where its own words don't. */
function begins(text: string, before: string, next: string | undefined, isFirst: boolean): boolean {
  if (!text.startsWith("From ")) return false;
  if (isFirst) return before === "";
  const nextIsField = next !== undefined && FIELD.test(next);
  switch (classifyFromLine(text)) {
    case "certain":
      return before === "" || nextIsField;
    case "likely":
      return before === "" && nextIsField;
    case "bare":
      return nextIsField;
    case "none":
      return false;
  }
}

/** Whether a message may end here: at the file's end, or before a From_ line, with one line end between or none. */
async function endsAt(octets: Octets, at: number): Promise<boolean> {
  if (at > octets.size) return false;
  let text = "";
  for await (const chunk of octets.read(at - 1, Math.min(octets.size, at + LOOK_BYTES)))
    text += Buffer.from(chunk).toString("latin1");
  const rest = text.slice(1).replace(/^(?:\r?\n){1,2}/, "");
  if (rest === "") return at - 1 + text.length === octets.size;
  const isLineBegin = text.startsWith("\n") || text.length - 1 > rest.length;
  return isLineBegin && classifyFromLine(/^[^\r\n]*/.exec(rest)![0]) !== "none";
}

/** A file's lines without their ends; of a long one only the beginning. */
async function* lines(octets: Octets): AsyncGenerator<Line> {
  let at = 0;
  let number = 1;
  let text: string | undefined;
  let start = 0;
  for await (const piece of readLines(octets.read(0, octets.size), MBOX_LINE_BYTES_MAX)) {
    const look = text === undefined ? piece.subarray(0, MBOX_LINE_BYTES_MAX).toString("latin1") : "";
    text ??= number === 1 && look.startsWith(BYTE_ORDER_MARK) ? look.slice(BYTE_ORDER_MARK.length) : look;
    at += piece.length;
    if (piece.at(-1) !== 10) continue;
    yield { text: text.replace(/\r*\n$/, ""), number, start, end: at };
    [text, start] = [undefined, at];
    number++;
  }
  if (text !== undefined) yield { text, number, start, end: at };
}

async function* withNext<T>(items: AsyncIterable<T>): AsyncGenerator<readonly [T, T | undefined]> {
  let held: T | undefined;
  for await (const item of items) {
    if (held !== undefined) yield [held, item];
    held = item;
  }
  if (held !== undefined) yield [held, undefined];
}

const QUOTED: Readonly<Record<MboxKind, RegExp | undefined>> = {
  mbox: /^>+From /,
  mboxrd: /^>+From /,
  mboxo: /^>From /,
  mboxcl: /^>From /,
  mboxcl2: undefined,
};

/** A message's octets: unquoted, without the fields that are the file's and without the empty line behind it. */
export async function* readMessage(octets: Octets, message: MboxMessage, kind: MboxKind): AsyncGenerator<Uint8Array> {
  if (message.end <= message.start) return;
  const isOurs = isExported(message);
  const quoted = QUOTED[isOurs ? "mboxrd" : kind === "mbox" && message.isCounted ? "mboxcl2" : kind];
  let inHeader = true;
  let lineBegins = true;
  let isLeftOut = false;
  let fieldsSeen = 0;
  let empty: Buffer | undefined;
  for await (const piece of readLines(octets.read(message.start, message.end), MBOX_LINE_BYTES_MAX)) {
    if (empty) yield empty;
    empty = undefined;
    const isBeginning = lineBegins;
    lineBegins = piece.at(-1) === 10;
    const text = isBeginning ? piece.subarray(0, LOOK_BYTES).toString("latin1") : "";
    if (isBeginning && /^\r?\n$/.test(text)) {
      if (inHeader) yield piece;
      else empty = piece;
      inHeader = false;
      isLeftOut = false;
      continue;
    }
    if (isBeginning && inHeader && !/^[ \t]/.test(text)) {
      isLeftOut = isOurs
        ? fieldsSeen < WRITTEN_FIELDS && isFileField(text)
        : isFileField(text) || (message.isCounted && CONTENT_LENGTH.test(text.trimEnd()));
      fieldsSeen++;
    }
    if (isLeftOut) continue;
    yield quoted && isBeginning && quoted.test(text) ? piece.subarray(1) : piece;
  }
  if (empty && message.isCounted) yield empty;
}
