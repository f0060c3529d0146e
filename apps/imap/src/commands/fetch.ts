import { type Body, EngineError, type Message, readAhead, type Summary } from "@restante/engine";
import {
  type ByteSpan,
  bodyFromBodyStructure,
  decodeOffsets,
  findSection,
  HeaderBlock,
  type PartOffsets,
} from "@restante/mime";
import { asciiText } from "../ascii.ts";
import { BODIES_AHEAD, FIELDS_BYTES_MAX } from "../limits.ts";
import type { Output } from "../output.ts";
import type { Session } from "../session.ts";
import { isTurnOver, takeTurn } from "../turns.ts";
import { formatDateTime } from "../wire/date.ts";
import { type FetchItem, type Partial, parseFetchItems, type Section, type SectionItem } from "../wire/fetch-items.ts";
import { type Command, defineCommand, ok } from "./command.ts";
import { parseSet, positionsOf } from "./message-set.ts";

/** Messages whose summaries are read in one go, and whose answers leave together. */
const CHUNK_MESSAGES = 64;
/** Sections up to this many octets, and those of bodies that are in memory, are sent with the answer around them; larger
 * ones as they are opened. */
const WHOLE_SECTION_BYTES = 64 * 1024;

/** FETCH: RFC 9051 §6.4.5 and §7.5.2. */
export const fetch: Command<unknown> = defineCommand({
  name: "FETCH",
  in: ["selected"],
  uid: true,
  expunges: "must-not",
  parse(parser, { uid }) {
    const set = parseSet(parser);
    parser.space();
    const items = parseFetchItems(parser);
    return {
      set,
      items: uid && !items.some((item) => item.kind === "uid") ? [{ kind: "uid" } as const, ...items] : items,
    };
  },
  async run({ set, items }, session, { uid }) {
    const { view } = session;
    const positions = positionsOf(view, set, uid);
    // \Seen is stored while the bodies are sent; `syncView` tells of it before the completion.
    const seen = markSeen(session, items, positions);
    // What fails first is what is told.
    seen.catch(() => undefined);
    const writers = items.map((item) => writerOf(session, item));
    const needsSummary = items.some(needsSummaryOf);
    const needsHeader = items.some((item) => item.kind === "section" && isOfHeader(item.section));
    const damaged: unknown[] = [];
    if (items.some(({ kind }) => kind === "flags")) session.tellKeywords();
    for (let at = 0; at < positions.length; at += CHUNK_MESSAGES) {
      const messages = view.messages(positions.slice(at, at + CHUNK_MESSAGES));
      const [summaries, headers] = await Promise.all([
        needsSummary ? session.mail.readSummaries(messages) : [],
        needsHeader ? session.mail.readHeaders(messages) : [],
      ]);
      const kept = messages.map((_message, index) => new Kept(summaries[index], headers[index]));
      damaged.push(...(await answerAll(session, messages, kept, writers)));
      if (session.output.isFull) await session.output.flush();
      await takeTurn();
    }
    await seen;
    // All others were told.
    if (damaged.length > 0) throw damaged[0];
    return ok("FETCH completed");
  },
});

function needsSummaryOf(item: FetchItem): boolean {
  if (item.kind === "section") return !isWhole(item.section);
  return item.kind === "envelope" || item.kind === "body" || item.kind === "bodystructure";
}

async function markSeen(session: Session, items: readonly FetchItem[], positions: readonly number[]): Promise<void> {
  const { view } = session;
  if (view.readOnly || !items.some((item) => item.kind === "section" && !item.peek)) return;
  await view.markSeen(positions);
}

/** What is kept of a message, as far as the items need it. */
class Kept {
  readonly #summary: Summary | undefined;
  readonly #header: HeaderBlock | undefined;
  #offsets: PartOffsets | undefined;

  constructor(summary: Summary | undefined, header: HeaderBlock | undefined) {
    this.#summary = summary;
    this.#header = header;
  }

