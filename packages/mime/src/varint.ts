/** Numbers in few bytes: low 7 bits first. */
export function pushVarint(out: number[], value: number): void {
  while (value >= 128) {
    out.push((value % 128) + 128);
    value = Math.floor(value / 128);
  }
  out.push(value);
}

/** Reads bytes and varints. Throws RangeError where there is none. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError("numbers can't be read");
    return byte;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      if (scale > 2 ** 42) throw new RangeError("numbers can't be read");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  /** Throws RangeError if anything is left. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new RangeError("numbers can't be read");
  }
}
