import { encode } from "cborg";
import { folderOf } from "../storage/object-kinds.ts";
import { Fields } from "./fields.ts";
import type { Position } from "./position.ts";
import type { WriterId } from "./writer.ts";

/**
 * One object of the log: `log/<n>`. A sealed head with the ops, then the attachments: bodies that are sealed already,
 * each under its own key, so that a checkpoint can move them into a pack unchanged.
 *
 *     entry = length of head (4 bytes, big endian) ‖ head (a sealed object of kind `entry`, id = n) ‖ attachments
 *     head  = CBOR [format, writer (8 bytes), sequence, previous hash (32 bytes), deps, [[op, [attachment length, …]], …]]
 *
 * Op k of an entry has sequence + k. `deps` is what the author had applied: in linear mode the entry before.
 */
export const ENTRY_FORMAT = 1;
/** Bytes of one entry at most: what a follower reads into memory at once. */
export const ENTRY_BYTES_MAX: number = 64 * 2 ** 20;

export interface EntryHead {
  readonly writer: WriterId;
  readonly sequence: number;
  readonly previous: Uint8Array;
  readonly deps: number;
  readonly ops: readonly EntryOp[];
}
export interface EntryOp {
  readonly bytes: Uint8Array;
  readonly attachmentLengths: readonly number[];
}
/** A run of bytes of an object. */
export interface Span {
  readonly offset: number;
  readonly length: number;
}

export function encodeHead(head: EntryHead): Uint8Array {
  return encode([
    ENTRY_FORMAT,
    hexBytes(head.writer),
    head.sequence,
    head.previous,
    head.deps,
    head.ops.map(({ bytes, attachmentLengths }) => [bytes, attachmentLengths]),
  ]);
}

/** Throws RangeError on anything that {@link encodeHead} does not make. */
export function decodeHead(bytes: Uint8Array): EntryHead {
  const fields = Fields.decode(bytes);
  if (fields.integer() !== ENTRY_FORMAT) throw new RangeError("entry of an unknown format");
  const head: EntryHead = {
    writer: hexText(fields.bytes(8)) as WriterId,
    sequence: fields.integer(),
    previous: fields.bytes(32),
    deps: fields.integer(),
    ops: fields.list((op) => ({ bytes: op.bytes(), attachmentLengths: op.list((length) => length.integer(), false) })),
  };
  fields.end();
  return head;
}

export function joinEntry(sealedHead: Uint8Array, attachments: readonly Uint8Array[]): Uint8Array {
  const size = attachments.reduce((sum, piece) => sum + piece.length, 4 + sealedHead.length);
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, sealedHead.length);
  bytes.set(sealedHead, 4);
  let at = 4 + sealedHead.length;
  for (const piece of attachments) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** The sealed head of an entry's bytes. Throws RangeError if they are too short. */
export function splitEntry(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 4) throw new RangeError("entry is too short");
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (4 + length > bytes.length) throw new RangeError("entry is too short for its head");
  return bytes.subarray(4, 4 + length);
}

/** Where each op's attachments lie in the entry; they must fill it exactly. Throws RangeError. */
export function attachmentSpans(head: EntryHead, sealedHeadLength: number, entryLength: number): Span[][] {
  let offset = 4 + sealedHeadLength;
  const spans = head.ops.map(({ attachmentLengths }) =>
    attachmentLengths.map((length) => {
      const span = { offset, length };
      offset += length;
      return span;
    }),
  );
  if (offset !== entryLength) throw new RangeError("attachments do not fill the entry");
  return spans;
}

/** `log/<n>`: 14 hex digits, so that names sort as numbers do. */
export function entryName(n: Position): string {
  return `${folderOf("log")}${n.toString(16).padStart(14, "0")}`;
}

/** The number in an entry's name. */
export function entryNumber(name: string): Position {
  return Number.parseInt(name.slice(-14), 16) as Position;
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function hexText(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at++) text += HEX[bytes[at]!]!;
  return text;
}

/** Of text that is hex. */
export function hexBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length >> 1);
  for (let at = 0; at < bytes.length; at++)
    bytes[at] = (hexDigit(text.charCodeAt(2 * at)) << 4) | hexDigit(text.charCodeAt(2 * at + 1));
  return bytes;
}

function hexDigit(code: number): number {
  return code <= 0x39 ? code - 0x30 : (code | 0x20) - 0x57;
}
