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

/**
 * The same for what is shown and searched: within quoted-printable, CR CR LF ends a line there as it does around it. RFC 2045 §6.7
 * knows CRLF alone, and how many octets a part comes to is kept with each mail: where octets are promised, they are decoded by the letter.
 */
export function createTextDecoder(encoding: TransferEncoding): TransferDecoder {
  const decoder = createTransferDecoder(encoding);
  if (!(decoder instanceof QuotedPrintableDecoder)) return decoder;
  const ends = new OneLineEnds();
  return {
    push: (bytes) => decoder.push(ends.push(bytes)),
    end: () => joined(decoder.push(ends.end()), decoder.end()),
  };
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  // A decoder's piece is good until the next one.
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/** Makes CRLF of CR CR LF, in whatever pieces it comes. */
class OneLineEnds {
  /** CRs at the end of the last piece, two at most. */
  #held = 0;

  push(bytes: Uint8Array): Uint8Array {
    const out = new Uint8Array(this.#held + bytes.length);
    let to = 0;
    for (const byte of bytes) {
      if (byte === CR) {
        if (this.#held < 2) this.#held++;
        else out[to++] = CR;
        continue;
      }
      if (byte === LF && this.#held === 2) this.#held = 1;
      for (; this.#held > 0; this.#held--) out[to++] = CR;
      out[to++] = byte;
    }
    return out.subarray(0, to);
  }

  end(): Uint8Array {
    return new Uint8Array(this.#held).fill(CR);
  }
}

/** `isText`: as {@link createTextDecoder}. */
export function decodeTransfer(bytes: Uint8Array, encoding: TransferEncoding, isText = false): Uint8Array {
  const decoder = isText ? createTextDecoder(encoding) : createTransferDecoder(encoding);
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

/** Of the alphabet of RFC 4648 §4 or §5. */
export function isBase64Character(byte: number): boolean {
  return VALUES[byte]! >= 0;
}

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

/** Octets of white space that are held until it is known whether their line ends: RFC 2045 §6.7 allows lines of 76. */
const HELD_SPACE_BYTES_MAX = 1000;

/** RFC 2045 §6.7. A possible beginning of an escape, or white space at a line's end, waits for more; each octet is looked at
 * once, in whatever pieces they come. A lone `=` stands for itself. */
export class QuotedPrintableDecoder implements TransferDecoder {
  #state: "text" | "space" | "escape" | "hex" | "soft" = "text";
  /** White space, and a CR behind it, whose line may end. */
  #space: Uint8Array = new Uint8Array(0);
  #spaces = 0;
  #cr = false;
  /** The first digit of an escape, as it is written. */
  #digit = 0;
  #out: Uint8Array = new Uint8Array(0);
  #to = 0;

  push(bytes: Uint8Array): Uint8Array {
    // Room for the octets that are held, and for the most that the piece can become.
    this.#out = new Uint8Array(this.#spaces + 3 + bytes.length);
    this.#to = 0;
    for (let at = 0; at < bytes.length; at++) {
      if (this.#state === "text") at = this.#copyText(bytes, at);
      if (at < bytes.length) this.#take(bytes[at]!);
    }
    return this.#out.subarray(0, this.#to);
  }

  end(): Uint8Array {
    this.#out = new Uint8Array(this.#spaces + 3);
    this.#to = 0;
    if (this.#state === "hex") this.#putEscape();
    else if (this.#cr) {
      if (this.#state === "soft") this.#out[this.#to++] = EQUALS;
      this.#putHeld();
    }
    return this.#out.subarray(0, this.#to);
  }

  /** One that goes on from here by itself. */
  copy(): QuotedPrintableDecoder {
    const copy = new QuotedPrintableDecoder();
    copy.#state = this.#state;
    if (this.#spaces > 0) copy.#space = this.#space.slice();
    copy.#spaces = this.#spaces;
    copy.#cr = this.#cr;
    copy.#digit = this.#digit;
    return copy;
  }

  /** Nearly all octets stand for themselves, spaces between words too. Returns where that ends. */
  #copyText(bytes: Uint8Array, at: number): number {
    const out = this.#out;
    let to = this.#to;
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === EQUALS || (byte <= 0x20 && isSpace(byte) && !(bytes[at + 1]! > 0x20))) break;
      out[to++] = byte;
    }
    this.#to = to;
    return at;
  }

  #take(byte: number): void {
    switch (this.#state) {
      case "text":
        this.#takeText(byte);
        break;
      case "space":
        this.#takeSpace(byte);
        break;
      case "escape":
        if (hexDigit(byte) >= 0) {
          this.#digit = byte;
          this.#state = "hex";
        } else {
          this.#state = "soft";
          this.#takeSoft(byte);
        }
        break;
      case "hex":
        if (hexDigit(byte) >= 0) {
          this.#out[this.#to++] = hexDigit(this.#digit) * 16 + hexDigit(byte);
          this.#state = "text";
        } else {
          this.#putEscape();
          this.#takeText(byte);
        }
        break;
      case "soft":
        this.#takeSoft(byte);
        break;
    }
  }

  #takeText(byte: number): void {
    this.#state = "text";
    if (byte === EQUALS) this.#state = "escape";
    else if (isSpace(byte)) {
      this.#state = "space";
      this.#takeSpace(byte);
    } else this.#out[this.#to++] = byte;
  }

  /** White space at a line's end goes: gateways add it. */
  #takeSpace(byte: number): void {
    if (byte === LF) {
      if (this.#cr) this.#out[this.#to++] = CR;
      this.#drop();
      this.#takeText(byte);
    } else if (byte === CR && !this.#cr) this.#cr = true;
    else if (isSpace(byte) && !this.#cr && this.#spaces < HELD_SPACE_BYTES_MAX) this.#hold(byte);
    else {
      this.#putHeld();
      this.#takeText(byte);
    }
  }

  /** Behind `=`: with a line end, and white space before it, it is nothing. */
  #takeSoft(byte: number): void {
    if (byte === LF) {
      this.#drop();
      this.#state = "text";
    } else if (byte === CR && !this.#cr) this.#cr = true;
    else if (isSpace(byte) && !this.#cr && this.#spaces < HELD_SPACE_BYTES_MAX) this.#hold(byte);
    else {
      this.#out[this.#to++] = EQUALS;
      this.#putHeld();
      this.#takeText(byte);
    }
  }

  #putEscape(): void {
    this.#out[this.#to++] = EQUALS;
    this.#out[this.#to++] = this.#digit;
  }

  #hold(byte: number): void {
    if (this.#space.length === 0) this.#space = new Uint8Array(HELD_SPACE_BYTES_MAX);
    this.#space[this.#spaces++] = byte;
  }

  #putHeld(): void {
    this.#out.set(this.#space.subarray(0, this.#spaces), this.#to);
    this.#to += this.#spaces;
    if (this.#cr) this.#out[this.#to++] = CR;
    this.#drop();
  }

  #drop(): void {
    this.#spaces = 0;
    this.#cr = false;
  }
}

const EQUALS = 0x3d;
const CR = 0x0d;
const LF = 0x0a;

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
