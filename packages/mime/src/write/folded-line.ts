import { LINE_BYTES_MAX } from "../limits.ts";

/** Octets of a line where it can be folded: RFC 5322 §2.1.1; and of the signs that may close its last piece, as in `a:;,`. */
const FOLDED_BYTES_MAX = 78;
const SIGNS_BYTES_MAX = 3;
/** Octets of an encoded-word: RFC 2047 §2 allows 75; and of its charset, encoding and signs around the text. */
const WORD_BYTES_MAX = 74;
const WORD_FRAME_BYTES = "=?utf-8?Q??=".length;
/** Octets of text for which an encoded-word is begun on a line that has not much room left. */
const WORD_TEXT_BYTES_MIN = 16;
/** How much longer than base64 readable text may be. */
export const READABLE = 1.5;
const utf8 = new TextEncoder();

/** How text that is not ASCII is written: as it is (SMTPUTF8, RFC 6532) or encoded. */
export interface HeaderStyle {
  readonly utf8: boolean;
  /** A text that is no address stands in place of one, so that a reader gives it back: RFC 8621 §4.6 wants that of drafts. */
  readonly draft?: boolean;
}

/** One field of a header block as it grows: pieces with single spaces between, folded where a line would be too long. */
export class FoldedLine {
  #text: string;
  /** Octets of the line so far. */
  #column: number;
  #isEmpty = true;

  constructor(name: string) {
    this.#text = `${name}:`;
    this.#column = this.#text.length;
  }

  /** A piece that can't be broken, behind a space. Throws RangeError if no line can hold it. */
  piece(text: string): void {
    // Some programs lose a field whose first line is empty.
    this.#put(text, this.#isEmpty ? LINE_BYTES_MAX : FOLDED_BYTES_MAX);
  }

  /** Signs right behind the last piece. */
  close(signs: string): void {
    this.#text += signs;
    this.#column += signs.length;
  }

  /** Text as encoded-words of UTF-8: RFC 2047 §4. None of its characters is read as anything else. */
  encoded(text: string): void {
    const isQ = qLength(text) <= READABLE * Math.ceil(utf8Length(text) / 3) * 4;
    let word = "";
    let size = 0;
    for (const char of text) {
      const added = isQ ? qLength(char) : utf8Length(char);
      if (size > 0 && size + added > this.#wordRoom(isQ)) {
        this.#encodedWord(word, isQ);
        word = "";
        size = 0;
      }
      word += char;
      size += added;
    }
    this.#encodedWord(word, isQ);
  }

  get text(): string {
    return `${this.#text}\r\n`;
  }

  /** Octets of text that the next encoded-word may take. */
  #wordRoom(isQ: boolean): number {
    const here = FOLDED_BYTES_MAX - SIGNS_BYTES_MAX - this.#column - 1 - WORD_FRAME_BYTES;
    const signs = here < WORD_TEXT_BYTES_MIN ? WORD_BYTES_MAX - WORD_FRAME_BYTES : here;
    return Math.min(isQ ? signs : Math.floor(signs / 4) * 3, WORD_BYTES_MAX - WORD_FRAME_BYTES);
  }

  #encodedWord(text: string, isQ: boolean): void {
    const bytes = utf8.encode(text);
    const content = isQ ? qText(bytes) : btoa(String.fromCharCode(...bytes));
    this.#put(`=?utf-8?${isQ ? "Q" : "B"}?${content}?=`, FOLDED_BYTES_MAX);
  }

  /** Behind a space, on the line if it has no more octets then. */
  #put(text: string, bytesMax: number): void {
    const bytes = 1 + utf8Length(text);
    if (bytes > LINE_BYTES_MAX - SIGNS_BYTES_MAX) throw new RangeError("a piece of a field is too long for a line");
    if (this.#column + bytes > bytesMax - SIGNS_BYTES_MAX) {
      this.#text += "\r\n";
      this.#column = 0;
    }
    this.#text += ` ${text}`;
    this.#column += bytes;
    this.#isEmpty = false;
  }
}

/** Characters that stand for themselves in Q anywhere: RFC 2047 §5 (3). */
const Q_PLAIN = /[A-Za-z0-9!*+\-/]/;

function qText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const char = String.fromCharCode(byte);
    if (byte === 0x20) text += "_";
    else if (Q_PLAIN.test(char)) text += char;
    else text += `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}

function qLength(text: string): number {
  let length = 0;
  for (const char of text) length += char === " " || Q_PLAIN.test(char) ? 1 : 3 * utf8Length(char);
  return length;
}

/** Octets of text in UTF-8. */
export function utf8Length(text: string): number {
  return NOT_ASCII.test(text) ? utf8.encode(text).length : text.length;
}

const NOT_ASCII = /[^\x00-\x7f]/;
