import { readLines } from "../line-ends.ts";
import { classifyFromLine } from "./from-line.ts";
import { isFileField, isLeadingField, WRITTEN_FIELDS } from "./mbox-fields.ts";

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
  /** The file's fields, unfolded, and how many of them stand before all others. */
  readonly fields: readonly string[];
  readonly leading: number;
  /** Which of its fields, from 0, is the Content-Length that was right; undefined if none was. */
  readonly countedBy: number | undefined;
}

const NO_MBOX =
  "no From_ line stands here, so it is no mbox file; if it is one message, import it by eml:, else it does not belong there";

/** An error at a line that is not mbox. */
export class MboxError extends Error {
  readonly line: number;
  constructor(line: number, message: string) {
    super(message);
    this.name = "MboxError";
    this.line = line;
  }
}

/**
 * The sender of From_ lines that an export writes: it says the kind and whether line ends stand as they are. Some fields of
 * the file follow ({@link writtenFields}), then the message.
 */
const EXPORTED = /^From restante(?:\.(mboxo|mboxcl2|mboxcl))?@export(-raw)?\.invalid /;
export const MBOX_LINE_BYTES_MAX: number = 64 * 1024;
/** Octets of a line that are looked at. */
const LOOK_BYTES = 1000;
/** Octets of the file's fields in one message. */
const FIELDS_BYTES_MAX = 64 * 1024;
const BYTE_ORDER_MARK = "\u00ef\u00bb\u00bf";
/** A field, or the From_ line of another host that a message was brought by. */
const FIELD = /^(?:[!-9;-~]+[ \t]*:|>From )/;
const CONTENT_LENGTH = /^content-length[ \t]*:[ \t]*(\d{1,15})[ \t]*$/i;

/** A From_ line's sender, for {@link exportOf}. */
export function exportSender(kind: Exclude<MboxKind, "mbox">, isRaw: boolean): string {
  return `restante${kind === "mboxrd" ? "" : `.${kind}`}@export${isRaw ? "-raw" : ""}.invalid`;
}

/** How an export wrote a message; undefined of what others wrote. */
export function exportOf({
  fromLine,
}: Pick<MboxMessage, "fromLine">): { readonly kind: Exclude<MboxKind, "mbox">; readonly isRaw: boolean } | undefined {
  const match = EXPORTED.exec(fromLine);
  return match
    ? { kind: (match[1] ?? "mboxrd") as Exclude<MboxKind, "mbox">, isRaw: match[2] !== undefined }
    : undefined;
}

/** Fields that an export puts before a message of this kind. */
function writtenFields(kind: MboxKind): number {
  return isCountedKind(kind) ? WRITTEN_FIELDS + 1 : WRITTEN_FIELDS;
}

export function isCountedKind(kind: MboxKind): boolean {
  return kind === "mboxcl" || kind === "mboxcl2";
}

interface Line {
  readonly text: string;
  readonly number: number;
  readonly start: number;
  readonly end: number;
}

/** A message while its lines are read. */
class OpenMessage {
  readonly #octets: Octets;
  readonly #exported: ReturnType<typeof exportOf>;
  readonly #mayCount: boolean;
  readonly #line: number;
  readonly #start: number;
  readonly #fromLine: string;
  readonly #fields: string[] = [];
  #leading = 0;
  #isLeading = true;
  /** Numbers of the message's Content-Length fields, each with the field's index. */
  readonly #lengths: { readonly field: number; readonly bytes: number }[] = [];
  #end: number;
  #inHeader = true;
  #inFileField = false;
  #fieldBytes = 0;
  #fieldsSeen = 0;
  #countedBy: number | undefined;

  constructor(octets: Octets, line: Line, kind: MboxKind) {
    this.#octets = octets;
    this.#line = line.number;
    this.#start = line.end;
    this.#end = line.end;
    this.#fromLine = line.text.trimEnd();
    this.#exported = exportOf({ fromLine: this.#fromLine });
    const own = this.#exported?.kind ?? kind;
    this.#mayCount = own === "mbox" || isCountedKind(own);
  }

  get whole(): MboxMessage {
    return {
      line: this.#line,
      start: this.#start,
      end: this.#end,
      fromLine: this.#fromLine,
      fields: this.#fields,
      leading: this.#leading,
      countedBy: this.#countedBy,
    };
  }

  /** True if `at` lies outside a body whose length a field tells. */
  isOpenAt(at: number): boolean {
    return this.#countedBy === undefined || at >= this.#end;
  }

  /** True if a line at `at` follows a body whose length a field tells. Such a line is empty or begins the next message. */
  isOverAt(at: number): boolean {
    return this.#countedBy !== undefined && at >= this.#end;
  }

