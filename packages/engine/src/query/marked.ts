import { fold } from "../mail/contents/fold.ts";
import type { Needle } from "./needle.ts";

/**
 * Where folded needles stand in a text as it was written, and that text as HTML in which they are marked: RFC 8621 §5.
 * Folding changes lengths ("ﬁ", composed letters), so places are carried over by segments: a character with all that may be
 * composed with it, each folded alone.
 */
const SEGMENT = /[\s\S][\p{M}\u1160-\u11ff\uff9e\uff9f]{0,29}/gu;
const SEGMENT_CHARS_MAX = 64;
/** Code units that are folded together where no places are needed. */
const BLOCK_CHARS = 1024;
const NOT_ASCII = /[^\x00-\x7f]/;

/** Characters of a text that is marked as a whole: a subject. */
const TEXT_CHARS_MAX = 2000;
/** Octets of a preview: RFC 8621 §5. */
export const PREVIEW_BYTES_MAX = 255;
/** Octets of it, as it is written, that stand before the first match. */
const BEFORE_BYTES_MAX = 80;
/** Characters around a match that a preview is made of: white space is squeezed, so more of them than fit. */
const BEFORE_CHARS_MAX = 400;
const BEHIND_CHARS_MAX = 1000;
const OPEN = "<mark>";
const CLOSE = "</mark>";
const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** A part of a text, as it was written. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/** The text on one line, escaped, with what was found marked; undefined if nothing is found. No more than so many of its
 * characters are looked at. */
export function markedText(whole: string, needles: readonly Needle[]): string | undefined {
  const text = whole.slice(0, TEXT_CHARS_MAX);
  const ranges = rangesOf(text, needles);
  return ranges.length === 0 ? undefined : write(text, ranges, Number.POSITIVE_INFINITY);
}

/** The text around the first match, marked in the same way, at most {@link PREVIEW_BYTES_MAX} octets of it. */
export function markedPreview(text: string, needles: readonly Needle[]): string | undefined {
  const folded = fold(text);
  let first = Number.POSITIVE_INFINITY;
  let length = 0;
  for (const needle of needles) {
    const index = needle.indexIn(folded);
    if (index >= 0 && index < first) [first, length] = [index, needle.text.length];
  }
  if (first === Number.POSITIVE_INFINITY) return undefined;
  const { start } = segmentAt(text, folded, first);
  const { end } = segmentAt(text, folded, first + length - 1);
  const from = beginOf(text, start);
  const window = text.slice(from, Math.min(text.length, start + BEHIND_CHARS_MAX));
  // The match may reach beyond the window, and would not be found there.
  const found = { start: start - from, end: end - from };
  return write(window, joinRanges([found, ...rangesOf(window, needles)]), PREVIEW_BYTES_MAX);
}

/** Where the text of a preview begins whose first match is at `start`: behind white space, if there is some. */
function beginOf(text: string, start: number): number {
  const earliest = Math.max(0, start - BEFORE_CHARS_MAX);
  let bytes = 0;
  let begin = start;
  let atSpace = start;
  let isSpace = false;
  while (begin > earliest) {
    const point = text.codePointAt(begin - 1)!;
    const isLow = point >= 0xdc00 && point <= 0xdfff && begin - 1 > earliest;
    const char = isLow ? text.slice(begin - 2, begin) : text[begin - 1]!;
    const wasSpace = isSpace;
    isSpace = SPACE.test(char);
    bytes += isSpace ? (wasSpace ? 0 : 1) : bytesOf(escaped(char));
    if (bytes > BEFORE_BYTES_MAX) break;
    if (isSpace) atSpace = begin;
    begin -= char.length;
  }
  return begin === 0 ? 0 : atSpace < start ? atSpace : begin;
}

/** Where needles stand in a text, in order; what touches is one. */
function rangesOf(text: string, needles: readonly Needle[]): Range[] {
  const places = new FoldedPlaces(text);
  const found: Range[] = [];
  for (const needle of needles)
    for (let at = 0; ; ) {
      const index = needle.indexIn(places.folded, at);
      if (index < 0) break;
      at = index + needle.text.length;
      found.push({ start: places.at(index).start, end: places.at(at - 1).end });
    }
  return joinRanges(found);
}

