import {
  asUid,
  type Condition,
  FIRST_UID,
  higherOf,
  lowerOf,
  type Uid,
  type UidSpan,
  uidAfter,
} from "@restante/engine";
import type { Session } from "./session.ts";

/**
 * MESSAGELIMIT: RFC 9738. A command that names more messages than the server's limit works on those with the highest uids, and says
 * down to which: the client asks for the rest. It tells them from the highest uid down: §3.1. COPY and APPEND, which are done wholly
 * or not at all, are refused, and so is a PARTIAL of more. SORT, THREAD and ESEARCH, which the RFC does not limit, EXPUNGE and CLOSE
 * take any number.
 */

/** The response code of a command that left some out; `uid` is the lowest that it worked on. */
export function limitCode(max: number, uid?: Uid): string {
  return uid === undefined ? `MESSAGELIMIT ${max}` : `MESSAGELIMIT ${max} ${uid}`;
}

/** Tells the code where the completion has another one, or is a refusal: RFC 9738 §3.1. */
export function tellLimit(session: Session, code: string | undefined): void {
  if (code !== undefined) session.untagged(`NO [${code}] Not all were looked at`);
}

/** Those of `positions`, ascending, that one command may work on, and the code if these are not all. */
export function limited(
  { view, link: { messageLimit } }: Session,
  positions: readonly number[],
): { readonly positions: readonly number[]; readonly code: string | undefined } {
  if (messageLimit === undefined || positions.length <= messageLimit) return { positions, code: undefined };
  const kept = positions.slice(-messageLimit);
  return { positions: kept, code: limitCode(messageLimit, view.uidAt(kept[0]!)) };
}

/** The condition for those messages that one search may look at, and the code if these are not all that it names. */
export function limitedSearch(
  { view, link: { messageLimit } }: Session,
  condition: Condition,
): { readonly condition: Condition; readonly code: string | undefined } {
  if (messageLimit === undefined) return { condition, code: undefined };
  let room = messageLimit;
  let lowest = UID_MAX;
  for (const { first, last } of namedUids(condition).toReversed()) {
    const [from, to] = [view.lowerBound(first), view.lowerBound(uidAfter(last))];
    if (to - from > room) {
      if (room > 0) lowest = view.uidAt(to - room);
      const looked: Condition = { kind: "uids", ranges: [{ first: lowest, last: UID_MAX }] };
      return { condition: { kind: "and", of: [looked, condition] }, code: limitCode(messageLimit, lowest) };
    }
    room -= to - from;
    if (to > from) lowest = view.uidAt(from);
  }
  return { condition, code: undefined };
}

const UID_MAX: Uid = asUid(0xffffffff);

/** Uids outside of which the condition holds for no message, ascending: each key of a set at its top narrows them. */
function namedUids(condition: Condition): readonly UidSpan[] {
  if (condition.kind === "uids") return condition.ranges;
  if (condition.kind !== "and") return [{ first: FIRST_UID, last: UID_MAX }];
  return condition.of.map(namedUids).reduce(both, [{ first: FIRST_UID, last: UID_MAX }]);
}

function both(a: readonly UidSpan[], b: readonly UidSpan[]): readonly UidSpan[] {
  const found: UidSpan[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [one, other] = [a[i]!, b[j]!];
    const range = { first: higherOf(one.first, other.first), last: lowerOf(one.last, other.last) };
    if (range.first <= range.last) found.push(range);
    if (one.last < other.last) i++;
    else j++;
  }
  return found;
}
