/** Content transfer encodings: RFC 2045 §6. Tolerant: what can't be is passed over, nothing throws. */
export type TransferEncoding = "7bit" | "8bit" | "binary" | "base64" | "quoted-printable" | string;

/** Turns pieces of encoded content into content. */
export interface TransferDecoder {
  push(bytes: Uint8Array): Uint8Array;
  end(): Uint8Array;
}

export function createTransferDecoder(encoding: TransferEncoding): TransferDecoder {
  switch (encoding.trim().toLowerCase()) {
    case "base64":
      return new Base64Decoder();
    case "quoted-printable":
      return new QuotedPrintableDecoder();
    default:
      return { push: (bytes) => bytes, end: () => new Uint8Array(0) };
  }
}

export function decodeTransfer(bytes: Uint8Array, encoding: TransferEncoding): Uint8Array {
  const decoder = createTransferDecoder(encoding);
  const content = decoder.push(bytes);
  const rest = decoder.end();
  if (rest.length === 0) return content;
  const out = new Uint8Array(content.length + rest.length);
  out.set(content);
  out.set(rest, content.length);
  return out;
}

const VALUES = new Int8Array(256).fill(-1);
for (const [value, char] of [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].entries())
  VALUES[char.charCodeAt(0)] = value;
VALUES["-".charCodeAt(0)] = 62;
VALUES["_".charCodeAt(0)] = 63;

class Base64Decoder implements TransferDecoder {
  #bits = 0;
  #count = 0;

  push(bytes: Uint8Array): Uint8Array {
    const out = new Uint8Array(Math.ceil((bytes.length * 3) / 4) + 3);
    let at = 0;
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!;
      const value = VALUES[byte]!;
      if (value < 0) {
        // "=" ends a quantum; base64 may begin anew behind it.
        if (byte === 0x3d) this.#count = 0;
        continue;
      }
      this.#bits = ((this.#bits << 6) | value) & 0xffffff;
      this.#count += 6;
      if (this.#count >= 8) {
        this.#count -= 8;
        out[at++] = this.#bits >> this.#count;
      }
    }
    return out.subarray(0, at);
  }

  end(): Uint8Array {
    return new Uint8Array(0);
  }
}

class QuotedPrintableDecoder implements TransferDecoder {
  #held: Uint8Array = new Uint8Array(0);

  push(bytes: Uint8Array): Uint8Array {
    return this.#decode(bytes, false);
  }

  end(): Uint8Array {
    return this.#decode(new Uint8Array(0), true);
  }

  /** What may be the beginning of an escape or of white space at a line's end waits for more. */
  #decode(more: Uint8Array, last: boolean): Uint8Array {
    const bytes = new Uint8Array(this.#held.length + more.length);
    bytes.set(this.#held);
    bytes.set(more, this.#held.length);
    const out = new Uint8Array(bytes.length);
    let to = 0;
    let at = 0;
    while (at < bytes.length) {
      const byte = bytes[at]!;
      if (byte === 0x3d) {
        const read = readEscape(bytes, at, last);
        if (!read) break;
        if (read.value >= 0) out[to++] = read.value;
        at = read.next;
      } else if (byte === 0x20 || byte === 0x09) {
        let end = at;
        while (bytes[end] === 0x20 || bytes[end] === 0x09) end++;
        if (end === bytes.length && !last && end - at < 1000) break;
        const atLineEnd =
          end === bytes.length || bytes[end] === 0x0a || (bytes[end] === 0x0d && bytes[end + 1] === 0x0a);
        if (atLineEnd) at = end;
        else while (at < end) out[to++] = bytes[at++]!;
      } else {
        out[to++] = byte;
        at++;
      }
    }
    this.#held = bytes.slice(at);
    return out.subarray(0, to);
  }
}

/** `=XX`, or `=` at a line's end (nothing); undefined while that is open. A lone `=` stands for itself. */
function readEscape(bytes: Uint8Array, at: number, last: boolean): { value: number; next: number } | undefined {
  const high = hexDigit(bytes[at + 1]);
  const low = hexDigit(bytes[at + 2]);
  if (high >= 0 && low >= 0) return { value: high * 16 + low, next: at + 3 };
  let end = at + 1;
  while ((bytes[end] === 0x20 || bytes[end] === 0x09) && end - at < 1000) end++;
  if (bytes[end] === 0x0a) return { value: -1, next: end + 1 };
  if (bytes[end] === 0x0d && bytes[end + 1] === 0x0a) return { value: -1, next: end + 2 };
  if (!last && end + 2 > bytes.length) return undefined;
  return end >= bytes.length ? { value: -1, next: end } : { value: 0x3d, next: at + 1 };
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