function joinRanges(ranges: Range[]): Range[] {
  const joined: { start: number; end: number }[] = [];
  for (const { start, end } of ranges.sort((a, b) => a.start - b.start)) {
    const last = joined.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else joined.push({ start, end });
  }
  return joined;
}

/** A text folded segment by segment, and where each character of that comes from. */
class FoldedPlaces {
  readonly folded: string;
  /** By place in the folded text; none where places are the same. */
  readonly #segments: readonly Range[] | undefined;

  constructor(text: string) {
    if (!NOT_ASCII.test(text)) {
      this.folded = fold(text);
      return;
    }
    const segments: Range[] = [];
    let folded = "";
    for (const { 0: segment, index } of text.matchAll(SEGMENT)) {
      const one = fold(segment);
      folded += one;
      const range = { start: index, end: index + segment.length };
      for (let at = 0; at < one.length; at++) segments.push(range);
    }
    // The whole text's form knows what stands around a letter: a sigma at the end of a word.
    const whole = fold(text);
    this.folded = whole.length === folded.length ? whole : folded;
    this.#segments = segments;
  }

  at(index: number): Range {
    return this.#segments ? this.#segments[index]! : { start: index, end: index + 1 };
  }
}

/** The range of the text that became the character at `index` of its folded form. */
function segmentAt(text: string, folded: string, index: number): Range {
  if (folded.length === text.length && !NOT_ASCII.test(text)) return { start: index, end: index + 1 };
  let at = 0;
  let passed = 0;
  for (let block = blockAt(text, at); block !== ""; block = blockAt(text, at)) {
    const length = fold(block).length;
    if (passed + length > index) {
      const places = new FoldedPlaces(block);
      const { start, end } = places.at(Math.min(index - passed, places.folded.length - 1));
      return { start: at + start, end: at + end };
    }
    at += block.length;
    passed += length;
  }
  return { start: text.length, end: text.length };
}

/** Some of the text from `at` on, in whole segments. */
function blockAt(text: string, at: number): string {
  const end = at + BLOCK_CHARS;
  if (end >= text.length) return text.slice(at);
  // No segment is as long as this: one that reaches beyond the end is left to the next block.
  let cut = end;
  for (const { 0: segment, index } of text.slice(end - SEGMENT_CHARS_MAX, end + 1).matchAll(SEGMENT)) {
    const last = end - SEGMENT_CHARS_MAX + index + segment.length;
    if (last <= end) cut = last;
  }
  return text.slice(at, cut);
}

const SPACE = /[\s\u0000-\u001f\u007f]/;

/** A text as HTML on one line, its ranges marked, in at most so many octets. */
function write(text: string, ranges: readonly Range[], bytesMax: number): string {
  const writer = new MarkWriter(bytesMax);
  let at = 0;
  for (const { start, end } of ranges) {
    writer.add(text.slice(at, start), false);
    writer.add(text.slice(start, end), true);
    at = end;
  }
  writer.add(text.slice(at), false);
  return writer.end();
}

class MarkWriter {
  #out = "";
  #isMarked = false;
  #isSpace = true;
  #left: number;
  #isFull = false;

  constructor(bytesMax: number) {
    this.#left = bytesMax;
  }

  add(text: string, isMarked: boolean): void {
    for (const char of text) {
      if (this.#isFull) return;
      const isSpace = SPACE.test(char);
      if (isSpace && this.#isSpace) continue;
      const piece = isSpace ? " " : escaped(char);
      const tags = isMarked && !this.#isMarked ? OPEN.length + CLOSE.length : 0;
      const bytes = bytesOf(piece) + tags;
      if (bytes > this.#left) {
        this.#isFull = true;
        return;
      }
      if (isMarked !== this.#isMarked) this.#out += isMarked ? OPEN : CLOSE;
      this.#isMarked = isMarked;
      this.#out += piece;
      this.#left -= bytes;
      this.#isSpace = isSpace;
    }
  }

  end(): string {
    return this.#isMarked ? this.#out + CLOSE : this.#out.trimEnd();
  }
}

function escaped(char: string): string {
  return ENTITIES[char] ?? char.toWellFormed();
}

function bytesOf(piece: string): number {
  let bytes = 0;
  for (const char of piece) {
    const point = char.codePointAt(0)!;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}
