import type { Column } from "./columns.ts";

/** Sums of the emails that some live membership holds, each counted once. */
export class HeldEmails {
  /** Octets of all of them, and how many they are. */
  bytes = 0;
  count = 0;
  readonly #columns: { readonly held: Column; readonly size: Column };

  constructor(columns: { readonly held: Column; readonly size: Column }) {
    this.#columns = columns;
  }

  /** After a load: whether an email is held is in its column. */
  index(row: number): void {
    if (this.#columns.held.get(row) > 0) this.#add(row, 1);
  }

  /** One membership more, or one less, holds an email. */
  hold(row: number, by: 1 | -1): void {
    const { held } = this.#columns;
    const before = held.get(row);
    held.set(row, before + by);
    if (Math.min(before, before + by) === 0) this.#add(row, by);
  }

  #add(row: number, by: 1 | -1): void {
    this.bytes += by * this.#columns.size.get(row);
    this.count += by;
  }
}
