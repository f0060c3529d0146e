import { fold } from "../mail/contents/fold.ts";
import type { Pace } from "./pace.ts";

/** Up to so many characters the platform's own search takes steps in proportion to the text (its tables reach so far);
 * beyond, it may take as many for each character of the text as what is looked for has. */
const PLATFORM_CHARS_MAX = 250;

/** A text that is looked for, folded. */
export class Needle {
  readonly text: string;
  /** Of each of its beginnings the length of the longest end that is a beginning too: Knuth, Morris and Pratt. */
  #borders: Uint32Array | undefined;

  constructor(text: string) {
    this.text = text;
  }

  /** True if the needle stands in `text`. */
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
  /** The end of the text before, folded, in which a needle may have begun. */
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
