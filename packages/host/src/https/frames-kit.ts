/** Frames of HTTP/2 as a hostile client writes them: RFC 9113 §4.1. */
export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, continuation: 9 } as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The connection's beginning: RFC 9113 §3.4. */
export const PREFACE: Buffer = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(FRAME.settings, 0, 0),
]);

/** GET or POST of `/`, with fields of HPACK behind: RFC 7541 §6. */
export function requestHeaders(method: "GET" | "POST", more: Uint8Array = new Uint8Array()): Buffer {
  const own = [method === "GET" ? 0x82 : 0x83, 0x87, 0x84, 0x41, 1, 0x78];
  return Buffer.concat([Buffer.from(own), more]);
}

/** A field that is not to be indexed: RFC 7541 §6.2.2. */
export function literalField(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), lengthOf(name), Buffer.from(name), lengthOf(value), Buffer.from(value)]);
}

/** RFC 7541 §5.1, with a prefix of seven bits. */
function lengthOf(text: string): Buffer {
  if (text.length < 127) return Buffer.from([text.length]);
  const bytes = [127];
  let rest = text.length - 127;
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

/** The frames in what was received, as one character a byte; a last one that is not whole is left out. */
export function framesIn(
  received: string,
): { readonly type: number; readonly stream: number; readonly payload: Buffer }[] {
  const bytes = Buffer.from(received, "latin1");
  const frames = [];
  for (let at = 0; at + 9 <= bytes.length; ) {
    const length = bytes.readUIntBE(at, 3);
    if (at + 9 + length > bytes.length) break;
    const payload = bytes.subarray(at + 9, at + 9 + length);
    frames.push({ type: bytes[at + 3]!, stream: bytes.readUInt32BE(at + 5), payload });
    at += 9 + length;
  }
  return frames;
}
