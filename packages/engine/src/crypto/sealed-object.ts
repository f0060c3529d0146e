import { Rooms } from "../rooms.ts";
import { blocks } from "../streams.ts";
import { CryptoError } from "./errors.ts";
import { KINDS, type Kind } from "./kinds.ts";
import type { CryptoPlatform } from "./platform.ts";
import { concat, keyedHash, NONCE_BYTES, TAG_BYTES, utf8 } from "./primitives.ts";

/**
 * The one way in which bytes are sealed (docs/formats/sealed-object.md).
 *
 *     header   format 1 ‖ kind 1 ‖ key version 2 ‖ salt 24
 *     box      AEAD(length of the first segment, 4): nonce ff…ff
 *     segment  AEAD(flags 1 ‖ length of the next segment 4 (0: last) ‖ content length 4 ‖ content ‖ zeros): nonce = number
 *
 * The key is a sub-key of the purpose's key, bound to salt, kind, account and id; associated data repeat them with the
 * format, so an object opens as what it was sealed as, for whom, and nowhere else. Each segment says how long the next
 * is: one that is missing, swapped or added is found out, and memory holds one segment at a time.
 *
 * Invariant: one sub-key seals one plain text. A put that is tried again sends the same bytes.
 */
export const FORMAT = 1;
export const SALT_BYTES = 24;
export const SEGMENT_CONTENT_BYTES: number = 64 * 1024;
/** Sizes are hidden to about an eighth, and wholly below this: Padmé. */
export const PADDING_FLOOR_BYTES = 512;
const SEGMENT_HEAD_BYTES = 9;
const SEGMENT_OVERHEAD: number = SEGMENT_HEAD_BYTES + TAG_BYTES;
export const HEADER_BYTES: number = 4 + SALT_BYTES + 4 + TAG_BYTES;
const FULL_SEGMENT_BYTES: number = SEGMENT_CONTENT_BYTES + SEGMENT_OVERHEAD;

/** The key that an object is sealed under, and the facts that it is bound to. */
export interface SealContext {
  readonly platform: CryptoPlatform;
  /** The purpose's key, 32 bytes. */
  readonly key: Uint8Array;
  readonly keyVersion: number;
  /** The account's id, 16 bytes. */
  readonly account: Uint8Array;
  readonly kind: Kind;
  readonly id: string;
  /** `padme` by default; `none` where the size is public anyway. */
  readonly padding?: "padme" | "power-of-two" | "none";
}

/** Octets that content of this length is padded to. */
export function paddedLength(length: number, padding: SealContext["padding"] = "padme"): number {
  if (padding === "none") return length;
  if (length <= PADDING_FLOOR_BYTES) return PADDING_FLOOR_BYTES;
  const exponent = Math.floor(Math.log2(length));
  if (padding === "power-of-two") return 2 ** exponent === length ? length : 2 ** (exponent + 1);
  const step = 2 ** (exponent - (Math.floor(Math.log2(exponent)) + 1));
  return Math.ceil(length / step) * step;
}

/** Bytes that sealing content of this length takes. */
export function sealedLength(length: number, padding: SealContext["padding"] = "padme"): number {
  const padded = paddedLength(length, padding);
  const segments = Math.max(1, Math.ceil(padded / SEGMENT_CONTENT_BYTES));
  return HEADER_BYTES + padded + segments * SEGMENT_OVERHEAD;
}

/** The sealed object, after the bytes of `before`. */
export function sealObject(
  context: SealContext,
  content: Uint8Array,
  before: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const out = new Uint8Array(before.length + sealedLength(content.length, context.padding));
  out.set(before);
  const writer = new SegmentWriter(context, out, before.length);
  for (let at = 0; at < content.length; at += SEGMENT_CONTENT_BYTES)
    writer.write(content.subarray(at, at + SEGMENT_CONTENT_BYTES));
  for (const segment of writer.end()) writer.seal(segment);
  return out;
}

/** Seals a stream in bounded memory; the pieces joined are what {@link sealObject} makes. A piece stands until the next
 * is asked for. */
export async function* sealStream(context: SealContext, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const writer = new SegmentWriter(context, new Uint8Array(HEADER_BYTES + FULL_SEGMENT_BYTES));
  // The writer holds one segment back while the next is filled.
  for await (const content of blocks(source, SEGMENT_CONTENT_BYTES)) {
    writer.write(content);
    const sealed = writer.take();
    if (sealed.length > 0) yield sealed;
  }
  for (const segment of writer.end()) {
    writer.seal(segment);
    yield writer.take();
  }
}

