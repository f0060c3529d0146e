import type { EmailRow } from "../numbers.ts";
import type { Chunk, Column } from "./columns.ts";

/** Sums of the emails that some live membership holds, each counted once. */
export class HeldEmails {
  /** Octets of all of them, and how many they are. */
  bytes = 0;
  count = 0;
  readonly #columns: { readonly held: Column<number, EmailRow>; readonly size: Column<number, EmailRow> };

  constructor(columns: { readonly held: Column<number, EmailRow>; readonly size: Column<number, EmailRow> }) {
    this.#columns = columns;
  }

  /** After a load: whether an email is held is in its column. */
  addChunk(held: Chunk, size: Chunk, rows: number): void {
    for (let at = 0; at < rows; at++) {
      if (held[at]! === 0) continue;
      this.bytes += size[at]!;
      this.count++;
    }
  }

  /** One membership more, or one less, holds an email. */
  hold(row: EmailRow, by: 1 | -1): void {
    const { held } = this.#columns;
    const before = held.get(row);
    held.set(row, before + by);
    if (Math.min(before, before + by) === 0) this.#add(row, by);
  }

  #add(row: EmailRow, by: 1 | -1): void {
    this.bytes += by * this.#columns.size.get(row);
    this.count += by;
  }
}
