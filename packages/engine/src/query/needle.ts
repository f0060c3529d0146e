import type { Pace } from "./pace.ts";

/** Up to so many characters the platform's own search takes steps in proportion to the text (its tables reach so far);
 * beyond, it may take as many for each character of the text as what is looked for has. */
const PLATFORM_CHARS_MAX = 250;

const NOT_ASCII = /[^\x00-\x7f]/;

/** So many marks in a row are put in order together, as Unicode Annex 15 §13 advises: to order many takes steps by their
 * square, and a stranger's text may have a million on one letter. Those behind \p{M} come to marks by their compatibility
 * forms. */
const MARKS = /[\p{M}\u0e33\u0eb3\uff9e\uff9f]{30}/gu;

/** Case and compatibility forms don't count, nor do accents' ways of being written: i;unicode-casemap in spirit. */
export function fold(text: string): string {
  return NOT_ASCII.test(text) ? compose(text).toLowerCase() : text.toLowerCase();
}

function compose(text: string): string {
  let composed = "";
  let from = 0;
  for (const { 0: marks, index } of text.matchAll(MARKS)) {
    composed += text.slice(from, index + marks.length).normalize("NFKC");
    from = index + marks.length;
  }
  return composed + text.slice(from).normalize("NFKC");
}

/** The same of a header's text: what a line was folded with is a space. */
export function foldField(text: string): string {
  return fold(text.replaceAll("\t", " "));
}

/** A text that is looked for, folded. */
export class Needle {
  readonly text: string;
  /** Of each of its beginnings the length of the longest end that is a beginning too: Knuth, Morris and Pratt. */
  #borders: Uint32Array | undefined;

  constructor(text: string) {
    this.text = text;
  }

  /** Whether it is in `text`. */
  isIn(text: string): boolean {
    return this.indexIn(text) >= 0;
  }

  /** Where it begins in `text` first, from `from` on; -1 if nowhere. In steps that are in proportion to `text`, whatever
   * the two look like. */
  indexIn(text: string, from = 0): number {
    const { length } = this.text;
    if (length <= PLATFORM_CHARS_MAX) return text.indexOf(this.text, from);
    this.#borders ??= bordersOf(this.text);
    let matched = 0;
    for (let at = from; at < text.length; at++) {
      const char = text.charCodeAt(at);
      while (matched > 0 && this.text.charCodeAt(matched) !== char) matched = this.#borders[matched - 1]!;
      if (this.text.charCodeAt(matched) === char) matched++;
      if (matched === length) return at - length + 1;
    }
    return -1;
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

  readonly #pace: Pace;

  constructor(needles: readonly Needle[], pace: Pace) {
    this.#left = [...needles];
    this.#pace = pace;
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
      if (this.#pace.isOver()) await this.#pace.take();
    }
    if (isFound) this.#left = this.#left.filter((needle) => !this.found.has(needle.text));
    this.#tail = this.#tailChars === 0 ? "" : window.slice(-this.#tailChars);
  }
}
