import { type ModSeq, NO_MODSEQ, type Row } from "../numbers.ts";

/** Stamped rows that an account remembers in order: what a follower that asks often catches up by. */
export const RECENT_ROWS_MAX = 16_384;

/** The memberships that were added, changed or removed lately, so that nobody who was here a moment ago walks over all of
 * them. Not stored: after a load nothing is known of what came before. */
export class RecentRows {
  #rows: Row[] = [];
  #modSeqs: ModSeq[] = [];
  /** Rows stamped at or below this modseq may be missing here. */
  #floor: ModSeq = NO_MODSEQ;

  add(row: Row, modSeq: ModSeq): void {
    this.#rows.push(row);
    this.#modSeqs.push(modSeq);
    if (this.#rows.length <= RECENT_ROWS_MAX) return;
    const cut = this.#rows.length >> 1;
    this.#floor = this.#modSeqs[cut - 1]!;
    this.#rows = this.#rows.slice(cut);
    this.#modSeqs = this.#modSeqs.slice(cut);
  }

  /** Rows stamped after `modSeq`; undefined if that is longer ago than is remembered. */
  since(modSeq: ModSeq): ReadonlySet<Row> | undefined {
    if (modSeq < this.#floor) return undefined;
    const rows = new Set<Row>();
    for (let i = this.#rows.length - 1; i >= 0 && this.#modSeqs[i]! > modSeq; i--) rows.add(this.#rows[i]!);
    return rows;
  }

  /** Nothing at or below `modSeq` is known. */
  forget(modSeq: ModSeq): void {
    this.#rows = [];
    this.#modSeqs = [];
    this.#floor = modSeq;
  }
}
