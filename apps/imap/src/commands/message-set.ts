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

export interface PositionRange {
  readonly from: number;
  /** Not included. */
  readonly to: number;
}

/** Runs of positions that a set names, ascending, none within another. */
export function positionRanges(view: MailboxView, set: SequenceSet, uid: boolean): PositionRange[] {
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
