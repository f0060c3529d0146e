import type { Body } from "@restante/engine";
import { HeaderBlock } from "@restante/mime";
import { HEADER_READ_BYTES_MAX } from "./limits.ts";

/** Opens blobs: RFC 8620 §6. */
export interface Blobs {
  /** A blob's octets, with its transfer encoding undone; undefined if there is none that this account may read. */
  open(blobId: string): Promise<Body | undefined>;
}

/** Fields of which every mail has some: text that has a colon in its first line is no mail by that. */
const KNOWN: ReadonlySet<string> = new Set([
  ...["from", "to", "date", "subject", "message-id", "received", "return-path", "sender", "reply-to", "cc", "bcc"],
  ...["mime-version", "content-type", "delivered-to", "resent-from", "references", "in-reply-to"],
]);
const FIRST_LINE = /^[!-9;-~]+[ \t]*:/;

/** True for octets that may be taken for a message (RFC 5322 §2.2): a field comes first, and some field is one that mail has.
 * All that follows may be broken in any way. */
export function isMessage(header: HeaderBlock): boolean {
  const text = header.text.startsWith("From ") ? header.text.replace(/^From [^\n]*\n/, "") : header.text;
  return FIRST_LINE.test(text) && !text.includes("\0") && header.fields().some(({ key }) => KNOWN.has(key));
}

/** The header block that a blob begins with, as far as it is looked at. */
export async function readHeader(blob: Body): Promise<HeaderBlock> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of blob.read(0, Math.min(blob.size, HEADER_READ_BYTES_MAX))) {
    pieces.push(piece.slice());
    size += piece.length;
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return new HeaderBlock(bytes.subarray(0, endOfHeader(bytes)));
}

/** Behind its empty line; all, if there is none. */
function endOfHeader(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    const next = bytes[at + 1] === CR ? at + 2 : at + 1;
    if (bytes[next] === LF) return next + 1;
  }
  return bytes.length;
}

const CR = 0x0d;
const LF = 0x0a;