interface Segment {
  readonly content: Uint8Array;
  readonly padding: number;
  /** Sealed; 0 if this is the last. */
  readonly nextLength: number;
}

/** Plain text of the one segment that is being sealed. */
const plainRoom = new Uint8Array(SEGMENT_HEAD_BYTES + SEGMENT_CONTENT_BYTES);

/** Holds one segment back: what it says of the next is known when that comes. */
class SegmentWriter {
  readonly #context: SealContext;
  /** Where sealed bytes go, and how far it is full. */
  readonly #room: Uint8Array;
  #filled: number;
  readonly #binding: Binding;
  #waiting: Uint8Array | undefined;
  #number = 0;
  #total = 0;

  constructor(context: SealContext, room: Uint8Array, filled = 0) {
    this.#context = context;
    this.#room = room;
    this.#filled = filled;
    this.#binding = bind(context, context.platform.random(SALT_BYTES), context.keyVersion);
  }

  /** The sealed bytes in the room. The room is then free for the next, so the bytes stand until that is sealed. */
  take(): Uint8Array {
    const sealed = this.#room.subarray(0, this.#filled);
    this.#filled = 0;
    return sealed;
  }

  #place(length: number): Uint8Array {
    this.#filled += length;
    return this.#room.subarray(this.#filled - length, this.#filled);
  }

  /** A segment's content: all but the last are full. Seals the one before it. */
  write(content: Uint8Array): void {
    this.#total += content.length;
    if (this.#waiting) this.seal({ content: this.#waiting, padding: 0, nextLength: this.#lengthOf(content) });
    this.#waiting = content;
  }

  /** Sealed length of what was written last: full, or with padding that makes up for what it lacks. */
  #lengthOf({ length }: Uint8Array): number {
    return Math.min(length + this.#padding(), SEGMENT_CONTENT_BYTES) + SEGMENT_OVERHEAD;
  }

  #padding(): number {
    return paddedLength(this.#total, this.#context.padding) - this.#total;
  }

  /** Segments that are still to be sealed, in order: the last with content, and those of padding alone. */
  end(): Segment[] {
    const lengths: { readonly content: Uint8Array; readonly padding: number }[] = [];
    let content = this.#waiting ?? new Uint8Array(0);
    let padding = this.#padding();
    do {
      const here = Math.min(padding, SEGMENT_CONTENT_BYTES - content.length);
      lengths.push({ content, padding: here });
      padding -= here;
      content = new Uint8Array(0);
    } while (padding > 0);
    return lengths.map((segment, at) => {
      const next = lengths[at + 1];
      return { ...segment, nextLength: next ? next.content.length + next.padding + SEGMENT_OVERHEAD : 0 };
    });
  }

  seal({ content, padding, nextLength }: Segment): void {
    const plain = plainRoom.subarray(0, SEGMENT_HEAD_BYTES + content.length + padding);
    const view = new DataView(plain.buffer);
    view.setUint32(1, nextLength);
    view.setUint32(5, content.length);
    plain.set(content, SEGMENT_HEAD_BYTES);
    plain.fill(0, SEGMENT_HEAD_BYTES + content.length);
    const length = plain.length + TAG_BYTES;
    if (this.#number === 0) this.#sealHeader(length);
    seal(this.#context, this.#binding, this.#number++, plain, this.#place(length));
    plain.fill(0, SEGMENT_HEAD_BYTES, SEGMENT_HEAD_BYTES + content.length);
  }

  #sealHeader(firstLength: number): void {
    this.#place(this.#binding.header.length).set(this.#binding.header);
    const first = new Uint8Array(4);
    new DataView(first.buffer).setUint32(0, firstLength);
    seal(this.#context, this.#binding, HEADER_SEGMENT, first, this.#place(first.length + TAG_BYTES));
  }
}

/** Throws CryptoError `corrupt`. */
export function openObject(context: SealContext, bytes: Uint8Array): Uint8Array {
  const { binding, firstLength } = openHeader(context, bytes);
  const pieces: Uint8Array[] = [];
  let at = HEADER_BYTES;
  let length = firstLength;
  for (let number = 0; length > 0; number++) {
    const segment = openSegment(context, binding, number, bytes.subarray(at, at + length), length);
    pieces.push(segment.content);
    at += length;
    length = segment.nextLength;
  }
  if (at !== bytes.length) throw new CryptoError("corrupt", "bytes after the last segment");
  return pieces.length === 1 ? pieces[0]! : concat(...pieces);
}

/** Reads bytes `start` up to, not including, `end` of the sealed object; may return fewer only at its end. They may be
 * put into `room`, which they fit into, or lie elsewhere. */
export type ReadSpan = (start: number, end: number, room?: Uint8Array) => Promise<Uint8Array>;

/** Segments that one read asks the store for. */
const READ_AHEAD_SEGMENTS = 8;
const rooms = new Rooms(READ_AHEAD_SEGMENTS * FULL_SEGMENT_BYTES, 8);

/**
 * The content's octets from `start` up to, not including, `end` (cut off at its end), without reading the whole: all
 * segments but the last few are full, so the position of each is known, and each proves its own number.
 * Throws CryptoError `corrupt`, possibly after good bytes were yielded.
 */
export async function* openRange(
  context: SealContext,
  read: ReadSpan,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  if (start >= end) return;
  const range = new Range(context, await read(0, HEADER_BYTES), start, end);
  for await (const bytes of readSegments(read, range.first, range.last)) {
    yield* range.open(bytes);
    if (range.isOpen) return;
  }
  throw endsEarly();
}

/** The same of a sealed object that is whole in memory. */
export function openSpan(context: SealContext, sealed: Uint8Array, start: number, end: number): Uint8Array {
  if (start >= end) return new Uint8Array(0);
  const range = new Range(context, sealed.subarray(0, HEADER_BYTES), start, end);
  const pieces = [...range.open(sealed.subarray(HEADER_BYTES + range.first * FULL_SEGMENT_BYTES))];
  if (!range.isOpen) throw endsEarly();
  return pieces.length === 1 ? pieces[0]! : concat(...pieces);
}

function endsEarly(): CryptoError {
  return new CryptoError("corrupt", "sealed object ends early");
}

/** Opens the segments that hold a range of the content, one after the other. */
class Range {
  readonly first: number;
  readonly last: number;
  /** True once all of the range, or all that there is of it, was opened. */
  isOpen = false;
  readonly #context: SealContext;
  readonly #binding: Binding;
  readonly #start: number;
  readonly #end: number;
  #number: number;
  /** Sealed bytes of the next segment; 0 where none before it has told. */
  #length: number;

  constructor(context: SealContext, header: Uint8Array, start: number, end: number) {
    const { binding, firstLength } = openHeader(context, header);
    this.#context = context;
    this.#binding = binding;
    this.#start = start;
    this.#end = end;
    this.first = Math.floor(start / SEGMENT_CONTENT_BYTES);
    this.last = Math.floor((end - 1) / SEGMENT_CONTENT_BYTES);
    this.#number = this.first;
    this.#length = this.first === 0 ? firstLength : 0;
  }

  /** The range's octets in these bytes, which begin with the next segment. */
  *open(bytes: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length && !this.isOpen; this.#number++) {
      const sealed = bytes.subarray(at, at + (this.#length || FULL_SEGMENT_BYTES));
      const segment = openSegment(this.#context, this.#binding, this.#number, sealed, this.#length || sealed.length);
      at += sealed.length;
      const base = this.#number * SEGMENT_CONTENT_BYTES;
      const piece = segment.content.subarray(Math.max(0, this.#start - base), Math.max(0, this.#end - base));
      this.#length = segment.nextLength;
      const isLast = this.#length === 0 || segment.content.length < SEGMENT_CONTENT_BYTES;
      this.isOpen = isLast || this.#number === this.last;
      if (piece.length > 0) yield piece;
    }
  }
}

/** The sealed segments from `first` to `last`, some at a time, as far as there are any; the next are read while these
 * are opened and sent. A piece stands until the next is asked for. */
async function* readSegments(read: ReadSpan, first: number, last: number): AsyncGenerator<Uint8Array> {
  const begin = (number: number) => {
    const count = Math.min(READ_AHEAD_SEGMENTS, last - number + 1);
    if (count <= 0) return undefined;
    const from = HEADER_BYTES + number * FULL_SEGMENT_BYTES;
    const room = count === 1 ? undefined : rooms.take();
    const bytes = read(from, from + count * FULL_SEGMENT_BYTES, room);
    const giveBack = (): void => {
      if (room) rooms.giveBack(room);
    };
    return { bytes, giveBack };
  };
  let now = begin(first);
  let ahead: typeof now;
  try {
    for (let next = first + READ_AHEAD_SEGMENTS; now !== undefined; next += READ_AHEAD_SEGMENTS) {
      const bytes = await now.bytes;
      if (bytes.length === 0) return;
      ahead = begin(next);
      yield bytes;
      now.giveBack();
      now = ahead;
      ahead = undefined;
    }
  } finally {
    // A reader that stops in between never asks how a read ended, which may still fill its room.
    for (const reading of [now, ahead]) reading?.bytes.then(reading.giveBack, reading.giveBack);
  }
}

interface Binding {
  readonly header: Uint8Array;
  readonly key: Uint8Array;
  readonly associated: Uint8Array;
}

/** The box in the header is sealed under this number, which no segment has. */
const HEADER_SEGMENT = 0xffffffff;

function bind(context: SealContext, salt: Uint8Array, keyVersion: number): Binding {
  const id = utf8(context.id);
  const header = new Uint8Array(4 + SALT_BYTES);
  header[0] = FORMAT;
  header[1] = KINDS[context.kind];
  new DataView(header.buffer).setUint16(2, keyVersion);
  header.set(salt, 4);
  return {
    header,
    key: keyedHash(context.key, salt, header.subarray(0, 2), context.account, id),
    associated: concat(header.subarray(0, 4), context.account, id),
  };
}

function seal(context: SealContext, binding: Binding, number: number, plain: Uint8Array, out: Uint8Array): void {
  context.platform.aeadSeal(binding.key, nonce(number), binding.associated, plain, out);
}

function nonce(number: number): Uint8Array {
  const bytes = new Uint8Array(NONCE_BYTES);
  if (number === HEADER_SEGMENT) return bytes.fill(0xff);
  new DataView(bytes.buffer).setUint32(NONCE_BYTES - 4, number);
  return bytes;
}

function openHeader(
  context: SealContext,
  bytes: Uint8Array,
): { readonly binding: Binding; readonly firstLength: number } {
  if (bytes.length < HEADER_BYTES) throw new CryptoError("corrupt", "sealed object is too short");
  if (bytes[0] !== FORMAT) throw new CryptoError("corrupt", "sealed object of an unknown format");
  if (bytes[1] !== KINDS[context.kind]) throw new CryptoError("corrupt", "sealed object of another kind");
  const version = new DataView(bytes.buffer, bytes.byteOffset).getUint16(2);
  const binding = bind(context, bytes.subarray(4, 4 + SALT_BYTES), version);
  const box = bytes.subarray(4 + SALT_BYTES, HEADER_BYTES);
  const first = context.platform.aeadOpen(binding.key, nonce(HEADER_SEGMENT), binding.associated, box);
  return { binding, firstLength: new DataView(first.buffer, first.byteOffset).getUint32(0) };
}

/** The key version that an object was sealed under; no proof that it was. Throws CryptoError `corrupt`. */
export function keyVersionOf(bytes: Uint8Array): number {
  if (bytes.length < HEADER_BYTES) throw new CryptoError("corrupt", "sealed object is too short");
  return new DataView(bytes.buffer, bytes.byteOffset).getUint16(2);
}

function openSegment(context: SealContext, binding: Binding, number: number, sealed: Uint8Array, length: number) {
  if (sealed.length !== length || length < SEGMENT_OVERHEAD) throw new CryptoError("corrupt", "segment is cut off");
  const plain = context.platform.aeadOpen(binding.key, nonce(number), binding.associated, sealed);
  const view = new DataView(plain.buffer, plain.byteOffset, plain.length);
  const contentLength = view.getUint32(5);
  if (view.getUint8(0) !== 0) throw new CryptoError("corrupt", "segment of an unknown form");
  if (SEGMENT_HEAD_BYTES + contentLength > plain.length) throw new CryptoError("corrupt", "segment lengths disagree");
  return {
    content: plain.subarray(SEGMENT_HEAD_BYTES, SEGMENT_HEAD_BYTES + contentLength),
    nextLength: view.getUint32(1),
  };
}
