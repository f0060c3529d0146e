import {
  type Body,
  EngineError,
  emailIdOf,
  formatEmailId,
  formatThreadId,
  type Message,
  previewOf,
  type Summary,
  savedMsOf,
} from "@restante/engine";
import { isTurnOver, takeTurn } from "@restante/host";
import {
  type ByteSpan,
  binaryBytes,
  bodyFromBodyStructure,
  bodyStructureOfRev1,
  findSection,
  formatEnvelope,
  HeaderBlock,
  parseHeaders,
} from "@restante/mime";
import { asciiText } from "./ascii.ts";
import { binaryWriter } from "./binary-section.ts";
import { type Kept, WHOLE_SECTION_BYTES, type Writer } from "./fetch-kept.ts";
import { FIELDS_BYTES_MAX, PREVIEW_CHARS_MAX } from "./limits.ts";
import type { Output } from "./output.ts";
import type { Session } from "./session.ts";
import { formatDateTime } from "./wire/date.ts";
import type { FetchItem, Partial, Section, SectionItem } from "./wire/fetch-items.ts";
import { formatString } from "./wire/format.ts";

/** How each item of FETCH is answered: RFC 9051 §7.5.2. */

/** How an item is answered. */
export function writerOf(session: Session, item: FetchItem): Writer {
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
      return { isShort: false, atOnce: (_message, kept) => `ENVELOPE ${envelopeOf(session, kept)}` };
    case "bodystructure":
      return {
        isShort: false,
        atOnce: (_message, { summary }) => `BODYSTRUCTURE ${bodyStructureOfRev1(asciiText(summary.bodyStructure))}`,
      };
    case "body":
      return {
        isShort: false,
        atOnce: (_message, { summary }) => `BODY ${bodyFromBodyStructure(asciiText(summary.bodyStructure))}`,
      };
    case "emailid":
      return {
        isShort: true,
        atOnce: ({ state, row }) => `EMAILID (${formatEmailId(emailIdOf(state, row))})`,
      };
    case "threadid":
      return {
        isShort: true,
        atOnce: ({ state, row }) => `THREADID (${formatThreadId(state.threadOf(state.emailOf(row)))})`,
      };
    case "modseq":
      return { isShort: true, atOnce: (message) => `MODSEQ (${view.modSeqOf(message)})` };
    case "savedate":
      return {
        isShort: true,
        atOnce: ({ state, row }) => {
          const timeMs = savedMsOf(state, row);
          return `SAVEDATE "${formatDateTime({ timeMs, zoneMinutes: 0 })}"`;
        },
      };
    case "preview":
      return { isShort: false, atOnce: (_message, { summary }) => `PREVIEW ${formatString(previewText(summary))}` };
    case "section":
      return sectionWriter(session, item);
    case "binary":
      return binaryWriter(session, item);
  }
}

/** True for an item that is kept as ASCII and told in UTF-8 where the message's header has UTF-8: RFC 6855 §3. */
export function tellsUtf8(session: Session, { kind }: Pick<FetchItem, "kind">): boolean {
  return kind === "envelope" && session.enabled.has("UTF8=ACCEPT");
}

function envelopeOf(session: Session, kept: Kept): string {
  if (tellsUtf8(session, { kind: "envelope" }) && kept.summary.headerWhole && /[\x80-\xff]/.test(kept.header.text))
    return formatEnvelope(parseHeaders(binaryBytes(kept.header.text)), "utf8");
  return asciiText(kept.summary.envelope);
}

/** Of characters none is cut: RFC 8970 §3. */
function previewText(summary: Summary): string {
  return [...previewOf(summary)].slice(0, PREVIEW_CHARS_MAX).join("");
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
export function isWhole({ what, path }: Section): boolean {
  return path.length === 0 && what === "all";
}

/** Of the message's own header block, not of one within it. */
export function isOfHeader({ what, path }: Section): boolean {
  return path.length === 0 && (what === "header" || what === "fields" || what === "fields-not");
}

/** The function that selects the section's fields of a header block. */
function chooserOf({ what, fields }: Section): (header: HeaderBlock) => string {
  if (what !== "fields" && what !== "fields-not") return ({ text }) => text;
  const names = new Set(fields.map((name) => name.toLowerCase()));
  return (header) => header.select(names, what === "fields-not");
}

/** Where a section lies in the message: its octets from `start` up to, not including, `end`. */
export function spanOf(section: Section, { state, row }: Message, kept: Kept): ByteSpan | undefined {
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
