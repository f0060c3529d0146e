import {
  binaryText,
  createTextDecoder,
  decodeCharset,
  decodeOffsets,
  decodeParameter,
  decodeTransfer,
  HeaderBlock,
  type Parameter,
  type PartOffsets,
  parseStructured,
  type Structured,
  stripHtml,
} from "@restante/mime";
import type { Body } from "../mail/contents/contents.ts";
import type { Summary } from "../mail/contents/summary.ts";
import { collect, joined } from "../streams.ts";
import { ForwardReader } from "./forward-reader.ts";
import { headerText } from "./header-text.ts";
import type { Finder } from "./needle.ts";
import type { Pace } from "./pace.ts";

/**
 * The text of a message's text parts, decoded, in pieces that are looked through one after the other: each is made once,
 * however many texts are looked for, and between two steps others have their turn.
 */

/** Octets of one part that are searched. */
const SEARCHED_BYTES_MAX: number = 32 * 2 ** 20;
/** Octets of one part's header that are searched. */
const PART_HEADER_BYTES_MAX: number = 2 ** 20;
/** Octets that are made text together: up to a line's end, or so many if there is none. */
const BLOCK_BYTES: number = 64 * 1024;
const BLOCK_BYTES_MAX: number = 2 ** 20;

/** Charsets of two or four octets a character. */
const WIDE_CHARSET = /^(?:x-)?(?:utf-?(?:16|32)|ucs-?[24]|iso-10646-ucs-[24]|unicode(?:fffe)?$)/i;
const WIDE_BYTES = 4;

/** Finders for the texts of parts, and for their headers. */
export interface BodyFinders {
  readonly text: Finder;
  readonly headers: Finder;
}

/** Looks through the text of all text parts, and through the headers of all parts and of attached messages. The body is read
 * once, from front to back, as far as is needed. */
export async function findInBody(
  finders: BodyFinders,
  body: Body,
  summary: Pick<Summary, "bodyStructure" | "offsets">,
  pace: Pace,
): Promise<void> {
  const structure = parseStructured(binaryText(summary.bodyStructure));
  const spans = [...spansOf(decodeOffsets(summary.offsets), structure)];
  const reader = new ForwardReader(body, spans.at(-1)?.end ?? 0, pace);
  for (const span of spans) {
    const finder = finders[span.kind];
    if (finder.isDone) continue;
    if (span.kind === "text") await findInText(finder, reader, span);
    else {
      const end = Math.min(span.end, span.start + PART_HEADER_BYTES_MAX);
      await finder.push(`${headerText(new HeaderBlock(await collect(reader.read(span.start, end))))}\n`);
    }
  }
  await reader.close();
}

async function findInText(finder: Finder, reader: ForwardReader, span: TextSpan): Promise<void> {
  const { start, end, encoding, charset } = span;
  const decoder = createTextDecoder(encoding);
  const blocks = new TextBlocks(charset);
  for await (const bytes of reader.read(start, Math.min(end, start + SEARCHED_BYTES_MAX))) {
    const text = blocks.push(decoder.push(bytes));
    if (text !== "") await finder.push(text);
    if (finder.isDone) return;
  }
  // Nothing is found across parts.
  await finder.push(`${blocks.end(decoder.end())}\n`);
}

/** The beginnings of a message's text parts, as a reader sees them: HTML as plain text. Up to `bytesMax` octets of each, as it
 * is encoded. */
export async function* readTexts(
  body: Body,
  summary: Pick<Summary, "bodyStructure" | "offsets">,
  bytesMax: number,
  pace: Pace,
): AsyncGenerator<string> {
  const structure = parseStructured(binaryText(summary.bodyStructure));
  const spans = [...spansOf(decodeOffsets(summary.offsets), structure)].filter((span) => span.kind === "text");
  const reader = new ForwardReader(body, spans.at(-1)?.end ?? 0, pace);
  try {
    for (const { start, end, encoding, charset, isHtml } of spans) {
      const octets = await collect(reader.read(start, Math.min(end, start + bytesMax)));
      if (pace.isOver()) await pace.take();
      const { text } = decodeCharset(decodeTransfer(octets, encoding, true), charset);
      yield isHtml ? stripHtml(text) : text;
    }
  } finally {
    await reader.close();
  }
}

/** Octets of a charset as text, in blocks that end where lines do. */
class TextBlocks {
  readonly #charset: string;
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(charset: string) {
    this.#charset = charset;
  }

  /** Text of the octets that are whole characters by now. */
  push(bytes: Uint8Array): string {
    const lineEnd = bytes.lastIndexOf(0x0a) + 1;
    const isWide = WIDE_CHARSET.test(this.#charset);
    if (this.#heldBytes + bytes.length < (lineEnd > 0 && !isWide ? BLOCK_BYTES : BLOCK_BYTES_MAX)) {
      this.#hold(bytes.slice());
      return "";
    }
    // Whole characters where all have as many octets, and line ends that can't be told by one.
    const cut = lineEnd > 0 && !isWide ? lineEnd : bytes.length - ((this.#heldBytes + bytes.length) % WIDE_BYTES);
    const text = this.#text(bytes.subarray(0, cut));
    this.#hold(bytes.slice(cut));
    return text;
  }

  end(bytes: Uint8Array): string {
    return this.#text(bytes);
  }

  #hold(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }

  #text(last: Uint8Array): string {
    const { text } = decodeCharset(joined([...this.#held, last], this.#heldBytes + last.length), this.#charset);
    this.#held = [];
    this.#heldBytes = 0;
    return text;
  }
}

interface TextSpan {
  readonly kind: "text";
  readonly start: number;
  readonly end: number;
  readonly encoding: string;
  readonly charset: string;
  readonly isHtml: boolean;
}

/** Where a part's header lies, or its text. */
type Span = TextSpan | { readonly kind: "headers"; readonly start: number; readonly end: number };

/** The headers of parts, but for the message's own, and their texts, from front to back: BODYSTRUCTURE says what, the
 * offsets say where, both in the same order. Text is what a message's part is too that is no mail (message/delivery-status),
 * or was not looked into. */
function* spansOf(offsets: PartOffsets, structure: Structured, isPart = false): Generator<Span> {
  if (isPart) yield { kind: "headers", start: offsets.headerStart, end: offsets.bodyStart };
  if (!Array.isArray(structure)) return;
  const items = structure as readonly Structured[];
  if (offsets.kind === "multipart") {
    for (const [index, child] of offsets.children.entries()) yield* spansOf(child, items[index], true);
  } else if (offsets.kind === "message") {
    const [child] = offsets.children;
    if (child) yield* spansOf(child, items[8], true);
  } else if (items[0] === "text" || items[0] === "message") {
    const charset = decodeParameter(parametersOf(items[2]), "charset") ?? "utf-8";
    yield {
      kind: "text",
      start: offsets.bodyStart,
      end: offsets.bodyEnd,
      encoding: String(items[5]),
      charset: charset.toLowerCase() === "us-ascii" ? "utf-8" : charset,
      isHtml: items[1] === "html",
    };
  }
}

/** Names and values in turn, as BODYSTRUCTURE tells them. */
function parametersOf(list: Structured): Parameter[] {
  const texts = (Array.isArray(list) ? list : []).map(String);
  return texts.flatMap((name, at) => (at % 2 === 0 ? [{ name, value: texts[at + 1] ?? "" }] : []));
}
