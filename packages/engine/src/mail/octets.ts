/**
 * Numbers of formats that count octets: seven bits in each, the lowest first; all but the last have the eighth bit. Up to
 * Number.MAX_SAFE_INTEGER, which takes eight.
 */
export function pushVarint(out: number[], value: number): void {
  while (value >= 0x80) {
    out.push((value % 0x80) | 0x80);
    value = Math.floor(value / 0x80);
  }
  out.push(value);
}

/** The same into `out`, from `at` on. Returns where it ends. */
export function writeVarint(value: number, out: Uint8Array, at: number): number {
  while (value >= 0x80) {
    out[at++] = (value % 0x80) | 0x80;
    value = Math.floor(value / 0x80);
  }
  out[at++] = value;
  return at;
}

/** Difference of either sign as a number that is none the larger for it. */
export function zigzag(difference: number): number {
  return difference >= 0 ? difference * 2 : -difference * 2 - 1;
}

export function fromZigzag(number: number): number {
  return number % 2 === 0 ? number / 2 : -(number + 1) / 2;
}

/** Reads octets from the first to the last. Throws RangeError where they end early. */
export class OctetReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  octet(): number {
    if (this.isAtEnd) throw new RangeError("octets are cut off");
    return this.#bytes[this.#at++]!;
  }

  /** A copy of the next so many. */
  octets(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) throw new RangeError("octets are cut off");
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  /** Throws RangeError, too, for a number above `max`. */
  varint(max: number = Number.MAX_SAFE_INTEGER): number {
    let byte = this.octet();
    let value = byte & 0x7f;
    for (let factor = 0x80; byte >= 0x80; factor *= 0x80) {
      byte = this.octet();
      value += (byte & 0x7f) * factor;
      if (factor > 2 ** 49) throw new RangeError("number is too large");
      // Each number has one form.
      if (byte === 0) throw new RangeError("number is longer than it need be");
    }
    if (value > max) throw new RangeError("number is too large");
    return value;
  }

  /** Throws RangeError if there are more. */
  end(): void {
    if (!this.isAtEnd) throw new RangeError("octets too many");
  }
}
