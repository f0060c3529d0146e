import type { Body, Message, Summary } from "@restante/engine";
import { bodyFromBodyStructure, decodeOffsets, findSection, HeaderBlock } from "@restante/mime";
import { asciiText } from "../ascii.ts";
import { BODIES_AHEAD } from "../limits.ts";
import { readAhead } from "../read-ahead.ts";
import type { Session } from "../session.ts";
import { takeTurn } from "../turns.ts";
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
    const writers = items.map((item) => writerOf(session, item));
    const needsSummary = items.some(needsSummaryOf);
    const needsHeader = items.some((item) => item.kind === "section" && isOfHeader(item.section));
    for (let at = 0; at < positions.length; at += CHUNK_MESSAGES) {
      const messages = view.messages(positions.slice(at, at + CHUNK_MESSAGES));
      const [summaries, headers] = await Promise.all([
        needsSummary ? session.mail.readSummaries(messages) : [],
        needsHeader ? session.mail.readHeaders(messages) : [],
      ]);
      await answerAll(session, messages, writers, { summaries, headers });
      if (session.output.isFull) await session.output.flush();
      await takeTurn();
    }
    await seen;
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
interface Kept {
  readonly summary: Summary | undefined;
  readonly header: HeaderBlock | undefined;
}

/** How one item is answered: at once from what is kept, or from the body, where `atOnce` gives undefined. */
interface Writer {
  readonly atOnce: (message: Message, kept: Kept) => string | undefined;
  readonly fromBody?: (message: Message, kept: Kept, body: Body) => Promise<void>;
}

/** Answers messages in order. Bodies are asked for some messages ahead, so that the store is never waited for while
 * there is something to open and send. */
async function answerAll(
  { output, mail }: Session,
  messages: readonly Message[],
  writers: readonly Writer[],
  { summaries, headers }: { readonly summaries: readonly Summary[]; readonly headers: readonly HeaderBlock[] },
): Promise<void> {
  const keptAt = (at: number): Kept => ({ summary: summaries[at], header: headers[at] });
  const texts = messages.map((message, at) => answerAtOnce(message, keptAt(at), writers));
  const withBodies = messages.filter((_message, at) => texts[at] === undefined);
  const bodies = readAhead(withBodies, BODIES_AHEAD, (message) => mail.openBody(message));
  for (const [at, message] of messages.entries()) {
    const text = texts[at];
    if (text !== undefined) {
      output.text(text);
      continue;
    }
    // What needs no body is cheap: it is made once more here, and lists, which are long, keep no parts of their answers.
    output.text(`* ${message.position + 1} FETCH (`);
    const kept = keptAt(at);
    const body = await bodies();
    for (const [index, writer] of writers.entries()) {
      if (index > 0) output.text(" ");
      const item = writer.atOnce(message, kept);
      if (item === undefined) await writer.fromBody!(message, kept, body);
      else output.text(item);
    }
    output.text(")\r\n");
    if (output.isFull) await output.flush();
  }
}

/** The whole answer, or undefined if it needs the body. */
function answerAtOnce(message: Message, kept: Kept, writers: readonly Writer[]): string | undefined {
  let answer = `* ${message.position + 1} FETCH `;
  let separator = "(";
  for (const writer of writers) {
    const item = writer.atOnce(message, kept);
    if (item === undefined) return undefined;
    answer += separator + item;
    separator = " ";
  }
  return `${answer})\r\n`;
}

function writerOf(session: Session, item: FetchItem): Writer {
  const { view } = session;
  switch (item.kind) {
    case "flags":
      return { atOnce: (message) => `FLAGS ${session.flagsOf(message)}` };
    case "uid":
      return { atOnce: ({ position }) => `UID ${view.uidAt(position)}` };
    case "internaldate":
      return { atOnce: ({ state, row }) => `INTERNALDATE "${formatDateTime(state.receivedOf(row))}"` };
    case "size":
      return { atOnce: ({ state, row }) => `RFC822.SIZE ${state.sizeOf(row)}` };
    case "envelope":
      return { atOnce: (_message, { summary }) => `ENVELOPE ${asciiText(summary!.envelope)}` };
    case "bodystructure":
      return { atOnce: (_message, { summary }) => `BODYSTRUCTURE ${asciiText(summary!.bodyStructure)}` };
    case "body":
      return {
        atOnce: (_message, { summary }) => `BODY ${bodyFromBodyStructure(asciiText(summary!.bodyStructure))}`,
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
    atOnce(message, { summary, header }) {
      if (ofHeader && summary!.headerWhole) return wholeSection(label, choose(header!), partial);
      return spanOf(section, message, summary) ? undefined : `${label} NIL`;
    },
    async fromBody(message, { summary }, body) {
      const span = spanOf(section, message, summary)!;
      if (section.what === "fields" || section.what === "fields-not") {
        output.text(wholeSection(label, choose(new HeaderBlock(await readAll(body, span.start, span.end))), partial));
        return;
      }
      const start = Math.min(span.start + (partial?.offset ?? 0), span.end);
      const end = Math.min(start + (partial?.length ?? Number.POSITIVE_INFINITY), span.end);
      if (body.open || end - start <= WHOLE_SECTION_BYTES) {
        const bytes = body.open?.(start, end) ?? (await readAll(body, start, end));
        output.text(`${label} {${bytes.length}}\r\n`);
        output.bytes(bytes);
        return;
      }
      // Beyond this point a failure can only cut the connection: the literal's length is told.
      output.text(`${label} {${end - start}}\r\n`);
      for await (const bytes of body.read(start, end)) {
        output.bytes(bytes);
        if (output.isFull) await output.flush();
      }
    },
  };
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
function spanOf(
  section: Section,
  { state, row }: Message,
  summary: Summary | undefined,
): { readonly start: number; readonly end: number } | undefined {
  if (isWhole(section)) return { start: 0, end: state.sizeOf(row) };
  const what = {
    all: undefined,
    header: "HEADER",
    fields: "HEADER",
    "fields-not": "HEADER",
    text: "TEXT",
    mime: "MIME",
  } as const;
  return findSection(decodeOffsets(summary!.offsets), section.path, what[section.what]);
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
