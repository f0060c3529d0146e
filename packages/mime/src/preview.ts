import { decodeCharset } from "./charset.ts";
import { decodeParameter, findParameter } from "./parameters.ts";
import type { MessageStructure, Part } from "./scanner.ts";
import { decodeTransfer } from "./transfer.ts";

export const PREVIEW_BYTES_MAX = 512;

/** The beginning of a message's text, on one line, at most 512 bytes of UTF-8 in whole characters. */
export function preview(structure: MessageStructure): string {
  const { previewSource } = structure;
  if (!previewSource) return "";
  const { part, bytes } = previewSource;
  const text = decodeText(part, bytes);
  const plain = part.subtype === "html" ? stripHtml(text) : text;
  return cut(beginning(plain).toWellFormed());
}

/** Text on one line; no more of it is looked at than a preview needs. */
function beginning(text: string): string {
  for (let end = 2 * PREVIEW_BYTES_MAX; ; end *= 4) {
    const line = text
      .slice(0, end)
      .replace(/[\s\u0000-\u001f\u007f]+/g, " ")
      .trim();
    if (line.length > PREVIEW_BYTES_MAX || end >= text.length) return line;
  }
}

/** A text part's content as Unicode. */
export function decodeText(part: Pick<Part, "encoding" | "parameters">, bytes: Uint8Array): string {
  const charset = findParameter(part.parameters, "charset") ?? "utf-8";
  return decodeCharset(decodeTransfer(bytes, part.encoding), charset === "us-ascii" ? "utf-8" : charset).text;
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " " };

/** Text of HTML, roughly: what stands between tags. Linear in its input. */
export function stripHtml(html: string): string {
  let out = "";
  let at = 0;
  while (at < html.length) {
    const open = html.indexOf("<", at);
    if (open < 0) return out + unescapeEntities(html.slice(at));
    out += unescapeEntities(html.slice(at, open));
    const hidden = /^<(style|script|head|title)\b/i.exec(html.slice(open, open + 10));
    const close = hidden ? endOfHidden(html, open, hidden[1]!) : html.indexOf(">", open) + 1;
    if (close <= 0) return out;
    out += " ";
    at = close;
  }
  return out;
}

function endOfHidden(html: string, from: number, tag: string): number {
  const end = new RegExp(`</${tag}\\s*>`, "gi");
  end.lastIndex = from;
  const match = end.exec(html);
  return match ? match.index + match[0].length : html.length;
}

function unescapeEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,6}));/gi, (whole, decimal, hex, name) => {
    if (name) return ENTITIES[(name as string).toLowerCase()] ?? whole;
    const code = decimal ? Number(decimal) : Number.parseInt(hex as string, 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : "";
  });
}

function cut(text: string): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= PREVIEW_BYTES_MAX) return text;
  let end = PREVIEW_BYTES_MAX;
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return new TextDecoder().decode(bytes.subarray(0, end));
}

/** A part's file name as Unicode: RFC 2183 §2.3, else the `name` of Content-Type. */
export function fileName(part: Pick<Part, "disposition" | "parameters">): string | undefined {
  return decodeParameter(part.disposition?.parameters ?? [], "filename") ?? decodeParameter(part.parameters, "name");
}
