import type { Row } from "./row.ts";

/** Octets above which a row is read as a whole by a reader that asks for it piece by piece: SQLite makes all of a row for
 * each of them. */
export const LARGE_ROW_BYTES: number = 32 * 1024;

/** The large row that was last read in pieces. Its octets are held weakly: they go when memory is wanted. */
export class LargeRow {
  #name: string | undefined;
  #facts: Omit<Row, "bytes"> | undefined;
  #bytes: WeakRef<Uint8Array> | undefined;

  /** True if a piece of the object with this name was read last. */
  is(name: string): boolean {
    return name === this.#name;
  }

  note(name: string): void {
    this.#name = name;
  }

  keep({ bytes, ...facts }: Row): void {
    this.#facts = facts;
    this.#bytes = bytes ? new WeakRef(bytes) : undefined;
  }

  /** All of it, if this is its number still. */
  find(number: number | undefined): Row | undefined {
    const bytes = this.#bytes?.deref();
    return bytes && this.#facts && this.#facts.row === number ? { ...this.#facts, bytes } : undefined;
  }
}
