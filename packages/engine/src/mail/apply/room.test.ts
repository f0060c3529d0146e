import { beforeEach, expect, test, vi } from "vitest";
import { MemoryPlace } from "../../storage/memory.ts";
import { clock, dropbox, makeAccount, open, stream } from "../../testing/account-kit.ts";
import { adding, bareEmail } from "../../testing/email-kit.ts";
import { SUBSCRIPTIONS_MAX } from "../mail.ts";
import { openView } from "../mailbox-view.ts";
import { INBOX_ID } from "../ops/names.ts";
import type * as Room from "./room.ts";
import { hasRoomForKeywords, hasRoomForMessages, KEYWORDS_MAX, KEYWORDS_PER_MESSAGE_MAX, ROOM_LIMITS } from "./room.ts";

/** Limits that the fold asks: a test may set a lower number of messages. */
const limits = vi.hoisted(() => ({ messages: 0 }));
vi.mock("./room.ts", async (original) => {
  const room = (await original()) as typeof Room;
  const hasRoom: typeof room.hasRoomForMessages = (state, more, given = { ...room.ROOM_LIMITS, ...limits }) =>
    room.hasRoomForMessages(state, more, given);
  return { ...room, hasRoomForMessages: hasRoom };
});
beforeEach(() => {
  limits.messages = ROOM_LIMITS.messages;
});

const names = (count: number, prefix = "k"): string[] => Array.from({ length: count }, (_, n) => `${prefix}${n}`);
const full = { code: "over-quota" };

async function filled(messages: number) {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const account = await open(place, ring());
  const emails = Array.from({ length: messages }, (_, n) => bareEmail([n >> 8, n]));
  await account.mail.push(adding(INBOX_ID, emails));
  const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false });
  const set = (position: number, flags: readonly string[], mode: "add" | "replace" | "remove" = "add") =>
    view.setFlags([position], { mode, flags });
  return { account, view, set, state: () => account.mail.state, box: dropbox(place, user) };
}

test("keywords of one message, however many changes bring them, are bounded; it can be changed otherwise all the same", async () => {
  const { view, set, state } = await filled(2);
  await set(0, names(KEYWORDS_PER_MESSAGE_MAX - 1));
  await set(0, ["Last", "\\Seen"]);
  await set(0, ["LAST", "\\Flagged"]);
  await expect(set(0, ["more"])).rejects.toMatchObject(full);
  await expect(view.setFlags([0, 1], { mode: "add", flags: ["more"] })).rejects.toMatchObject(full);
  expect(state().flagNames(view.message(1).row)).toEqual([]);
  await set(0, ["k1"], "remove");
  await set(0, ["more"]);
  expect(state().flagNames(view.message(0).row)).toHaveLength(2 + KEYWORDS_PER_MESSAGE_MAX);
});

test("keywords in use in an account are bounded; those that no message carries any more make room", async () => {
  const per = KEYWORDS_PER_MESSAGE_MAX;
  const { account, view, set } = await filled(KEYWORDS_MAX / per + 1);
  for (let n = 0; n < KEYWORDS_MAX / per; n++) await set(n, names(per, `m${n}-`));
  const last = KEYWORDS_MAX / per;
  await expect(set(last, ["one-more"])).rejects.toMatchObject(full);
  await expect(account.mail.push(adding(INBOX_ID, [bareEmail([9, 9])], ["one-more"]))).rejects.toMatchObject(full);
  // A keyword in use needs no room, in another case either.
  await set(last, ["M0-0", "m1-1"]);
  await set(0, ["\\Deleted"]);
  await view.expunge();
  await set(last, ["one-more"]);
  await account.mail.push(adding(INBOX_ID, [bareEmail([9, 9])], ["one-more", "\\Seen"]));
});

test("combinations of keywords in use are bounded", async () => {
  const { set, state } = await filled(3);
  const two = { ...ROOM_LIMITS, keywordSets: 2 };
  await set(0, ["a"]);
  await set(1, ["a", "b"]);
  expect(hasRoomForKeywords(state(), [["b"]], two)).toBe(false);
  expect(hasRoomForKeywords(state(), [["B", "A"], ["a", "\\Seen"], []], two)).toBe(true);
  await set(1, ["a", "b"], "remove");
  expect(hasRoomForKeywords(state(), [["b"]], two)).toBe(true);
});

test("live messages are bounded, whatever makes them, and those that are gone don't count", async () => {
  const { account, view, set, state } = await filled(3);
  const four = { ...ROOM_LIMITS, messages: 4 };
  expect([1, 2].map((more) => hasRoomForMessages(state(), more, four))).toEqual([true, false]);
  await set(0, ["\\Deleted"]);
  await view.expunge();
  expect([2, 3].map((more) => hasRoomForMessages(state(), more, four))).toEqual([true, false]);
  await account.dispose();
});

test("an append and a copy ask for room for messages; a move and what was delivered do not", async () => {
  const { account, view, box } = await filled(3);
  limits.messages = 4;
  const count = (path: string): number => account.mail.getMailbox(path).messages.length;
  await expect(view.copy([0, 1], account.mail.getMailbox("Archive").id)).rejects.toMatchObject(full);
  expect(count("Archive")).toBe(0);
  await view.copy([0], account.mail.getMailbox("Archive").id);
  await expect(account.mail.push(adding(INBOX_ID, [bareEmail([7])]))).rejects.toMatchObject(full);
  await view.move([1, 2], account.mail.getMailbox("Archive").id);
  await box.deliver(new Uint8Array(0), stream("Subject: x\r\n\r\nx"));
  await account.refresh();
  expect([count("INBOX"), count("Archive")]).toEqual([2, 3]);
});

test("subscriptions are bounded; those that are there can be renewed and ended", async () => {
  const { account, state } = await filled(1);
  const subscriptions = state().subscriptions as Set<string>;
  for (let n = subscriptions.size; n < SUBSCRIPTIONS_MAX; n++) subscriptions.add(`x${n}`);
  await expect(account.mail.subscribe("one more", true)).rejects.toMatchObject(full);
  await account.mail.subscribe("INBOX", true);
  await account.mail.subscribe("INBOX", false);
  await account.mail.subscribe("one more", true);
});
