import type { Body, Summary } from "@restante/engine";
import {
  createTransferDecoder,
  decodeCharset,
  decodeOffsets,
  type PartOffsets,
  parseStructured,
  type Structured,
} from "@restante/mime";
import { asciiText } from "./ascii.ts";
import { isTurnOver, takeTurn } from "./turns.ts";

/**
 * Looks for texts in a message's text: each piece of it is decoded and folded once, however many texts are looked for,
 * and between two steps others have their turn.
 */

/** Octets of one part that are searched. */
const SEARCHED_BYTES_MAX: number = 32 * 2 ** 20;
/** Octets that are made text together: up to a line's end, or so many if there is none. */
const BLOCK_BYTES: number = 64 * 1024;
const BLOCK_BYTES_MAX: number = 2 ** 20;
/** Octets between two text parts that are read over: another request would cost more. */
const GAP_BYTES_MAX: number = 256 * 1024;
/** Up to so many characters the platform's own search takes steps in proportion to the text (its tables reach so far);
 * beyond, it may take as many for each character of the text as what is looked for has. */
const PLATFORM_CHARS_MAX = 250;

const NOT_ASCII = /[^\x00-\x7f]/;

/** Case and compatibility forms don't count, nor do accents' ways of being written: i;unicode-casemap in spirit. */
export function fold(text: string): string {
  return NOT_ASCII.test(text) ? text.normalize("NFKC").toLowerCase() : text.toLowerCase();
}

/** A text that is looked for, folded. */
export class Needle {
  readonly text: string;
  /** Of each of its beginnings the length of the longest end that is a beginning too: Knuth, Morris and Pratt. */
  #borders: Uint32Array | undefined;

  constructor(text: string) {
    this.text = text;
  }

  /** In steps that are in proportion to `text`, whatever the two look like. */
  isIn(text: string): boolean {
    const { length } = this.text;
    if (length <= PLATFORM_CHARS_MAX) return text.includes(this.text);
    this.#borders ??= bordersOf(this.text);
    let matched = 0;
    for (let at = 0; at < text.length; at++) {
      const char = text.charCodeAt(at);
      while (matched > 0 && this.text.charCodeAt(matched) !== char) matched = this.#borders[matched - 1]!;
      if (this.text.charCodeAt(matched) === char) matched++;
      if (matched === length) return true;
    }
    return false;
  }
}

function bordersOf(text: string): Uint32Array {
  const borders = new Uint32Array(text.length);
  let border = 0;
  for (let at = 1; at < text.length; at++) {
    while (border > 0 && text.charCodeAt(at) !== text.charCodeAt(border)) border = borders[border - 1]!;
    if (text.charCodeAt(at) === text.charCodeAt(border)) border++;
    borders[at] = border;
  }
  return borders;
}

/** Finds needles in a text that comes in pieces. */
export class Finder {
  /** The texts of those that were found. */
  readonly found: Set<string> = new Set();
  #left: Needle[];
  /** What a needle may have begun in: the end of the text before, folded. */
  #tail = "";
  readonly #tailChars: number;

  constructor(needles: readonly Needle[]) {
    this.#left = [...needles];
    this.#tailChars = Math.max(0, ...needles.map(({ text }) => text.length - 1));
  }

  get isDone(): boolean {
    return this.#left.length === 0;
  }

  async push(text: string): Promise<void> {
    const window = this.#tail + fold(text);
    let isFound = false;
    for (const needle of this.#left) {
      if (needle.isIn(window)) {
        this.found.add(needle.text);
        isFound = true;
      }
      if (isTurnOver()) await takeTurn();
    }
    if (isFound) this.#left = this.#left.filter((needle) => !this.found.has(needle.text));
    this.#tail = this.#tailChars === 0 ? "" : window.slice(-this.#tailChars);
  }
}

/** Looks through the text of all text parts, decoded. The body is read once, from front to back, as far as is needed. */
export async function findInBody(finder: Finder, body: Body, summary: Summary): Promise<void> {
  const structure = parseStructured(asciiText(summary.bodyStructure));
  const parts = [...textParts(decodeOffsets(summary.offsets), structure)];
  const reader = new ForwardReader(body, parts.at(-1)?.end ?? 0);
  for (const { start, end, encoding, charset } of parts) {
    if (finder.isDone) break;
    const decoder = createTransferDecoder(encoding);
    const blocks = new TextBlocks(charset);
    for await (const bytes of reader.read(start, Math.min(end, start + SEARCHED_BYTES_MAX))) {
      const text = blocks.push(decoder.push(bytes));
      if (text !== "") await finder.push(text);
      if (finder.isDone) break;
    }
    // Nothing is found across parts.
    await finder.push(`${blocks.end(decoder.end())}\n`);
  }
  await reader.close();
}

/** Reads spans of a body, each behind the one before, by few requests. */
class ForwardReader {
  readonly #body: Body;
  readonly #end: number;
  #pieces: AsyncIterator<Uint8Array> | undefined;
  #held: Uint8Array = new Uint8Array(0);
  /** Where `#held` begins. */
  #at = 0;

  constructor(body: Body, end: number) {
    this.#body = body;
    this.#end = end;
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
      if (isTurnOver()) await takeTurn();
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
    const { text } = decodeCharset(Buffer.concat([...this.#held, last]), this.#charset);
    this.#held = [];
    this.#heldBytes = 0;
    return text;
  }
}

interface TextPart {
  readonly start: number;
  readonly end: number;
  readonly encoding: string;
  readonly charset: string;
}

/** Text parts with where they lie, from front to back: BODYSTRUCTURE says what, the offsets say where, both in the same
 * order. */
function* textParts(offsets: PartOffsets, structure: Structured): Generator<TextPart> {
  if (!Array.isArray(structure)) return;
  const items = structure as readonly Structured[];
  if (offsets.kind === "multipart") {
    for (const [index, child] of offsets.children.entries()) yield* textParts(child, items[index]);
  } else if (offsets.kind === "message") {
    const [child] = offsets.children;
    if (child) yield* textParts(child, items[8]);
  } else if (items[0] === "text") {
    const parameters = (Array.isArray(items[2]) ? items[2] : []) as readonly Structured[];
    const at = parameters.indexOf("charset");
    const charset = String(at >= 0 ? parameters[at + 1] : "utf-8");
    yield {
      start: offsets.bodyStart,
      end: offsets.bodyEnd,
      encoding: String(items[5]),
      charset: charset.toLowerCase() === "us-ascii" ? "utf-8" : charset,
    };
  }
}
