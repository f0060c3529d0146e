import {
  type MailboxView,
  NO_UID,
  positionOf,
  type SequenceNumber,
  sequenceNumberAt,
  type Uid,
  type UidSpan,
  uidAfter,
} from "@restante/engine";
import type { Session } from "../session.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { parseSequenceSet, resolveRanges, type SequenceSet, type SetRange } from "../wire/sequence-set.ts";

/** `SP sequence-set`. */
export function parseSet(parser: Parser): SequenceSet {
  parser.space();
  return parseSequenceSet(parser.setText());
}

/**
 * The positions that a set names in the selected mailbox, ascending. Uids that are not there are passed over: RFC 9051
 * §6.4.9. A sequence number above the last is a mistake of the client, but for "*" in an empty mailbox, which names nothing.
 */
export function positionsOf(session: Session, set: SequenceSet, uid: boolean): number[] {
  const positions: number[] = [];
  for (const { from, to } of positionRanges(session, set, uid))
    for (let position = from; position < to; position++) positions.push(position);
  return positions;
}

export interface PositionRange {
  readonly from: number;
  /** Not included. */
  readonly to: number;
}

/** Runs of positions that a set names, ascending, none within another. `isSearch`: what is above the last names nothing, it is no
 * mistake: RFC 7377 §2. */
export function positionRanges(session: Session, set: SequenceSet, uid: boolean, isSearch = false): PositionRange[] {
  const { view } = session;
  if (set.isSaved) return uidRanges(view, session.savedUids);
  if (uid) return uidRanges(view, resolveRanges(set, view.length > 0 ? view.uidAt(view.length - 1) : NO_UID));
  return resolveRanges(set, sequenceNumberAt(view.length - 1))
    .map(({ first, last }) => {
      if (last > view.length && !isSearch) throw new ImapSyntaxError("No such message");
      return { from: Math.max(positionOf(first), 0), to: Math.min(last, view.length) };
    })
    .filter(({ from, to }) => from < to);
}

function uidRanges(view: MailboxView, ranges: readonly UidSpan[]): PositionRange[] {
  return ranges
    .map(({ first, last }) => ({ from: view.lowerBound(first), to: view.lowerBound(uidAfter(last)) }))
    .filter(({ from, to }) => from < to);
}

/** The number by which an answer names the message at a position. */
export function numberingOf(view: MailboxView, uid: boolean): (position: number) => Uid | SequenceNumber {
  return uid ? (position) => view.uidAt(position) : sequenceNumberAt;
}

/** The positions in their order as a `sequence-set`'s ranges, of uids or sequence numbers: each run of neighbours is one. */
export function rangesOf<N extends number>(
  positions: ArrayLike<number>,
  numberOf: (position: number) => N,
): SetRange<N>[] {
  const ranges: SetRange<N>[] = [];
  for (let start = 0, at = 0; at < positions.length; at++) {
    const number = numberOf(positions[at]!);
    if (at + 1 < positions.length && numberOf(positions[at + 1]!) === number + 1) continue;
    ranges.push({ first: numberOf(positions[start]!), last: number });
    start = at + 1;
  }
  return ranges;
}
