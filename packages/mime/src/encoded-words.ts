import { binaryBytes, binaryText, decodeRaw } from "./binary.ts";
import { decodeCharset, isKnownCharset } from "./charset.ts";
import { isSpace } from "./tokens.ts";
import { decodeTransfer } from "./transfer.ts";

/** Encoded-words: RFC 2047, with the language of RFC 2231 §5. */
const WORD = /=\?([!-)+->@-~]+)(?:\*[!->@-~]*)?\?([BbQq])\?([^?]*)\?=/g;
const STRICT_WORD = /=\?([!-)+->@-~]+)(?:\*[!->@-~]*)?\?([BbQq])\?([!->@-~]*)\?=/g;
const RAW = /[\x80-\xff]/;

interface Word {
  readonly charset: string;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Header text (binary) as Unicode. White space between two encoded-words goes, and neighbours of one charset are
 * joined before they are decoded: some programs cut characters in two. */
export function decodeWords(text: string): string {
  return decoded(text, WORD, () => true);
}

/**
 * The same of unstructured text, to the letter (RFC 2047 §5 rule 1, RFC 8621 §4.1.2.2): an encoded-word is one only where
 * white space or an end of the text is on both of its sides, and if it holds no white space and its charset is known. All
 * else stays as it is written. Controls that were encoded go, and NUL.
 */
export function decodeUnstructured(text: string): string {
  const isSpaceAt = (at: number): boolean => at < 0 || at >= text.length || isSpace(text.charCodeAt(at));
  return decoded(
    text,
    STRICT_WORD,
    ({ start, end, charset }) => isSpaceAt(start - 1) && isSpaceAt(end) && isKnownCharset(charset),
    (word) => word.replace(/[\x00-\x1f\x7f]/g, ""),
  ).replaceAll("\0", "");
}

/** `isWord` tells which of the words that `pattern` finds are some; `clean` is done to what was encoded. */
function decoded(
  text: string,
  pattern: RegExp,
  isWord: (word: Word) => boolean,
  clean: (word: string) => string = (word) => word,
): string {
  if (!text.includes("=?")) return decodeRaw(text);
  let out = "";
  let end = 0;
  let run: Word[] = [];
  const flush = (): void => {
    if (run.length === 0) return;
    out += clean(decodeCharset(joined(run), run[0]!.charset).text);
    run = [];
  };
  for (const match of text.matchAll(pattern)) {
    const word = readWord(match);
    if (!isWord(word)) continue;
    const between = text.slice(end, word.start);
    const follows = run.length > 0 && /^[ \t\r\n]*$/.test(between);
    if (!follows || run[0]!.charset !== word.charset) flush();
    if (!follows) out += decodeRaw(between);
    run.push(word);
    end = word.end;
  }
  flush();
  return out + decodeRaw(text.slice(end));
}

function readWord(match: RegExpMatchArray): Word {
  const [whole, charset, encoding, content] = match as unknown as [string, string, string, string];
  const bytes =
    encoding.toLowerCase() === "b"
      ? decodeTransfer(binaryBytes(content), "base64")
      : decodeTransfer(binaryBytes(content.replaceAll("_", "=20")), "quoted-printable");
  return { charset: charset.toLowerCase(), bytes, start: match.index!, end: match.index! + whole.length };
}

function joined(words: readonly Word[]): Uint8Array {
  const bytes = new Uint8Array(words.reduce((sum, word) => sum + word.bytes.length, 0));
  let at = 0;
  for (const word of words) {
    bytes.set(word.bytes, at);
    at += word.bytes.length;
  }
  return bytes;
}

/** Octets of content in one encoded-word: 75 characters in all, RFC 2047 §2. */
const WORD_BYTES_MAX = 45;

/** Unicode as encoded-words of UTF-8, joined by spaces; whole characters in each. ASCII text stays as it is. */
export function encodeWords(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  const bytes = new TextEncoder().encode(text);
  const words: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    let end = Math.min(at + WORD_BYTES_MAX, bytes.length);
    while (end < bytes.length && (bytes[end]! & 0xc0) === 0x80) end--;
    words.push(`=?utf-8?B?${btoa(binaryText(bytes.subarray(at, end)))}?=`);
    at = end;
  }
  return words.join(" ");
}

/**
 * Header text (binary) in ASCII, for readers that may get nothing else: it reads the same. Encoded-words stay what they are;
 * of raw 8-bit within one its own encoding is made (Q), or nothing (B: no decoder counts it). All other raw 8-bit becomes
 * encoded-words, with the white space beside it, since that between two of them is not read.
 */
export function headerInAscii(text: string): string {
  if (!RAW.test(text)) return text;
  let out = "";
  let end = 0;
  const pass = (to: number): void => {
    const between = text.slice(end, to);
    if (!RAW.test(between)) out += between;
    else out += `${out === "" ? "" : " "}${encodeWords(decodeRaw(between))}${to < text.length ? " " : ""}`;
  };
  for (const match of text.matchAll(WORD)) {
    pass(match.index);
    out += wordInAscii(match[0], match[3]!, match[2]!);
    end = match.index + match[0].length;
  }
  pass(text.length);
  return out;
}

function wordInAscii(word: string, content: string, encoding: string): string {
  if (!RAW.test(content)) return word;
  const ascii = content.replace(/[\x80-\xff]/g, (octet) =>
    encoding.toLowerCase() === "b" ? "" : `=${octet.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${word.slice(0, -content.length - 2)}${ascii}?=`;
}
