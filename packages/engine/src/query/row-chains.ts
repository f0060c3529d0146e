/** Rows that belong to others, as chains: each has the one that was added before it. Typed arrays, 4 bytes a row and 4 an
 * owner. */
export class RowChains<O extends number, R extends number> {
  /** Rows are kept one higher: 0 ends a chain. */
  #last: Uint32Array = new Uint32Array(64);
  #before: Uint32Array = new Uint32Array(64);

  push(owner: O, row: R): void {
    this.#last = withRoom(this.#last, owner);
    this.#before = withRoom(this.#before, row);
    this.#before[row] = this.#last[owner]!;
    this.#last[owner] = row + 1;
  }

  /** The last row of `owner`, and the one that was added before a row of it; -1 if there is none. For who walks over very
   * many: {@link of}, without an object for each. */
  last(owner: O): R {
    return ((this.#last[owner] ?? 0) - 1) as R;
  }

  before(row: R): R {
    return (this.#before[row]! - 1) as R;
  }

  /** The rows of `owner`, the last first. */
  *of(owner: O): Generator<R> {
    for (let row = this.#last[owner] ?? 0; row > 0; row = this.#before[row - 1]!) yield (row - 1) as R;
  }
}

/** The same numbers, with room for one at `at`. */
export function withRoom(rows: Uint32Array, at: number): Uint32Array {
  if (at < rows.length) return rows;
  const more = new Uint32Array(Math.ceil((at + 1) * 1.1) + 64);
  more.set(rows);
  return more;
}
