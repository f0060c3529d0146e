import { expect, test } from "vitest";
import type { MailboxView } from "./mailbox-view.ts";
import {
  asEmailRow,
  asModSeq,
  asRow,
  asUid,
  FIRST_UID,
  HIGHEST_MODSEQ,
  higherOf,
  lowerOf,
  modSeqAfter,
  modSeqBefore,
  NO_MODSEQ,
  NO_UID,
  positionOf,
  sequenceNumberAt,
  type Uid,
  uidAfter,
  uidBefore,
} from "./numbers.ts";
import type { ReadState } from "./state/read-state.ts";

test("what a number is made into stays the number", () => {
  expect([asUid(7), asModSeq(7), asRow(7), asEmailRow(7)]).toEqual([7, 7, 7, 7]);
  expect([uidAfter(FIRST_UID), uidAfter(FIRST_UID, 4), uidBefore(FIRST_UID)]).toEqual([2, 5, NO_UID]);
  expect([modSeqAfter(NO_MODSEQ), modSeqAfter(NO_MODSEQ, 3), modSeqBefore(asModSeq(9))]).toEqual([1, 3, 8]);
  expect([sequenceNumberAt(0), positionOf(sequenceNumberAt(4))]).toEqual([1, 4]);
  expect([higherOf(asUid(3), asUid(5)), lowerOf(asUid(3), asUid(5)), lowerOf(asModSeq(2), HIGHEST_MODSEQ)]).toEqual([
    5, 3, 2,
  ]);
});

/** The type check finds each of these: a line that it lets pass fails it. Nobody calls this. */
function mixed(view: MailboxView, state: ReadState, plain: number): unknown[] {
  const [uid, modSeq, row, email] = [asUid(plain), asModSeq(plain), asRow(plain), asEmailRow(plain)];
  const number = sequenceNumberAt(plain);
  const { memberships, emails, inbox } = state;
  return [
    // @ts-expect-error: a sequence number is no position
    view.uidAt(number),
    // @ts-expect-error: nor is a uid
    view.messages([uid]),
    // @ts-expect-error: nor is a row
    inbox.messages.at(row),
    // @ts-expect-error: a uid has no sequence number but by its position
    sequenceNumberAt(uid),
    // @ts-expect-error: a sequence number is no uid
    view.lowerBound(number),
    // @ts-expect-error: a modseq is no uid
    view.lowerBound(modSeq),
    // @ts-expect-error: a uid is no modseq
    view.changedSince(uid, [plain]),
    // @ts-expect-error: a plain number is no modseq
    state.recent.since(plain),
    // @ts-expect-error: nothing is the higher one of a uid and a modseq
    higherOf(uid, modSeq),
    // @ts-expect-error: a uid is never a modseq
    uid === modSeq,
    // @ts-expect-error: an email's row is no membership's
    state.emailOf(email),
    // @ts-expect-error: a membership's row is no email's
    state.isHeld(row),
    // @ts-expect-error: columns of memberships have no email's row
    memberships.columns.uid.get(email),
    // @ts-expect-error: columns of emails have no membership's row
    emails.columns.made.get(row),
    // @ts-expect-error: an email's row is no lasting number
    state.findNumber(email),
    // @ts-expect-error: the sum of a uid and a number is a plain one
    ((next: Uid) => next)(uid + 1),
  ];
}

test("kinds are held apart by the type check alone", () => {
  expect(mixed.length).toBe(3);
});
