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
  const largest = uid ? (view.length > 0 ? view.uidAt(view.length - 1) : 0) : view.length;
  for (const { first, last } of resolveRanges(set, largest)) {
    const from = uid ? view.lowerBound(first) : first - 1;
    const to = uid ? view.lowerBound(last + 1) : last;
    if (!uid && to > view.length) throw new ImapSyntaxError("No such message");
    for (let position = Math.max(from, 0); position < to; position++) positions.push(position);
  }
  return positions;
}
