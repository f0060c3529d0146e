import type { Plain, Row, Uid } from "../numbers.ts";

/**
 * The memberships of one mailbox in uid order, as row numbers. Adding appends in place; anything else makes a new list.
 * So a view that holds (list, length) holds the mailbox as it was then, and all views of one mailbox share one array.
 */
export class MessageList {
  #rows: Uint32Array;
  #length: number;

  constructor(rows: Uint32Array = new Uint32Array(0), length: number = rows.length) {
    this.#rows = rows;
    this.#length = length;
  }

  get length(): number {
    return this.#length;
  }

  /** The row at `position` (0 is the lowest uid). */
  at(position: Plain): Row {
    return this.#rows[position]! as Row;
  }

  append(row: Row): void {
    if (this.#length === this.#rows.length) {
      const rows = new Uint32Array(Math.max(8, Math.ceil(this.#length * 1.25)));
      rows.set(this.#rows);
      this.#rows = rows;
    }
    this.#rows[this.#length++] = row;
  }

  /** A list without the rows at these positions (ascending). */
  without(positions: readonly number[]): MessageList {
    const rows = new Uint32Array(this.#length - positions.length);
    let from = 0;
    let to = 0;
    for (const position of positions) {
      rows.set(this.#rows.subarray(from, position), to);
      to += position - from;
      from = position + 1;
    }
    rows.set(this.#rows.subarray(from, this.#length), to);
    return new MessageList(rows);
  }

  /** The position of the first row whose uid is at least `uid`, within the first `length`. */
  lowerBound(uid: Uid, uidOf: (row: Row) => Uid, length: number = this.#length): number {
    let low = 0;
    let high = length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (uidOf(this.#rows[middle]! as Row) < uid) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
