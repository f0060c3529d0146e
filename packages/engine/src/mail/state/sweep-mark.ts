import { after, NOWHERE, type Position } from "../../bay/position.ts";

/**
 * How far an account was swept: what was removed by the entry `covers` is left in no page and pack. The fold keeps it, so that
 * whichever process looks after the account knows what is due.
 */
export class SweepMark {
  /** The entry up to which the last sweeping checkpoint went; the entry of the first removal since, at the earliest; and that
   * of the last. */
  covers: Position = NOWHERE;
  first: Position = NOWHERE;
  last: Position = NOWHERE;

  /** Something was removed by the log's entry `entry`. */
  noteRemoval(entry: Position): void {
    if (this.first <= this.covers) this.first = entry;
    this.last = entry;
  }

  /** A checkpoint of entries up to `covers` has swept. */
  noteSweep(covers: Position): void {
    this.covers = covers;
    this.first = this.last > covers ? after(covers) : NOWHERE;
  }

  /** The entry of the first removal, or one before it, that is still to be swept; undefined if nothing is. */
  get due(): Position | undefined {
    return this.first > this.covers ? this.first : undefined;
  }
}
