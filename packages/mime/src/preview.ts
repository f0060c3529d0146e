import { decodeCharset } from "./charset.ts";
import { stripHtml } from "./html-text.ts";
import { decodeParameter, findParameter } from "./parameters.ts";
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
  /** Whether that is all of it. */
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

/** Text on one line, its white space squeezed: at most {@link PREVIEW_CHARS_MAX} characters. */
export function preview(text: string): string {
  const line = text.replace(/[\s\u0000-\u001f\u007f]+/g, " ").trim();
  // So many code units hold as many characters at least.
  const characters = [...line.slice(0, 2 * PREVIEW_CHARS_MAX)];
  return characters.slice(0, PREVIEW_CHARS_MAX).join("").trimEnd();
}

/** A text part's content as Unicode. */
export function decodeText(part: Pick<Part, "encoding" | "parameters">, bytes: Uint8Array): string {
  const charset = findParameter(part.parameters, "charset") ?? "utf-8";
  return decodeCharset(decodeTransfer(bytes, part.encoding), charset === "us-ascii" ? "utf-8" : charset).text;
}

/** A part's file name as Unicode: RFC 2183 §2.3, else the `name` of Content-Type. */
export function fileName(part: Pick<Part, "disposition" | "parameters">): string | undefined {
  return decodeParameter(part.disposition?.parameters ?? [], "filename") ?? decodeParameter(part.parameters, "name");
}
