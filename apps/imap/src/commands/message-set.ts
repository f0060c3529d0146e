import type { MailboxView } from "@restante/engine";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { parseSequenceSet, resolveRanges, type SequenceSet } from "../wire/sequence-set.ts";

/** `SP sequence-set`. */
export function parseSet(parser: Parser): SequenceSet {
  parser.space();
  return parseSequenceSet(parser.setText());
}

/**
 * The positions that a set names in a view, ascending. Uids that are not there are passed over: RFC 9051 §6.4.9. A
 * sequence number above the last is a mistake of the client, but for "*" in an empty mailbox, which names nothing.
 */
export function positionsOf(view: MailboxView, set: SequenceSet, uid: boolean): number[] {
  const positions: number[] = [];
  for (const { from, to } of positionRanges(view, set, uid))
    for (let position = from; position < to; position++) positions.push(position);
  return positions;
}

/** The same for those who ask of single positions whether they are among them; costs no more for many than for few. */
export function positionTest(view: MailboxView, set: SequenceSet, uid: boolean): (position: number) => boolean {
  const ranges = positionRanges(view, set, uid);
  return (position) => {
    let low = 0;
    for (let high = ranges.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (ranges[middle]!.to > position) high = middle;
      else low = middle + 1;
    }
    return low < ranges.length && ranges[low]!.from <= position;
  };
}

interface PositionRange {
  readonly from: number;
  /** Not included. */
  readonly to: number;
}

/** Ascending, none within another. */
function positionRanges(view: MailboxView, set: SequenceSet, uid: boolean): PositionRange[] {
  const largest = uid ? (view.length > 0 ? view.uidAt(view.length - 1) : 0) : view.length;
  return resolveRanges(set, largest)
    .map(({ first, last }) => {
      const from = Math.max(uid ? view.lowerBound(first) : first - 1, 0);
      const to = uid ? view.lowerBound(last + 1) : last;
      if (!uid && to > view.length) throw new ImapSyntaxError("No such message");
      return { from, to };
    })
    .filter(({ from, to }) => from < to);
}
