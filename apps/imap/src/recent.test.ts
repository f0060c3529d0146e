import { asUid, FIRST_UID, type MailboxId, type ReadMailbox, type ReadState, type Uid } from "@restante/engine";
import { expect, test } from "vitest";
import { claimRecent, countRecent } from "./recent.ts";

const INBOX = "inbox" as MailboxId;

/** An account that was opened when INBOX had five messages, and its INBOX with some more. */
function opened(): { uidNextAtOpening: ReadonlyMap<MailboxId, Uid>; state: ReadState } {
  const uid = { get: (row: number): number => row + 1 };
  return {
    uidNextAtOpening: new Map([[INBOX, asUid(6)]]),
    state: { memberships: { columns: { uid } } } as unknown as ReadState,
  };
}

function mailbox(messages: number, id: MailboxId = INBOX): ReadMailbox {
  const lowerBound = (uid: Uid): number => Math.min(uid - 1, messages);
  return { id, uidNext: asUid(messages + 1), messages: { length: messages, lowerBound } } as unknown as ReadMailbox;
}

test("each message is recent for the first session that may write, and none is that was there when the account was opened", () => {
  const account = opened();
  expect(countRecent(account, mailbox(5))).toBe(0);
  expect(countRecent(account, mailbox(7))).toBe(2);
  // A session that only reads takes nothing from others.
  expect([claimRecent(account, mailbox(7), true), claimRecent(account, mailbox(7), true)]).toEqual([6, 6]);
  expect(countRecent(account, mailbox(7))).toBe(2);
  expect([claimRecent(account, mailbox(7), false), claimRecent(account, mailbox(7), false)]).toEqual([6, 8]);
  expect(countRecent(account, mailbox(7))).toBe(0);
  expect([claimRecent(account, mailbox(9), true), countRecent(account, mailbox(9))]).toEqual([8, 2]);
});

test("of a mailbox that was made since all messages are recent, whatever was claimed of others", () => {
  const account = opened();
  const made = mailbox(3, "made" as MailboxId);
  expect([countRecent(account, made), claimRecent(account, made, false), countRecent(account, made)]).toEqual([
    3,
    FIRST_UID,
    0,
  ]);
  expect(countRecent(account, mailbox(7))).toBe(2);
});

test("sessions of one account claim together, and those of another opening by themselves", () => {
  const one = opened();
  const sameAccount = { ...one };
  const again = opened();
  claimRecent(one, mailbox(7), false);
  expect([claimRecent(sameAccount, mailbox(7), false), claimRecent(again, mailbox(7), false)]).toEqual([8, 6]);
});