  get summary(): Summary {
    return needed(this.#summary);
  }
  get header(): HeaderBlock {
    return needed(this.#header);
  }
  get offsets(): PartOffsets {
    this.#offsets ??= decodeOffsets(this.summary.offsets);
    return this.#offsets;
  }
}

function needed<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("FETCH did not read what an item needs");
  return value;
}

/** How one item is answered: at once from what is kept, or from the body, where that must be opened. */
interface Writer {
  /** Its answer has a few octets. */
  readonly isShort: boolean;
  readonly needsBody?: (message: Message, kept: Kept) => boolean;
  readonly atOnce: (message: Message, kept: Kept) => string;
  readonly fromBody?: (message: Message, kept: Kept, body: Body) => Promise<void>;
}

/** Answers messages in order; gives the errors of those that are damaged or gone, of which nothing was told. Bodies are
 * asked for some messages ahead, so that the store is never waited for while there is something to open and send. */
async function answerAll(
  { output, mail }: Session,
  messages: readonly Message[],
  kept: readonly Kept[],
  writers: readonly Writer[],
): Promise<unknown[]> {
  if (writers.every(({ isShort }) => isShort)) {
    for (const message of messages) output.text(answerAtOnce(message, writers));
    return [];
  }
  const needBodies = messages.map((message, at) => writers.some((writer) => writer.needsBody?.(message, kept[at]!)));
  const bodies = readAhead(
    messages.filter((_message, at) => needBodies[at]),
    BODIES_AHEAD,
    (message) => mail.openBody(message),
  );
  const damaged: unknown[] = [];
  for (const [at, message] of messages.entries())
    try {
      await answer(output, message, kept[at]!, writers, needBodies[at] ? await bodies() : undefined);
    } catch (error) {
      if (!isOfOneMessage(error) || !output.takeBack()) throw error;
      damaged.push(error);
    }
  return damaged;
}

/** The message's bytes are damaged or gone: others may be well. */
function isOfOneMessage(error: unknown): boolean {
  return error instanceof EngineError && (error.code === "corrupt" || error.code === "expunged");
}

/** The whole answer, of short items. */
function answerAtOnce(message: Message, writers: readonly Writer[]): string {
  const nothing = new Kept(undefined, undefined);
  let text = `* ${message.position + 1} FETCH `;
  let separator = "(";
  for (const writer of writers) {
    text += separator + writer.atOnce(message, nothing);
    separator = " ";
  }
  return `${text})\r\n`;
}

/** An answer in steps, none larger than an item or a piece of a body. */
async function answer(
  output: Output,
  message: Message,
  kept: Kept,
  writers: readonly Writer[],
  body: Body | undefined,
): Promise<void> {
  output.begin();
  output.text(`* ${message.position + 1} FETCH `);
  let separator = "(";
  for (const writer of writers) {
    output.text(separator);
    separator = " ";
    if (body && writer.needsBody?.(message, kept)) await writer.fromBody!(message, kept, body);
    else output.text(writer.atOnce(message, kept));
    if (output.isFull) await output.flush();
    if (isTurnOver()) await takeTurn();
  }
  output.text(")\r\n");
  output.end();
}

function writerOf(session: Session, item: FetchItem): Writer {
  const { view } = session;
  switch (item.kind) {
    case "flags":
      return { isShort: true, atOnce: (message) => `FLAGS ${session.flagsOf(message)}` };
    case "uid":
      return { isShort: true, atOnce: ({ position }) => `UID ${view.uidAt(position)}` };
    case "internaldate":
      return {
        isShort: true,
        atOnce: ({ state, row }) => `INTERNALDATE "${formatDateTime(state.receivedOf(row))}"`,
      };
    case "size":
      return { isShort: true, atOnce: ({ state, row }) => `RFC822.SIZE ${state.sizeOf(row)}` };
    case "envelope":
      return { isShort: false, atOnce: (_message, { summary }) => `ENVELOPE ${asciiText(summary.envelope)}` };
    case "bodystructure":
      return {
        isShort: false,
        atOnce: (_message, { summary }) => `BODYSTRUCTURE ${asciiText(summary.bodyStructure)}`,
      };
    case "body":
      return {
        isShort: false,
        atOnce: (_message, { summary }) => `BODY ${bodyFromBodyStructure(asciiText(summary.bodyStructure))}`,
      };
    case "section":
      return sectionWriter(session, item);
  }
}

function sectionWriter(session: Session, { section, partial, label }: SectionItem): Writer {
  const { output } = session;
  const choose = chooserOf(section);
  const ofHeader = isOfHeader(section);
  return {
    isShort: false,
    needsBody(message, kept) {
      if (ofHeader && kept.summary.headerWhole) return false;
      return spanOf(section, message, kept) !== undefined;
    },
    atOnce(_message, kept) {
      return ofHeader && kept.summary.headerWhole ? wholeSection(label, choose(kept.header), partial) : `${label} NIL`;
    },
    async fromBody(message, kept, body) {
      const span = spanOf(section, message, kept)!;
      if (section.what === "fields" || section.what === "fields-not") {
        const bytes = await readAll(body, span.start, Math.min(span.end, span.start + FIELDS_BYTES_MAX));
        output.text(wholeSection(label, choose(new HeaderBlock(bytes)), partial));
        return;
      }
      const start = Math.min(span.start + (partial?.offset ?? 0), span.end);
      const end = Math.min(start + (partial?.length ?? Number.POSITIVE_INFINITY), span.end);
      if (body.open || end - start <= WHOLE_SECTION_BYTES) {
        const bytes = body.open?.(start, end) ?? (await readAll(body, start, end));
        if (bytes.length !== end - start) throw cutOff();
        output.text(`${label} {${bytes.length}}\r\n`);
        output.bytes(bytes);
        return;
      }
      await stream(output, label, end - start, body.read(start, end));
    },
  };
}

/** A literal as it is opened. Its length is told once its first octets were opened; what fails behind them can only cut
 * the connection. */
async function stream(output: Output, label: string, size: number, source: AsyncIterable<Uint8Array>): Promise<void> {
  let left = size;
  for await (const bytes of source) {
    if (left === size) output.text(`${label} {${size}}\r\n`);
    left -= bytes.length;
    output.bytes(bytes);
    if (output.isFull) await output.flush();
    if (isTurnOver()) await takeTurn();
  }
  if (left !== 0) throw cutOff();
}

function cutOff(): EngineError {
  return new EngineError("corrupt", "a message has another size than was told");
}

/** The whole message: where it lies needs no looking up. */
function isWhole({ what, path }: Section): boolean {
  return path.length === 0 && what === "all";
}

/** Of the message's own header block, not of one within it. */
function isOfHeader({ what, path }: Section): boolean {
  return path.length === 0 && (what === "header" || what === "fields" || what === "fields-not");
}

/** What a section takes of a header block. */
function chooserOf({ what, fields }: Section): (header: HeaderBlock) => string {
  if (what !== "fields" && what !== "fields-not") return ({ text }) => text;
  const names = new Set(fields.map((name) => name.toLowerCase()));
  return (header) => header.select(names, what === "fields-not");
}

/** Where a section lies in the message: its octets from `start` up to, not including, `end`. */
function spanOf(section: Section, { state, row }: Message, kept: Kept): ByteSpan | undefined {
  if (isWhole(section)) return { start: 0, end: state.sizeOf(row) };
  const what = {
    all: undefined,
    header: "HEADER",
    fields: "HEADER",
    "fields-not": "HEADER",
    text: "TEXT",
    mime: "MIME",
  } as const;
  return findSection(kept.offsets, section.path, what[section.what]);
}

/** `text` has one character an octet. */
function wholeSection(label: string, text: string, partial: Partial | undefined): string {
  const piece = partial ? text.slice(partial.offset, partial.offset + partial.length) : text;
  return `${label} {${piece.length}}\r\n${piece}`;
}

async function readAll(body: Body, start: number, end: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const bytes of body.read(start, end)) pieces.push(bytes);
  return pieces.length === 1 ? pieces[0]! : new Uint8Array(Buffer.concat(pieces));
}
