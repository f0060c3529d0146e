import { createTextDecoder, cutText, decodeCharset, decodeParameter, type StructuredPart } from "@restante/mime";
import type { AnswerBudget } from "./budget.ts";
import { jsonText } from "./text.ts";

/** RFC 8621 §4.1.4, EmailBodyValue. */
export interface EmailBodyValue {
  readonly value: string;
  readonly isEncodingProblem: boolean;
  readonly isTruncated: boolean;
}

/** Octets of a charset that stand for one octet of UTF-8 at most; of all others one. */
const OCTETS_PER_BYTE: readonly (readonly [charset: RegExp, octets: number])[] = [
  [/^(?:utf-?16|ucs-?2|unicode$)/, 2],
  [/^(?:utf-?32|ucs-?4)/, 4],
  [/utf-?7|2022|^hz/, 8],
];
/** Octets that stand for nothing at a text's beginning, and of one character at most, with what switches to it. */
const MARK_OCTETS_MAX = 64;
const CHARACTER_OCTETS_MAX = 8;
/** Characters of a value's frame in the answer, and memory of its part meanwhile, about. */
export const VALUE_FRAME_CHARS = 300;
/** RFC 2045 §6.1. */
const ENCODINGS: ReadonlySet<string> = new Set(["7bit", "8bit", "binary", "base64", "quoted-printable", ""]);
const ASCII: ReadonlySet<string> = new Set(["us-ascii", "ascii", "ansi_x3.4-1968"]);

/** The charset of a text, as RFC 2046 §4.1.2 has it for what names none; null for what is no text and names none: RFC 8621
 * §4.1.4. */
export function charsetOf({ type, parameters }: Pick<StructuredPart, "type" | "parameters">): string | null {
  return decodeParameter(parameters, "charset") || (type === "text" ? "us-ascii" : null);
}

/** Reads a text part's value: its transfer encoding and charset undone, CRLF as LF. `pieces` are the octets of its body as
 * they lie, no more of which are read than are needed; `bytesMax` are octets of UTF-8, 0: any. Throws RequestTooLarge. */
export async function readBodyValue(
  part: Pick<StructuredPart, "type" | "subtype" | "parameters" | "encoding">,
  pieces: AsyncIterable<Uint8Array>,
  bytesMax: number,
  budget: AnswerBudget,
): Promise<EmailBodyValue> {
  const charset = charsetOf(part) ?? "utf-8";
  const scale = OCTETS_PER_BYTE.find(([name]) => name.test(charset.toLowerCase()))?.[1] ?? 1;
  const wanted = bytesMax === 0 ? Number.POSITIVE_INFINITY : bytesMax * scale + MARK_OCTETS_MAX;
  const decoder = createTextDecoder(part.encoding);
  const held: Uint8Array[] = [];
  let size = 0;
  /** Octets that surely become text. A line end counts as one character. */
  let net = 0;
  const hold = (bytes: Uint8Array): void => {
    size += bytes.length;
    net += bytes.length - (bytesMax === 0 ? 0 : scale * countOf(bytes, LF));
    if (Math.min(size, bytesMax || size) > budget.left) budget.take(size);
    held.push(bytes.slice());
  };
  for await (const piece of pieces) {
    hold(decoder.push(piece));
    if (net > wanted) break;
  }
  const isWhole = net <= wanted;
  if (isWhole) hold(decoder.end());
  const { text, hasProblem } = decoded(joined(held, size), charset, isWhole);
  const lines = jsonText(isWhole ? text : text.replace(/\r$/, "")).replaceAll("\r\n", "\n");
  const value = bytesMax === 0 ? lines : cutText(lines, bytesMax, part.type === "text" && part.subtype === "html");
  budget.take(value.length + VALUE_FRAME_CHARS);
  return {
    value,
    isEncodingProblem: hasProblem || !ENCODINGS.has(part.encoding.trim().toLowerCase()),
    isTruncated: !isWhole || value.length < lines.length,
  };
}

/** Text of no charset, or that says that it is ASCII, is read as UTF-8, which holds that. */
function decoded(octets: Uint8Array, charset: string, isWhole: boolean): { text: string; hasProblem: boolean } {
  const label = ASCII.has(charset.trim().toLowerCase()) ? "utf-8" : charset;
  // A character may be cut where the octets are.
  for (let cut = 0; ; cut++) {
    const { text, unknownCharset, isMalformed = false } = decodeCharset(octets.subarray(0, octets.length - cut), label);
    if (!isMalformed || isWhole || cut === CHARACTER_OCTETS_MAX)
      return { text, hasProblem: isMalformed || unknownCharset !== undefined };
  }
}

const LF = 0x0a;

function countOf(bytes: Uint8Array, wanted: number): number {
  let count = 0;
  for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1)) count++;
  return count;
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = pieces;
  if (pieces.length === 1) return only!;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
