import { type FoldedLine, type HeaderStyle, utf8Length } from "./folded-line.ts";

/** Octets of a word that stays as it is: longer ones are encoded, so that they can be folded. */
const PLAIN_WORD_BYTES_MAX = 70;

/** Text of one line: control characters, line ends first of all, are no part of a field and become spaces. Byte order marks
 * go, which readers would take for signs of a charset. */
export function oneLine(text: string): string {
  return text
    .toWellFormed()
    .replace(/\ufeff+/g, "")
    .replace(/[\x00-\x1f\x7f]+/g, " ");
}

/**
 * Unstructured text (RFC 5322 §2.2.1) in pieces: words as they are where they can be, and encoded-words
 * (RFC 2047) for what is not ASCII, looks like an encoded-word, is too long, or has spaces that a reader would not keep.
 */
export function writeText(line: FoldedLine, text: string, style: HeaderStyle): void {
  const words = wordsOf(oneLine(text), style);
  let run: string[] = [];
  const flush = (): void => {
    if (run.length > 0) line.encoded(run.join(" "));
    run = [];
  };
  for (const { text: word, encode } of words) {
    if (encode) {
      run.push(word);
      continue;
    }
    flush();
    line.piece(word);
  }
  flush();
}

interface Word {
  readonly text: string;
  readonly encode: boolean;
}

/** Words with one space between each two. Further spaces belong to the word behind them, or to the last. */
function wordsOf(text: string, style: HeaderStyle): Word[] {
  const words: Word[] = [];
  let spaces = 0;
  for (const word of text.split(" ")) {
    if (word === "") {
      spaces++;
      continue;
    }
    words.push({ text: " ".repeat(spaces) + word, encode: spaces > 0 || mustEncode(word, style) });
    spaces = 0;
  }
  if (spaces === 0) return words;
  const last = words.pop();
  // A text of n spaces alone is n + 1 words of nothing.
  const end: Word = { text: last ? last.text + " ".repeat(spaces) : " ".repeat(spaces - 1), encode: true };
  return end.text === "" ? words : [...words, end];
}

function mustEncode(word: string, { utf8 }: HeaderStyle): boolean {
  return word.includes("=?") || (!utf8 && /[^\x00-\x7f]/.test(word)) || utf8Length(word) > PLAIN_WORD_BYTES_MAX;
}
