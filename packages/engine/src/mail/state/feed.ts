import {
  FIRST_ROW,
  FIRST_UID,
  higherOf,
  lowerOf,
  type ModSeq,
  type Row,
  type Uid,
  uidAfter,
  uidBefore,
} from "../numbers.ts";
import type { UidRange } from "./burnt-uids.ts";
import type { ReadMailbox, ReadState } from "./read-state.ts";

/**
 * Changes since a modseq (docs/rules.md §5), read off the columns: each membership, the dead ones too, bears the modseq of
 * its last change. Nothing else is kept for it but the floor, below which removals were left out.
 */

/** Memberships that were added, changed or removed after `modSeq`, in no order. */
export function changedRows(state: ReadState, modSeq: ModSeq): Iterable<Row> {
  return state.recent.since(modSeq) ?? walkChanged(state, modSeq);
}

function* walkChanged(state: ReadState, modSeq: ModSeq): Generator<Row> {
  const column = state.memberships.columns.modSeq;
  for (let row = FIRST_ROW; row < state.memberships.rows; row++) if (column.get(row) > modSeq) yield row;
}

/** Changes of one mailbox after a modseq, as uids, ascending: RFC 7162 §3.2.5. */
export interface MailboxChanges {
  /** Messages that were added or whose flags changed. */
  readonly changed: readonly Uid[];
  /** Uids that are gone: each with the modseq at which it went. */
  readonly vanished: readonly UidRange[];
}

/** undefined where `modSeq` lies below the floor: what vanished since can't be told. */
export function mailboxChanges(state: ReadState, mailbox: ReadMailbox, modSeq: ModSeq): MailboxChanges | undefined {
  if (modSeq < state.floor) return undefined;
  const { uid, mailbox: ordinal, modSeq: stamp } = state.memberships.columns;
  const changed: Uid[] = [];
  const vanished: UidRange[] = mailbox.burnt.ranges.filter((range) => range.modSeq > modSeq);
  for (const row of changedRows(state, modSeq)) {
    if (ordinal.get(row) !== mailbox.ordinal) continue;
    const number = uid.get(row);
    if (state.isLive(row)) changed.push(number);
    else vanished.push({ first: number, last: number, modSeq: stamp.get(row) });
  }
  return { changed: changed.sort((a, b) => a - b), vanished: joinRanges(vanished) };
}

/** Uids from `first` to `last`. */
export interface UidSpan {
  readonly first: Uid;
  readonly last: Uid;
}

/**
 * Uids of `known` that went after `modSeq`, ascending: RFC 7162 §3.2.6. The cost is that of the gone messages: runs with no
 * live message between them are one, though some of those in between may have gone before. Below the floor all that are not
 * there are told.
 */
export function vanishedSince(
  state: ReadState,
  mailbox: ReadMailbox,
  modSeq: ModSeq,
  known: readonly UidSpan[],
): UidSpan[] {
  const { messages, uidNext } = mailbox;
  const column = state.memberships.columns.uid;
  const uidAt = (position: number): Uid => column.get(messages.at(position));
  const gone: UidSpan[] = [];
  const changes = mailboxChanges(state, mailbox, modSeq);
  if (changes) {
    let gap = -1;
    for (const { first, last } of changes.vanished) {
      const before = messages.lowerBound(first, (row) => column.get(row));
      if (before === gap) gone[gone.length - 1] = { first: gone.at(-1)!.first, last };
      else gone.push({ first, last });
      gap = before;
    }
  } else
    for (let position = 0, first = FIRST_UID; position <= messages.length; position++) {
      const next = position < messages.length ? uidAt(position) : uidNext;
      if (first < next) gone.push({ first, last: uidBefore(next) });
      first = uidAfter(next);
    }
  return intersect(gone, known);
}

/** The parts that two ascending lists of spans have in common. */
function intersect(these: readonly UidSpan[], those: readonly UidSpan[]): UidSpan[] {
  const both: UidSpan[] = [];
  for (let a = 0, b = 0; a < these.length && b < those.length; ) {
    const first = higherOf(these[a]!.first, those[b]!.first);
    const last = lowerOf(these[a]!.last, those[b]!.last);
    if (first <= last) both.push({ first, last });
    if (these[a]!.last < those[b]!.last) a++;
    else b++;
  }
  return both;
}

/** Ranges in uid order; neighbours that went at once are one. */
function joinRanges(ranges: UidRange[]): UidRange[] {
  const joined: UidRange[] = [];
  for (const range of ranges.sort((a, b) => a.first - b.first)) {
    const before = joined.at(-1);
    if (before && before.modSeq === range.modSeq && before.last + 1 === range.first)
      joined[joined.length - 1] = { ...before, last: range.last };
    else joined.push(range);
  }
  return joined;
}
