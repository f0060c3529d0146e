/**
 * A message's own header block with its empty line, as it travels in the log entry and lives in header pages: one frame
 * a message, so that nothing from two messages is ever compressed together.
 *
 *     frame   0 ‖ the block as it is
 *
 * Other first bytes are for compressed forms.
 */
const PLAIN = 0;

/** Octets of a header block that are kept; FETCH of a longer one opens the body. */
export const HEADER_BYTES_MAX: number = 64 * 1024;

export function encodeHeader(block: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + block.length);
  frame[0] = PLAIN;
  frame.set(block, 1);
  return frame;
}

/** The header block: a view of the frame's bytes. Throws RangeError on anything that {@link encodeHeader} does not make. */
export function decodeHeader(frame: Uint8Array): Uint8Array {
  if (frame[0] !== PLAIN) throw new RangeError("header of an unknown format");
  return frame.subarray(1);
}
