/** base64 in lines: RFC 2045 §6.8. Lines are parted, not ended, by CRLF. */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/** Octets that one line takes, and characters that it has. */
const LINE_BYTES = 57;
const LINE_CHARS = 76;
/** Octets that are encoded in one go: whole lines. */
export const BASE64_BLOCK_BYTES: number = LINE_BYTES * 1024;

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
const pairOf = (first: number, second: number): number =>
  isLittleEndian ? first | (second << 8) : (first << 8) | second;
const CRLF = pairOf(0x0d, 0x0a);
/** Two characters for each 12 bits, as they lie in memory. */
const PAIRS: Uint16Array = Uint16Array.from({ length: 4096 }, (_, bits) =>
  pairOf(ALPHABET.charCodeAt(bits >> 6), ALPHABET.charCodeAt(bits & 63)),
);
const PADDING = "=".charCodeAt(0);

/** Octets of what so many become. */
export function base64Length(bytes: number): number {
  const chars = 4 * Math.ceil(bytes / 3);
  return chars + 2 * Math.max(0, Math.ceil(chars / LINE_CHARS) - 1);
}

/**
 * A stream's octets in base64. Whatever pieces come, whole lines go out; two buffers take turns, so that a piece stands until
 * the one after the next is asked for.
 */
export async function* encodeBase64(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const held = new Uint8Array(BASE64_BLOCK_BYTES);
  let size = 0;
  const rooms = [roomFor(BASE64_BLOCK_BYTES), roomFor(BASE64_BLOCK_BYTES)] as const;
  let turn: 0 | 1 = 0;
  let isFirst = true;
  for await (const piece of source)
    for (let at = 0; at < piece.length; ) {
      // A full block waits until there is more: the last line has no end.
      if (size === held.length) {
        yield encodeBlock(held, rooms[turn], isFirst);
        turn = turn === 0 ? 1 : 0;
        isFirst = false;
        size = 0;
      }
      const taken = Math.min(held.length - size, piece.length - at);
      held.set(piece.subarray(at, at + taken), size);
      size += taken;
      at += taken;
    }
  if (size > 0) yield encodeBlock(held.subarray(0, size), rooms[turn], isFirst);
}

/** All of the bytes in base64. */
export function base64(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 ? bytes : encodeBlock(bytes, roomFor(bytes.length), true);
}

function roomFor(bytes: number): Uint16Array {
  return new Uint16Array(base64Length(bytes) / 2 + 1);
}

/** Lines into a room, with the line end before them unless they are the first; gives what of the room they fill. */
function encodeBlock(bytes: Uint8Array, room: Uint16Array, isFirst: boolean): Uint8Array {
  let to = 0;
  if (!isFirst) room[to++] = CRLF;
  const wholes = bytes.length - (bytes.length % 3);
  for (let at = 0; at < wholes; ) {
    const lineEnd = Math.min(at + LINE_BYTES, wholes);
    for (; at < lineEnd; at += 3) {
      const bits = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
      room[to++] = PAIRS[bits >> 12]!;
      room[to++] = PAIRS[bits & 0xfff]!;
    }
    if (at % LINE_BYTES === 0 && at < bytes.length) room[to++] = CRLF;
  }
  const rest = bytes.length - wholes;
  if (rest > 0) {
    const bits = (bytes[wholes]! << 16) | ((rest > 1 ? bytes[wholes + 1]! : 0) << 8);
    room[to++] = PAIRS[bits >> 12]!;
    const third = rest > 1 ? ALPHABET.charCodeAt((bits >> 6) & 63) : PADDING;
    room[to++] = pairOf(third, PADDING);
  }
  return new Uint8Array(room.buffer, 0, to * 2);
}
