import type { Body, Message } from "@restante/engine";
import { isTurnOver, takeTurn } from "@restante/host";
import {
  binaryBytes,
  createTransferDecoder,
  findHeader,
  findPart,
  HeaderBlock,
  parseHeaders,
  parseParameterized,
} from "@restante/mime";
import { Refusal } from "./errors.ts";
import { type Kept, WHOLE_SECTION_BYTES, type Writer } from "./fetch-kept.ts";
import { FIELDS_BYTES_MAX } from "./limits.ts";
import type { Session } from "./session.ts";
import type { BinaryItem } from "./wire/fetch-items.ts";

/** BINARY and BINARY.SIZE: a part with its transfer encoding undone, RFC 3516 §4.2. A large one is decoded twice: its size is told
 * before its octets. */
export function binaryWriter({ output }: Session, { path, partial, label, isSize }: BinaryItem): Writer {
  return {
    isShort: false,
    needsBody: (message, kept) => spanOf(path, message, kept) !== undefined,
    atOnce: () => `${label} ${isSize ? "0" : "NIL"}`,
    async fromBody(message, kept, body) {
      const span = spanOf(path, message, kept)!;
      const encoding = span.isLeaf ? await encodingOf(span, body) : "binary";
      const isSmall = span.end - span.start <= WHOLE_SECTION_BYTES;
      const small = isSmall ? await collect(decoded(body, span, encoding)) : undefined;
      // However often one command asks for a part, its size is counted once.
      const name = path.join(".");
      const size = small?.length ?? kept.decodedOctets.get(name) ?? (await sizeOf(decoded(body, span, encoding)));
      kept.decodedOctets.set(name, size);
      if (isSize) {
        output.text(`${label} ${size}`);
        return;
      }
      const start = Math.min(partial?.offset ?? 0, size);
      const end = Math.min(start + (partial?.length ?? size), size);
      output.text(`${label} ~{${end - start}}\r\n`);
      if (small) output.bytes(small.subarray(start, end));
      else
        for await (const bytes of cut(decoded(body, span, encoding), start, end)) {
          output.bytes(bytes);
          if (output.isFull) await output.flush();
          if (isTurnOver()) await takeTurn();
        }
    },
  };
}

interface PartSpan {
  readonly headerStart: number;
  readonly start: number;
  readonly end: number;
  /** True for a part with an encoding of its own: a multipart and a message have none. */
  readonly isLeaf: boolean;
}

/** The whole message is told as it is. */
function spanOf(path: readonly number[], { state, row }: Message, kept: Kept): PartSpan | undefined {
  if (path.length === 0) return { headerStart: 0, start: 0, end: state.sizeOf(row), isLeaf: false };
  const part = findPart(kept.offsets, path);
  if (!part) return undefined;
  const { headerStart, bodyStart, bodyEnd, kind } = part;
  return { headerStart, start: bodyStart, end: bodyEnd, isLeaf: kind === "leaf" };
}

const ENCODINGS: ReadonlySet<string> = new Set(["7bit", "8bit", "binary", "base64", "quoted-printable"]);

/** Of the part's own header. Throws {@link Refusal} for one that nobody knows. */
async function encodingOf({ headerStart, start }: PartSpan, body: Body): Promise<string> {
  const end = Math.min(start, headerStart + FIELDS_BYTES_MAX);
  const block = new HeaderBlock(await collect(body.read(headerStart, end)));
  const field = findHeader(parseHeaders(binaryBytes(block.text)), "content-transfer-encoding");
  const encoding = (parseParameterized(field ?? "7bit").value || "7bit").toLowerCase();
  if (!ENCODINGS.has(encoding)) throw new Refusal("The part's encoding is not known", "UNKNOWN-CTE");
  return encoding;
}

async function* decoded(body: Body, { start, end }: PartSpan, encoding: string): AsyncGenerator<Uint8Array> {
  const decoder = createTransferDecoder(encoding);
  for await (const bytes of body.read(start, end)) {
    yield decoder.push(bytes);
    if (isTurnOver()) await takeTurn();
  }
  yield decoder.end();
}

async function* cut(source: AsyncIterable<Uint8Array>, start: number, end: number): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const bytes of source) {
    const piece = bytes.subarray(Math.max(0, start - at), Math.max(0, end - at));
    at += bytes.length;
    if (piece.length > 0) yield piece;
    if (at >= end) return;
  }
}

async function sizeOf(source: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const bytes of source) size += bytes.length;
  return size;
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const bytes of source) pieces.push(bytes.slice());
  return new Uint8Array(Buffer.concat(pieces));
}
