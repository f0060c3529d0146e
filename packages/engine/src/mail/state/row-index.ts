/**
 * Finds a row by a key that the table's own columns hold: open addressing over row numbers, so an entry costs four
 * bytes and no key is kept twice. Rows are only ever added; a row whose key is forgotten is found no more because the
 * caller's `matches` says so.
 */
const EMPTY = 0xffffffff;

export class RowIndex<R extends number> {
  #slots: Uint32Array = new Uint32Array(16).fill(EMPTY);
  #count = 0;
  readonly #hashOf: (row: R) => number;

  /** `hashOf` gives the 32-bit hash of a row's key; it must not change while the row is in the index. */
  constructor(hashOf: (row: R) => number) {
    this.#hashOf = hashOf;
  }

  /** Makes room for so many rows at once: growing step by step places each again and again. */
  reserve(rows: number): void {
    let slots = this.#slots.length;
    while (isCrowded(rows, slots)) slots *= 2;
    if (slots > this.#slots.length) this.#resize(slots);
  }

  /** `hash` is that of its key, where it is known. */
  add(row: R, hash: number = this.#hashOf(row)): void {
    if (isCrowded(this.#count + 1, this.#slots.length)) this.#resize(this.#slots.length * 2);
    this.#place(row, hash);
    this.#count++;
  }

  /** The first row of this hash that `matches`. */
  find(hash: number, matches: (row: R) => boolean): R | undefined {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot]! as R;
      if (row === EMPTY) return undefined;
      if (matches(row)) return row;
    }
  }

  #place(row: R, hash: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== EMPTY) slot = (slot + 1) & mask;
    this.#slots[slot] = row;
  }

  #resize(slots: number): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(slots).fill(EMPTY);
    for (const row of old) if (row !== EMPTY) this.#place(row as R, this.#hashOf(row as R));
  }
}

/** Four fifths are full: a row is found in some three looks, and a hundred thousand rows take half a megabyte. */
function isCrowded(rows: number, slots: number): boolean {
  return rows * 5 > slots * 4;
}

/** Mixes three 32-bit numbers into one hash. */
export function hashNumbers(a: number, b: number, c: number): number {
  let hash = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15) ^ b, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 13) ^ c, 0x27d4eb2f);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The first 32 bits of the id that begins at `at`, which is random: no mixing needed. */
export function hashId(id: Uint8Array, at = 0): number {
  return ((id[at]! << 24) | (id[at + 1]! << 16) | (id[at + 2]! << 8) | id[at + 3]!) >>> 0;
}
