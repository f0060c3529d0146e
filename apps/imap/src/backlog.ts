/** Octets that wait for slow readers, over all connections of a server. Above the limit the connection that has waited
 * longest without taking any is cut off. A client that reads, however slowly, is soon behind all others again. */
export class Backlog {
  readonly #bytesMax: number;
  readonly #waiting = new Map<() => void, number>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Octets that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** So many octets wait until `remove` is called with the same `cut`, which ends their connection. */
  add(bytes: number, cut: () => void): void {
    this.#bytes += bytes;
    this.#waiting.set(cut, bytes);
    for (const [longest] of this.#waiting) {
      if (this.#bytes <= this.#bytesMax) return;
      this.remove(longest);
      longest();
    }
  }

  remove(cut: () => void): void {
    this.#bytes -= this.#waiting.get(cut) ?? 0;
    this.#waiting.delete(cut);
  }
}
