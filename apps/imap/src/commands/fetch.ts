import type { Body, Message, Summary } from "@restante/engine";
import { bodyFromBodyStructure, decodeOffsets, findSection, selectHeaderFields } from "@restante/mime";
import { asciiText } from "../ascii.ts";
import type { Session } from "../session.ts";
import { formatDateTime } from "../wire/date.ts";
import {
  type FetchItem,
  type Partial,
  parseFetchItems,
  type Section,
  type SectionItem,
  type SimpleItem,
} from "../wire/fetch-items.ts";
import { type Command, defineCommand, ok } from "./command.ts";
import { parseSet, positionsOf } from "./message-set.ts";

/** Messages whose summaries are read in one go, and whose answers leave together. */
const CHUNK_MESSAGES = 64;
/** Sections up to this many octets are sent with the answer around them; larger ones as they are opened. */
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
    const needsSummary = items.some(needsSummaryOf);
    const needsHeader = items.some((item) => item.kind === "section" && isOfHeader(item.section));
    for (let at = 0; at < positions.length; at += CHUNK_MESSAGES) {
      const messages = view.messages(positions.slice(at, at + CHUNK_MESSAGES));
      const [summaries, headers] = await Promise.all([
        needsSummary ? session.mail.readSummaries(messages) : [],
        needsHeader ? session.mail.readHeaders(messages) : [],
      ]);
      for (const [index, message] of messages.entries())
        await answer(session, message, items, { summary: summaries[index], header: headers[index] });
      if (session.output.isFull) await session.output.flush();
    }
    await seen;
    return ok("FETCH completed");
  },
});

function needsSummaryOf(item: FetchItem): boolean {
  return item.kind === "envelope" || item.kind === "body" || item.kind === "bodystructure" || item.kind === "section";
}

async function markSeen(session: Session, items: readonly FetchItem[], positions: readonly number[]): Promise<void> {
  const { view } = session;
  if (view.readOnly || !items.some((item) => item.kind === "section" && !item.peek)) return;
  await view.markSeen(positions);
}

/** What is kept of a message, as far as the items need it. */
interface Kept {
  readonly summary: Summary | undefined;
  readonly header: Uint8Array | undefined;
}

async function answer(session: Session, message: Message, items: readonly FetchItem[], kept: Kept): Promise<void> {
  const { output } = session;
  let separator = `* ${message.position + 1} FETCH (`;
  for (const item of items) {
    output.text(separator);
    separator = " ";
    if (item.kind === "section") await answerSection(session, message, item, kept);
    else output.text(simpleItem(session, message, item, kept.summary));
  }
  output.text(")\r\n");
}

function simpleItem(session: Session, message: Message, item: SimpleItem, summary: Summary | undefined): string {
  switch (item.kind) {
    case "flags":
      return `FLAGS ${session.flags(message.position)}`;
    case "uid":
      return `UID ${session.view.uidAt(message.position)}`;
    case "internaldate":
      return `INTERNALDATE "${formatDateTime(message.state.receivedOf(message.row))}"`;
    case "size":
      return `RFC822.SIZE ${message.state.sizeOf(message.row)}`;
    case "envelope":
      return `ENVELOPE ${asciiText(summary!.envelope)}`;
    case "bodystructure":
      return `BODYSTRUCTURE ${asciiText(summary!.bodyStructure)}`;
    case "body":
      return `BODY ${bodyFromBodyStructure(asciiText(summary!.bodyStructure))}`;
  }
}

async function answerSection(session: Session, message: Message, item: SectionItem, kept: Kept): Promise<void> {
  const { section, partial, label } = item;
  const { output } = session;
  const summary = kept.summary!;
  if (isOfHeader(section) && summary.headerWhole) {
    sendWhole(session, label, headerSection(section, kept.header!), partial);
    return;
  }
  const span = spanOf(section, summary);
  if (!span) {
    output.text(`${label} NIL`);
    return;
  }
  const body = await session.mail.openBody(message);
  if (section.what === "fields" || section.what === "fields-not") {
    sendWhole(session, label, headerSection(section, await readAll(body, span.start, span.end)), partial);
    return;
  }
  const start = Math.min(span.start + (partial?.offset ?? 0), span.end);
  const end = Math.min(start + (partial?.length ?? Number.POSITIVE_INFINITY), span.end);
  if (end - start <= WHOLE_SECTION_BYTES) {
    sendWhole(session, label, await readAll(body, start, end), undefined);
    return;
  }
  // Beyond this point a failure can only cut the connection: the literal's length is told.
  output.text(`${label} {${end - start}}\r\n`);
  for await (const bytes of body.read(start, end)) {
    output.bytes(bytes);
    if (output.isFull) await output.flush();
  }
}

/** Of the message's own header block, not of one within it. */
function isOfHeader({ what, path }: Section): boolean {
  return path.length === 0 && (what === "header" || what === "fields" || what === "fields-not");
}

function headerSection(section: Section, header: Uint8Array): Uint8Array {
  return section.what === "header" ? header : selectHeaderFields(header, section.fields, section.what === "fields-not");
}

/** Where a section lies in the message: its octets from `start` up to, not including, `end`. */
function spanOf(section: Section, summary: Summary): { readonly start: number; readonly end: number } | undefined {
  const what = {
    all: undefined,
    header: "HEADER",
    fields: "HEADER",
    "fields-not": "HEADER",
    text: "TEXT",
    mime: "MIME",
  } as const;
  return findSection(decodeOffsets(summary.offsets), section.path, what[section.what]);
}

function sendWhole(session: Session, label: string, bytes: Uint8Array, partial: Partial | undefined): void {
  const piece = partial ? bytes.subarray(partial.offset, partial.offset + partial.length) : bytes;
  session.output.text(`${label} {${piece.length}}\r\n`);
  session.output.bytes(piece);
}

async function readAll(body: Body, start: number, end: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const bytes of body.read(start, end)) pieces.push(bytes);
  return pieces.length === 1 ? pieces[0]! : new Uint8Array(Buffer.concat(pieces));
}
