/** Key material. It prints as `[secret]` wherever it may end up, and is zeroed when it is disposed of. */
export class Secret implements Disposable {
  /** A private field: what prints objects (Node's inspect, JSON) can't see it. */
  #bytes: Uint8Array | undefined;

  /** Takes the bytes over: the caller keeps no copy. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
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
