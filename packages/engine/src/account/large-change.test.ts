import { expect, test } from "vitest";
import type { Copied } from "../mail/mail.ts";
import { openView } from "../mail/mailbox-view.ts";
import { CHANGED_AT_ONCE } from "../mail/ops/op.ts";
import { MemoryPlace } from "../storage/memory.ts";
import { clock, makeAccount, open, visible } from "../testing/account-kit.ts";
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
  const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false });
  const count = (path: string): number => account.mail.getMailbox(path).messages.length;
  return { place, ring, account, view, count, sent: account.mail.getMailbox("Sent").id };
}

/** The store answers `kept` more writes of the log. */
function failAfter(place: MemoryPlace, kept: number): void {
  let writes = 0;
  place.fault = (operation) => (operation === "putIfAbsent" && ++writes > kept ? { kind: "unavailable" } : undefined);
}

test("a change of very many messages is made in parts, all of which are told", async () => {
  const { place, view, count, sent } = await filled();
  place.counts.putIfAbsent = 0;
  await view.setFlags(all, { mode: "add", flags: ["\\Deleted"] });
  expect(place.counts.putIfAbsent).toBe(3);
  expect(view.sync({ expunges: true }).flagged, "the caller was told").toEqual([]);
  const moved: Copied[] = [];
  await view.move(all.slice(0, CHANGED_AT_ONCE + 1), sent, (part) => moved.push(part));
  expect(moved.map(({ sourceUids }) => sourceUids.length)).toEqual([CHANGED_AT_ONCE, 1]);
  expect(moved.flatMap(({ uids }) => uids)).toEqual(all.slice(0, CHANGED_AT_ONCE + 1).map((n) => n + 1));
  await view.expunge();
  expect([count("INBOX"), count("Sent")]).toEqual([0, CHANGED_AT_ONCE + 1]);
  expect(view.sync({ expunges: true }).expunged).toHaveLength(MESSAGES);
});

test("what fails in between leaves the parts before it, and tells of them", async () => {
  const { place, view, count, sent } = await filled();
  failAfter(place, 1);
  const moved: Copied[] = [];
  const failure = { code: "unavailable" };
  await expect(view.move(all, sent, (part) => moved.push(part))).rejects.toMatchObject(failure);
  expect(moved.map(({ uids }) => uids.length)).toEqual([CHANGED_AT_ONCE]);
  expect([count("INBOX"), count("Sent")]).toEqual([MESSAGES - CHANGED_AT_ONCE, CHANGED_AT_ONCE]);
});

test("a copy of very many is made wholly or not at all", async () => {
  const { place, view, count, sent } = await filled();
  failAfter(place, 0);
  await expect(view.copy(all, sent)).rejects.toMatchObject({ code: "unavailable" });
  expect(count("Sent")).toBe(0);
  place.fault = () => undefined;
  place.counts.putIfAbsent = 0;
  await view.copy(all, sent);
  // Programs that know no copy in parts are stopped first.
  expect([count("Sent"), place.counts.putIfAbsent]).toEqual([MESSAGES, 2]);
  place.counts.putIfAbsent = 0;
  await view.copy(all, sent);
  expect([count("Sent"), place.counts.putIfAbsent]).toEqual([2 * MESSAGES, 1]);
});

test("others have their turn while very many are copied, here and where it is followed; who looks in between hears of all", async () => {
  const { place, ring } = await filled();
  const opened = async () => {
    const heard: number[] = [];
    const look = (): void => void heard.push(sent.sync({ expunges: true }).added);
    let breathe = (): void => undefined;
    const account = await open(place, ring(), { breathe: async () => breathe() });
    const sent = openView(account.mail, account.mail.getMailbox("Sent").id, { readOnly: true });
    breathe = look;
    return { account, heard, look };
  };
  const [writer, follower] = [await opened(), await opened()];
  const { uids, sourceUids } = await openView(writer.account.mail, writer.account.mail.getMailbox("INBOX").id, {
    readOnly: false,
  }).copy(all, writer.account.mail.getMailbox("Sent").id);
  expect([uids, sourceUids]).toEqual([all, all].map((list) => list.map((position) => position + 1)));
  await follower.account.refresh();
  for (const { account, heard, look } of [writer, follower]) {
    look();
    expect(heard.filter((added) => added > 0)).toEqual([
      CHANGED_AT_ONCE,
      CHANGED_AT_ONCE,
      MESSAGES - 2 * CHANGED_AT_ONCE,
    ]);
    expect(visible(account.mail.state)).toEqual(visible(writer.account.mail.state));
  }
  const { modSeq } = writer.account.mail.state.memberships.columns;
  const { messages } = writer.account.mail.getMailbox("Sent");
  const stamps = new Set(all.map((position) => modSeq.get(messages.at(position))));
  expect(stamps.size).toBe(3);
});

test("what is copied in parts has names of its own, and what was gone by then is told", async () => {
  const { account, view } = await filled();
  const names = view.targetOf(0).of;
  const both = { ...names, targets: [...names.targets, ...view.targetOf(1).of.targets] };
  const to = account.mail.getMailbox("Sent").id;
  const copy = (targets: typeof names) =>
    account.mail.push({ kind: "copy", ...targets, to, seconds: 1, inParts: true });
  await view.copy(all, to);
  const { state } = account.mail;
  const { messages } = account.mail.getMailbox("Sent");
  for (const at of all) expect(state.findMembership(state.nameOf(messages.at(at)))).toBe(messages.at(at));
  await view.setFlags([0], { mode: "add", flags: ["\\Deleted"] });
  await view.expunge([0]);
  expect(await copy(both)).toMatchObject({ gone: 1, addedUids: [MESSAGES + 1], sourceUids: [2] });
  // It counts as any op does.
  const before = state.modSeq;
  expect(await copy(names)).toMatchObject({ gone: 1, added: [], modSeq: before + 1 });
  expect(state.modSeq).toBe(before + 1);
  await account.mail.delete(account.mail.getMailbox("Sent").id);
  await expect(copy(both)).rejects.toMatchObject({ code: "not-found" });
});