  async take(line: Line): Promise<void> {
    if (this.#countedBy === undefined) this.#end = line.end;
    if (!this.#inHeader) return;
    if (line.text === "") await this.#endHeader(line);
    else this.#takeField(line);
  }

  async #endHeader(line: Line): Promise<void> {
    this.#inHeader = false;
    if (!this.#mayCount) return;
    // A program that counts writes its field behind those that were there.
    for (const { field, bytes } of this.#lengths.reverse())
      if (this.#countedBy === undefined && (await endsAt(this.#octets, line.end + bytes)))
        [this.#countedBy, this.#end] = [field, line.end + bytes];
  }

  #takeField({ text, number }: Line): void {
    const exported = this.#exported;
    // An export folds none of its fields: what stands behind them is the message's, also where it begins with a space.
    const isFolded = !exported && /^[ \t]/.test(text);
    if (!isFolded) {
      const field = this.#fieldsSeen++;
      const isFiles = !exported || field < writtenFields(exported.kind);
      this.#isLeading &&= exported !== undefined || isLeadingField(text);
      this.#inFileField = isFiles && isFileField(text, this.#isLeading);
      const digits = isFiles ? CONTENT_LENGTH.exec(text)?.[1] : undefined;
      if (digits !== undefined) this.#lengths.push({ field, bytes: Number(digits) });
    }
    if (!this.#inFileField) return;
    this.#fieldBytes += text.length;
    if (this.#fieldBytes > FIELDS_BYTES_MAX) throw new MboxError(number, "the fields of the file are too long");
    if (isFolded) this.#fields.push(`${this.#fields.pop() ?? ""} ${text.trim()}`);
    else this.#fields.push(text);
    if (this.#isLeading) this.#leading = this.#fields.length;
  }
}

/** Finds the messages of an mbox file in one pass. Throws {@link MboxError} where no From_ line stands at its beginning. */
export async function* findMessages(octets: Octets, kind: MboxKind): AsyncGenerator<MboxMessage> {
  let open: OpenMessage | undefined;
  let before = "";
  for await (const [line, next] of withNext(lines(octets))) {
    if (isBeginning(line, next, before, open)) {
      if (open) yield open.whole;
      open = new OpenMessage(octets, line, kind);
    } else if (open) await open.take(line);
    else if (line.text !== "") throw new MboxError(line.number, NO_MBOX);
    before = line.text;
  }
  if (open) yield open.whole;
}

function isBeginning(line: Line, next: Line | undefined, before: string, open: OpenMessage | undefined): boolean {
  if (open?.isOverAt(line.start)) return classifyFromLine(line.text) !== "none";
  return (open?.isOpenAt(line.start) ?? true) && begins(line.text, before, next?.text, open === undefined);
}

/** True if a line begins a message. Where the line alone is no proof, the lines around it decide. */
function begins(text: string, before: string, next: string | undefined, isFirst: boolean): boolean {
  if (!text.startsWith("From ")) return false;
  if (isFirst) return true;
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

/** True if a message may end here: at the file's end, or before a From_ line, with one line end between or none. */
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

/** First octets of body lines that may be quoted or empty: `>`, CR, LF. */
const OF_NOTE: readonly number[] = [62, 13, 10];

/** A message's octets: unquoted, without the fields that are the file's and without the empty line behind it. */
export async function* readMessage(octets: Octets, message: MboxMessage, kind: MboxKind): AsyncGenerator<Uint8Array> {
  if (message.end <= message.start) return;
  const exported = exportOf(message);
  const isCounted = message.countedBy !== undefined;
  const own = exported?.kind ?? (kind === "mbox" && isCounted ? "mboxcl2" : kind);
  // Content-Length counts the body alone, so an export quotes the header's lines all the same.
  const quotedInHeader = exported && own === "mboxcl2" ? QUOTED.mboxrd : QUOTED[own];
  const isFiles = filesFields(message);
  let inHeader = true;
  let lineBegins = true;
  let empty: Buffer | undefined;
  for await (const piece of readLines(octets.read(message.start, message.end), MBOX_LINE_BYTES_MAX)) {
    if (empty) yield empty;
    empty = undefined;
    const beginsLine = lineBegins;
    lineBegins = piece.at(-1) === 10;
    const isLookedAt = beginsLine && (inHeader || OF_NOTE.includes(piece[0]!));
    const text = isLookedAt ? piece.subarray(0, LOOK_BYTES).toString("latin1") : "";
    if (isLookedAt && /^\r*\n$/.test(text)) {
      // Behind a header without a body one empty line is the header's end, unless we wrote it.
      if (inHeader && !exported) yield piece;
      else empty = piece;
      inHeader = false;
      continue;
    }
    if (inHeader && isFiles(text, beginsLine)) continue;
    const quoted = inHeader ? quotedInHeader : QUOTED[own];
    yield quoted && isLookedAt && quoted.test(text) ? piece.subarray(1) : piece;
  }
  if (empty && isCounted) yield empty;
}

/** Tells of each piece of a header in turn whether it is of a field that is the file's. */
function filesFields(message: MboxMessage): (text: string, beginsLine: boolean) => boolean {
  const exported = exportOf(message);
  let seen = 0;
  let isFiles = false;
  let isLeading = true;
  return (text, beginsLine) => {
    if (!beginsLine || (!exported && /^[ \t]/.test(text))) return isFiles;
    const field = seen++;
    isLeading &&= isLeadingField(text);
    isFiles = exported
      ? field < writtenFields(exported.kind)
      : isFileField(text, isLeading) || field === message.countedBy;
    return isFiles;
  };
}
