import { type ModSeq, type Uid, uidAfter, uidBefore } from "../numbers.ts";

/** Burnt ranges that a mailbox remembers. */
const BURNT_MAX = 65_536;

/** Uids from `first` to `last` that are gone, or never were, and the modseq at which that came about. */
export interface UidRange {
  readonly first: Uid;
  readonly last: Uid;
  readonly modSeq: ModSeq;
}

/** Uids of one mailbox that blocks left unused (docs/rules.md §1), in order of modseq: to a client they vanished. */
export class BurntUids {
  readonly #max: number;
  #ranges: readonly UidRange[] = [];

  constructor(max: number = BURNT_MAX) {
    this.#max = max;
  }

  get ranges(): readonly UidRange[] {
    return this.#ranges;
  }

  /** Of too many the oldest are forgotten: no message had them. */
  add(range: UidRange): void {
    this.#ranges = [...this.#ranges, range].slice(-this.#max);
  }

  /** Moves the uids from `base` on up: the block that they belong to was numbered anew. A range may lie on both sides. */
  shift(base: Uid, by: number): void {
    this.#ranges = this.#ranges.flatMap(({ first, last, modSeq }) => {
      if (last < base) return [{ first, last, modSeq }];
      if (first >= base) return [{ first: uidAfter(first, by), last: uidAfter(last, by), modSeq }];
      return [
        { first, last: uidBefore(base), modSeq },
        { first: uidAfter(base, by), last: uidAfter(last, by), modSeq },
      ];
    });
  }
}
