import { expect, test } from "vitest";
import type { Copied } from "../mail/mail.ts";
import { CHANGED_AT_ONCE, openView } from "../mail/mailbox-view.ts";
import { MemoryPlace } from "../storage/memory.ts";
import { clock, makeAccount, open } from "../testing/account-kit.ts";
import { adding, bareEmail } from "../testing/email-kit.ts";

const MESSAGES: number = CHANGED_AT_ONCE * 2 + 100;
const all: readonly number[] = Array.from({ length: MESSAGES }, (_, position) => position);

/** An account whose INBOX holds so many, and a view of it. */
async function filled() {
  const place = new MemoryPlace(() => clock.now++);
  const { ring } = await makeAccount(place);
  const account = await open(place, ring());
  const emails = all.map((n) => bareEmail([n >> 16, n >> 8, n]));
  await account.mail.push(adding(account.mail.getMailbox("INBOX").id, emails));
  const view = openView(account.mail, "INBOX", { readOnly: false });
  const count = (path: string): number => account.mail.getMailbox(path).messages.length;
  return { place, account, view, count };
}

/** The store answers `kept` more writes of the log. */
function failAfter(place: MemoryPlace, kept: number): void {
  let writes = 0;
  place.fault = (operation) => (operation === "putIfAbsent" && ++writes > kept ? { kind: "unavailable" } : undefined);
}

test("a change of very many messages is made in parts, all of which are told", async () => {
  const { place, view, count } = await filled();
  place.counts.putIfAbsent = 0;
  await view.setFlags(all, { mode: "add", flags: ["\\Deleted"] });
  expect(place.counts.putIfAbsent).toBe(3);
  expect(view.sync({ expunges: true }).flagged, "the caller was told").toEqual([]);
  const moved: Copied[] = [];
  await view.move(all.slice(0, CHANGED_AT_ONCE + 1), "Sent", (part) => moved.push(part));
  expect(moved.map(({ sourceUids }) => sourceUids.length)).toEqual([CHANGED_AT_ONCE, 1]);
  expect(moved.flatMap(({ uids }) => uids)).toEqual(all.slice(0, CHANGED_AT_ONCE + 1).map((n) => n + 1));
  await view.expunge();
  expect([count("INBOX"), count("Sent")]).toEqual([0, CHANGED_AT_ONCE + 1]);
  expect(view.sync({ expunges: true }).expunged).toHaveLength(MESSAGES);
});

test("what fails in between leaves the parts before it, and tells of them", async () => {
  const { place, view, count } = await filled();
  failAfter(place, 1);
  const moved: Copied[] = [];
  const failure = { code: "unavailable" };
  await expect(view.move(all, "Sent", (part) => moved.push(part))).rejects.toMatchObject(failure);
  expect(moved.map(({ uids }) => uids.length)).toEqual([CHANGED_AT_ONCE]);
  expect([count("INBOX"), count("Sent")]).toEqual([MESSAGES - CHANGED_AT_ONCE, CHANGED_AT_ONCE]);
});

test("a copy of very many is made wholly or not at all", async () => {
  const { place, view, count } = await filled();
  failAfter(place, 0);
  await expect(view.copy(all, "Sent")).rejects.toMatchObject({ code: "unavailable" });
  expect(count("Sent")).toBe(0);
  place.fault = () => undefined;
  place.counts.putIfAbsent = 0;
  await view.copy(all, "Sent");
  expect([count("Sent"), place.counts.putIfAbsent]).toEqual([MESSAGES, 1]);
});
