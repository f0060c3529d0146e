import {
  binaryText,
  createTransferDecoder,
  decodeCharset,
  decodeOffsets,
  decodeWords,
  type PartOffsets,
  parseHeaders,
  parseStructured,
  type Structured,
} from "@restante/mime";
import { concat } from "../crypto/primitives.ts";
import type { Body } from "../mail/contents/contents.ts";
import type { Summary } from "../mail/contents/summary.ts";
import type { Finder } from "./needle.ts";
import type { Pace } from "./pace.ts";

/** Looks through a body: it is read once, from front to back, and each piece of its text is decoded once. */

/** Octets of one part that are searched. */
const SEARCHED_BYTES_MAX: number = 32 * 2 ** 20;
/** Octets that are made text together: up to a line's end, or so many if there is none. */
const BLOCK_BYTES: number = 64 * 1024;
const BLOCK_BYTES_MAX: number = 2 ** 20;
/** Octets between two text parts that are read over: another request would cost more. */
const GAP_BYTES_MAX: number = 256 * 1024;

/** What is looked for in the texts, and in the headers of parts and of attached messages. */
export interface BodyFinders {
  readonly texts: Finder;
  readonly headers: Finder;
}

/** Looks through the body as far as is needed. */
export async function findInBody(
  { texts, headers }: BodyFinders,
  body: Body,
  summary: Summary,
  pace: Pace,
): Promise<void> {
  const structure = parseStructured(binaryText(summary.bodyStructure));
  const spans = [...searchedSpans(decodeOffsets(summary.offsets), structure)];
  const reader = new ForwardReader(body, spans.at(-1)?.end ?? 0, pace);
  try {
    for (const span of spans) {
      if (texts.isDone && headers.isDone) break;
      if (span.kind === "header") {
        if (!headers.isDone) await headers.push(headerText(await readAll(reader.read(span.start, span.end))), pace);
      } else if (!texts.isDone) await findInText(texts, reader, span, pace);
    }
  } finally {
    await reader.close();
  }
}

async function findInText(texts: Finder, reader: ForwardReader, span: TextSpan, pace: Pace): Promise<void> {
  const { start, end, encoding, charset } = span;
  const decoder = createTransferDecoder(encoding);
  const blocks = new TextBlocks(charset);
  for await (const bytes of reader.read(start, Math.min(end, start + SEARCHED_BYTES_MAX))) {
    const text = blocks.push(decoder.push(bytes));
    if (text !== "") await texts.push(text, pace);
    if (texts.isDone) break;
  }
  // Nothing is found across parts.
  await texts.push(`${blocks.end(decoder.end())}\n`, pace);
}

/** A header block as it is searched: a line a field. */
export function headerText(block: Uint8Array): string {
  return linesOf(parseHeaders(block));
}

/** Fields as they are searched. */
export function linesOf(fields: readonly { readonly name: string; readonly value: string }[]): string {
  return decodeWords(fields.map(({ name, value }) => `${name}: ${spaced(value)}\n`).join(""));
}

/** A TAB that a line was folded at stands for a space: RFC 5322 §2.2.3. */
export function spaced(value: string): string {
  return value.includes("\t") ? value.replaceAll("\t", " ") : value;
}

async function readAll(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  // A piece may be overwritten by the next.
  for await (const piece of pieces) all.push(piece.slice());
  return concat(...all);
}

/** Reads spans of a body, each behind the one before, by few requests. */
class ForwardReader {
  readonly #body: Body;
  readonly #end: number;
  readonly #pace: Pace;
  #pieces: AsyncIterator<Uint8Array> | undefined;
  #held: Uint8Array = new Uint8Array(0);
  /** Where `#held` begins. */
  #at = 0;

  constructor(body: Body, end: number, pace: Pace) {
    this.#body = body;
    this.#end = end;
    this.#pace = pace;
  }

  async *read(start: number, end: number): AsyncGenerator<Uint8Array> {
    if (this.#pieces === undefined || start - this.#at - this.#held.length > GAP_BYTES_MAX) {
      await this.close();
      this.#pieces = this.#body.read(start, this.#end)[Symbol.asyncIterator]();
      this.#held = new Uint8Array(0);
      this.#at = start;
    }
    while (this.#at < end) {
      if (this.#held.length === 0) {
        const next = await this.#pieces.next();
        if (next.done) return;
        this.#held = next.value;
      }
      const skipped = Math.min(Math.max(start - this.#at, 0), this.#held.length);
      const taken = Math.min(this.#held.length - skipped, Math.max(end - this.#at - skipped, 0));
      const piece = this.#held.subarray(skipped, skipped + taken);
      this.#held = this.#held.subarray(skipped + taken);
      this.#at += skipped + taken;
      if (piece.length > 0) yield piece;
      if (this.#pace.isOver()) await this.#pace.take();
    }
  }

  async close(): Promise<void> {
    await this.#pieces?.return?.();
    this.#pieces = undefined;
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

  /** What can be text already. */
  push(bytes: Uint8Array): string {
    const lineEnd = bytes.lastIndexOf(0x0a) + 1;
    const isWide = /^utf-?16/i.test(this.#charset);
    if (this.#heldBytes + bytes.length < (lineEnd > 0 && !isWide ? BLOCK_BYTES : BLOCK_BYTES_MAX)) {
      this.#hold(bytes.slice());
      return "";
    }
    // An even number of octets: utf-16 has two a character, and line ends that can't be told by one.
    const cut = lineEnd > 0 && !isWide ? lineEnd : bytes.length - ((this.#heldBytes + bytes.length) % 2);
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
    const { text } = decodeCharset(concat(...this.#held, last), this.#charset);
    this.#held = [];
    this.#heldBytes = 0;
    return text;
  }
}

interface Span {
  readonly start: number;
  readonly end: number;
}
interface HeaderSpan extends Span {
  readonly kind: "header";
}
interface TextSpan extends Span {
  readonly kind: "text";
  readonly encoding: string;
  readonly charset: string;
}

/** What is searched, from front to back: BODYSTRUCTURE says what, the offsets say where, both in the same order. The
 * message's own header is none of it. */
function* searchedSpans(offsets: PartOffsets, structure: Structured): Generator<HeaderSpan | TextSpan> {
  const items = Array.isArray(structure) ? (structure as readonly Structured[]) : [];
  if (offsets.kind === "multipart") {
    for (const [index, child] of offsets.children.entries()) yield* partSpans(child, items[index]);
  } else if (offsets.kind === "message") {
    const [child] = offsets.children;
    if (child) yield* partSpans(child, items[8]);
  } else if (items[0] === "text" || items[0] === "message") {
    const parameters = (Array.isArray(items[2]) ? items[2] : []) as readonly Structured[];
    const at = parameters.indexOf("charset");
    const charset = String(at >= 0 ? parameters[at + 1] : "utf-8");
    yield {
      kind: "text",
      start: offsets.bodyStart,
      end: offsets.bodyEnd,
      encoding: String(items[5]),
      charset: charset.toLowerCase() === "us-ascii" ? "utf-8" : charset,
    };
  }
}

function* partSpans(offsets: PartOffsets, structure: Structured): Generator<HeaderSpan | TextSpan> {
  const { headerStart: start, bodyStart: end } = offsets;
  if (start < end) yield { kind: "header", start, end };
  yield* searchedSpans(offsets, structure);
}
