/**
 * Rooms for bytes that pass through, to be used again: as garbage, which lies outside the collector's heap, they would cost
 * more than all that fills them (docs/decisions/0004-garbage.md). A room is given back when nothing reads or writes there
 * any more.
 */
export class Rooms {
  readonly #bytes: number;
  readonly #keptMax: number;
  readonly #kept: Uint8Array[] = [];

  /** Of so many bytes each; so many are kept for the next. */
  constructor(bytes: number, keptMax: number) {
    this.#bytes = bytes;
    this.#keptMax = keptMax;
  }

  take(): Uint8Array {
    return this.#kept.pop() ?? new Uint8Array(this.#bytes);
  }

  /** `used` octets of it, from its beginning, are wiped first. */
  giveBack(room: Uint8Array, used = 0): void {
    room.fill(0, 0, used);
    if (this.#kept.length < this.#keptMax) this.#kept.push(room);
  }
}
