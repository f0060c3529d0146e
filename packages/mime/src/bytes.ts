/** Bytes that are collected up to a limit; what comes after it is left out. */
export class Bytes {
  readonly #max: number;
  #bytes: Uint8Array = new Uint8Array(256);
  #length = 0;
  /** Octets that came, kept or not. */
  #offered = 0;

  constructor(max: number) {
    this.#max = max;
  }

  add(from: Uint8Array, start: number, end: number): void {
    this.#offered += end - start;
    const room = this.#max - this.#length;
    const count = Math.min(end - start, room);
    if (count <= 0) return;
    if (this.#length + count > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes.fill(0);
      this.#bytes = grown;
    }
    this.#bytes.set(from.subarray(start, start + count), this.#length);
    this.#length += count;
  }

  /** Takes the last octets back that came, whether they were kept or not. */
  drop(count: number): void {
    this.#offered = Math.max(0, this.#offered - count);
    this.#length = Math.min(this.#length, this.#offered);
  }

  /** The kept bytes, as a copy of their own. The collection is empty after that. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    this.#offered = 0;
    return bytes;
  }

  /** Nothing of what came stays. */
  wipe(): void {
    this.#bytes.fill(0);
    this.#length = 0;
    this.#offered = 0;
  }
}
