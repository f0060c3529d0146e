/**
 * Key material. It prints as `[secret]` wherever it may end up, and is zeroed when it is disposed of. It lies outside the
 * collector's heap: there the collector moves small arrays, and what they held stays behind where nobody can wipe it.
 */
export class Secret implements Disposable {
  /** A private field: what prints objects (Node's inspect, JSON) can't see it. */
  #bytes: Uint8Array | undefined;

  /** Takes the bytes over: `bytes` is zeroed. */
  constructor(bytes: Uint8Array) {
    // An array upon a buffer of its own is outside the heap, however small it is.
    this.#bytes = new Uint8Array(new ArrayBuffer(bytes.length));
    this.#bytes.set(bytes);
    bytes.fill(0);
  }

  /** The bytes themselves; throws after `dispose`. */
  get bytes(): Uint8Array {
    if (!this.#bytes) throw new Error("secret was wiped");
    return this.#bytes;
  }

  [Symbol.dispose](): void {
    this.#bytes?.fill(0);
    this.#bytes = undefined;
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }
}
