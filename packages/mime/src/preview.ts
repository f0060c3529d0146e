import { decodeCharset } from "./charset.ts";
import { stripHtml } from "./html-text.ts";
import { decodeParameter } from "./parameters.ts";
import type { MessageStructure, Part } from "./scanner.ts";
import { decodeTransfer } from "./transfer.ts";

/** Octets of UTF-8 that are kept of a message's text. */
export const TEXT_BYTES_MAX = 1024;
/** Characters of a preview: RFC 8621 §4.1.4, RFC 8970 §3.1. */
export const PREVIEW_CHARS_MAX = 256;

/** The beginning of a message's text, and what there is of it. */
export interface MessageText {
  /** Its first {@link TEXT_BYTES_MAX} octets in UTF-8, in whole characters, line ends and all. */
  readonly start: string;
  /** True if `start` is the whole text. */
  readonly isWhole: boolean;
  /** Octets of all of it in UTF-8. Where it is longer than what the scanner keeps (PREVIEW_SOURCE_BYTES_MAX) this is those of
   * the decoded part instead: in its own charset, and of HTML with its tags. */
  readonly octets: number;
}

/**
 * A message's text is that of its first plain text part that is no attachment, else of its first other text part, HTML as
 * plain text. Empty if it has none.
 */
export function messageText({ previewSource }: Pick<MessageStructure, "previewSource">): MessageText {
  if (!previewSource) return { start: "", isWhole: true, octets: 0 };
  const { part, bytes } = previewSource;
  const length = part.bodyEnd - part.bodyStart;
  // The line end before a delimiter came with it.
  const source = bytes.subarray(0, length);
  const isAll = source.length === length;
  const decoded = decodeText(part, source);
  // A character may be cut where the source is.
  const sound = isAll ? decoded : decoded.replace(/\ufffd$/, "");
  const text = (part.subtype === "html" ? stripHtml(sound) : sound).toWellFormed();
  const octets = new TextEncoder().encode(text);
  const isWhole = isAll && octets.length <= TEXT_BYTES_MAX;
  return { start: isWhole ? text : cut(octets), isWhole, octets: isAll ? octets.length : part.octets };
}

/** The first octets of UTF-8, in whole characters. */
function cut(octets: Uint8Array): string {
  let end = Math.min(octets.length, TEXT_BYTES_MAX);
  while (end < octets.length && (octets[end]! & 0xc0) === 0x80) end--;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(octets.subarray(0, end));
}

/** Text on one line, its white space squeezed: at most {@link PREVIEW_CHARS_MAX} characters. No more of it is looked at than
 * these need: lists have thousands. */
export function preview(text: string): string {
  let line = "";
  let chars = 0;
  let word = 0;
  let at = 0;
  for (; at < text.length && chars < PREVIEW_CHARS_MAX; at++) {
    const code = text.charCodeAt(at);
    if (isBlank(code)) {
      line += text.slice(word, at);
      word = at + 1;
    } else {
      // The first of a word that is not the first.
      if (at === word && line !== "") {
        line += " ";
        chars++;
        if (chars === PREVIEW_CHARS_MAX) break;
      }
      chars++;
      if (isPair(text, at)) at++;
    }
  }
  return (line + text.slice(word, at)).trimEnd();
}

/** White space of any kind, and controls. */
function isBlank(code: number): boolean {
  return code <= 0x20 || code === 0x7f || (code > 0x7f && WHITE_SPACE.has(code));
}

const WHITE_SPACE: ReadonlySet<number> = new Set(
  Array.from({ length: 0x10000 }, (_, code) => code).filter((code) => /\s/.test(String.fromCharCode(code))),
);

/** True for a surrogate pair at `at`. */
function isPair(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00;
}

/** A text part's content as Unicode. */
export function decodeText(part: Pick<Part, "encoding" | "parameters">, bytes: Uint8Array): string {
  const charset = decodeParameter(part.parameters, "charset") ?? "utf-8";
  return decodeCharset(decodeTransfer(bytes, part.encoding, true), charset === "us-ascii" ? "utf-8" : charset).text;
}

/** A part's file name as Unicode: RFC 2183 §2.3, else the `name` of Content-Type. */
export function fileName(part: Pick<Part, "disposition" | "parameters">): string | undefined {
  return decodeParameter(part.disposition?.parameters ?? [], "filename") ?? decodeParameter(part.parameters, "name");
}
