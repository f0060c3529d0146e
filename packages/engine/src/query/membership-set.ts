import { type ModSeq, modSeqBefore, type Row, type Uid } from "../mail/numbers.ts";
import type { MembershipName, WriterId } from "../mail/ops/names.ts";
import { comparePlaces, decodeRuns, encodeRuns, makeRuns, type RunStep, type TargetRun } from "../mail/ops/targets.ts";
import { changedRows } from "../mail/state/feed.ts";
import type { ReadMailbox, ReadState } from "../mail/state/read-state.ts";

/**
 * Memberships of one mailbox that somebody was told of, by their lasting names: ActiveSync's ServerIds. A run stands for
 * all of one writer's that were there when the set was made; a name is never given twice, so later ones are in none.
 */
export class MembershipSet {
  /** How many there were. */
  readonly size: number;
  readonly #runs: readonly TargetRun[];
  /** By writer, ascending; none touches another. */
  readonly #byWriter: ReadonlyMap<WriterId, readonly TargetRun[]>;

  private constructor(runs: readonly TargetRun[], size: number) {
    this.size = size;
    this.#runs = runs;
    this.#byWriter = Map.groupBy(runs, ({ writer }) => writer);
  }

  static readonly none: MembershipSet = new MembershipSet([], 0);

  /** The memberships of a mailbox for which `isNamed` holds. `rows`: all that were there, and those of the dead that are not
   * told of: {@link HeldChanges.rows}. */
  static of(state: ReadState, rows: readonly Row[], isNamed: (row: Row) => boolean): MembershipSet {
    let size = 0;
    const steps: RunStep[] = [];
    const add = ({ writer, sequence, index }: MembershipName, named: boolean): void => {
      steps.push({ writer, place: { sequence, index }, isNamed: named });
    };
    for (const row of rows) {
      const named = isNamed(row);
      if (named) size++;
      add(state.lastingNameOf(row), named);
      // Its own name is nobody's, also when another has taken its place.
      if (state.lastingNames.get(row)) add(state.nameOf(row), false);
    }
    return new MembershipSet(makeRuns(inOrderOfNames(steps)), size);
  }

  /** Throws RangeError on what {@link encode} does not make. */
  static decode(bytes: Uint8Array, size: number): MembershipSet {
    return new MembershipSet(decodeRuns(bytes), size);
  }

  encode(): Uint8Array {
    return encodeRuns(this.#runs);
  }

  has(name: MembershipName): boolean {
    const runs = this.#byWriter.get(name.writer);
    if (!runs) return false;
    let low = 0;
    let high = runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (comparePlaces(runs[middle]!.last, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low < runs.length && comparePlaces(runs[low]!.first, name) <= 0;
  }
}

/** Uid order nearly is that of names, writer by writer: one that took another's place comes late and bears an old name. */
function inOrderOfNames(steps: RunStep[]): RunStep[] {
  const last = new Map<WriterId, RunStep["place"]>();
  const isSorted = steps.every(({ writer, place }) => {
    const before = last.get(writer);
    last.set(writer, place);
    return before === undefined || comparePlaces(before, place) < 0;
  });
  return isSorted ? steps : steps.sort((a, b) => comparePlaces(a.place, b.place));
}

/** A holder's knowledge of a mailbox: its memberships, and their changes up to a modseq; of changes at that modseq itself, up
 * to a uid. */
export interface Held {
  readonly set: MembershipSet;
  readonly modSeq: ModSeq;
  readonly uid: Uid;
}

/** Rows of memberships, in no order but that of `changed`. */
export interface HeldChanges {
  /** Held memberships that are there no more, or carry \Deleted. */
  readonly gone: readonly Row[];
  /** Held memberships that are there and not wanted. */
  readonly unwanted: readonly Row[];
  /** Held memberships that changed since: by modseq, then uid. */
  readonly changed: readonly Row[];
  /** Wanted memberships that are not held. */
  readonly fresh: readonly Row[];
  /** All that are there, and the dead that changed since: what the next set is made of, also where others went meanwhile. */
  readonly rows: readonly Row[];
}

/**
 * Changes to be told to a holder of some of a mailbox's memberships. `isWanted` decides on memberships that are there and do
 * not carry \Deleted. Undefined where the changes can't be told any more: the holder starts again.
 */
export function heldChanges(
  state: ReadState,
  mailbox: ReadMailbox,
  { set, modSeq, uid }: Held,
  isWanted: (row: Row) => boolean,
): HeldChanges | undefined {
  if (set.size > 0 && modSeq < state.floor) return undefined;
  const { columns } = state.memberships;
  const isNews = (row: Row): boolean => {
    const stamp = columns.modSeq.get(row);
    return stamp > modSeq || (stamp === modSeq && columns.uid.get(row) > uid);
  };
  const [gone, unwanted, changed, fresh, rows]: Row[][] = [[], [], [], [], []];
  let found = 0;
  for (let position = 0; position < mailbox.messages.length; position++) {
    const row = mailbox.messages.at(position);
    rows!.push(row);
    const isHeld = set.has(state.lastingNameOf(row));
    if (isHeld) found++;
    if (state.isDeleted(row)) {
      if (isHeld) gone!.push(row);
    } else if (!isWanted(row)) {
      if (isHeld) unwanted!.push(row);
    } else if (!isHeld) fresh!.push(row);
    else if (isNews(row)) changed!.push(row);
  }
  if (set.size > 0)
    for (const row of changedRows(state, modSeqBefore(modSeq))) {
      if (columns.mailbox.get(row) !== mailbox.ordinal || state.isLive(row) || !isNews(row)) continue;
      const name = state.nameOf(row);
      // Another took its place, and its name.
      if (state.lastingNames.get(row) === undefined && state.findLasting(name) !== row) continue;
      rows!.push(row);
      if (!set.has(state.lastingNameOf(row))) continue;
      found++;
      gone!.push(row);
    }
  // Some went and nobody remembers them, or what went is back.
  if (found !== set.size) return undefined;
  changed!.sort((a, b) => columns.modSeq.get(a) - columns.modSeq.get(b) || columns.uid.get(a) - columns.uid.get(b));
  return { gone: gone!, unwanted: unwanted!, changed: changed!, fresh: fresh!, rows: rows! };
}
