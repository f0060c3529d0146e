import { expect, test } from "vitest";
import { mailText, stream } from "../testing/account-kit.ts";
import { FIRST, setUpAda } from "../testing/ways-in-kit.ts";

const pace = { isOver: () => false, take: async () => undefined };

async function signIn() {
  const { accounts } = await setUpAda();
  return accounts().login("ada@example.org", FIRST, "127.0.0.1");
}

test("a message goes into several mailboxes as one email, and is found where it is shown", async () => {
  const session = await signIn();
  const [inbox, archive, trash] = ["INBOX", "Archive", "Trash"].map((path) => session.getMailbox(path).id);
  const prepare = (n: number, flags: readonly string[]) =>
    session.prepare(stream(mailText(n)), { mailbox: "INBOX", flags });
  const [one, two] = await session.addMany([
    { prepared: await prepare(1, ["\\Seen"]), mailboxes: [inbox!, archive!] },
    { prepared: await prepare(2, []), mailboxes: [trash!] },
  ]);
  expect(one!.size).toBe(mailText(1).length);
  expect(one!.thread).not.toEqual(two!.thread);
  const { state } = session;
  const ids = [two!.id, new Uint8Array(16), one!.id, one!.id.subarray(1)];
  const found = await session.findEmails(ids, { pace });
  expect(found.map((email) => email?.memberships.map((row) => state.mailboxOf(row).path).sort())).toEqual([
    ["Trash"],
    undefined,
    ["Archive", "INBOX"],
    undefined,
  ]);
  expect(found[2]!.memberships.map((row) => state.flagNames(row))).toEqual([["\\Seen"], ["\\Seen"]]);
  expect(state.threadOf(found[2]!.email)).toEqual(one!.thread);
});

test("what \\Deleted hides is not found, and is again without it", async () => {
  const session = await signIn();
  const mailboxes = ["INBOX", "Archive"].map((path) => session.getMailbox(path).id);
  const prepared = await session.prepare(stream(mailText(1)), { mailbox: "INBOX", flags: [] });
  const [added] = await session.addMany([{ prepared, mailboxes }]);
  const paths = async (): Promise<string[] | undefined> => {
    const [email] = await session.findEmails([added!.id], { pace });
    return email?.memberships.map((row) => session.state.mailboxOf(row).path);
  };
  const mark = (path: string, mode: "add" | "remove") =>
    session.openView(session.getMailbox(path).id, { readOnly: false }).setFlags([0], { mode, flags: ["\\Deleted"] });
  await mark("INBOX", "add");
  expect(await paths()).toEqual(["Archive"]);
  await mark("Archive", "add");
  expect(await paths()).toBeUndefined();
  await mark("INBOX", "remove");
  expect(await paths()).toEqual(["INBOX"]);
});

test("a message whose mailboxes are gone is left out; if all are, all is refused", async () => {
  const session = await signIn();
  await session.create("Gone");
  const gone = session.getMailbox("Gone").id;
  const inbox = session.getMailbox("INBOX").id;
  const prepare = () => session.prepare(stream(mailText(1)), { mailbox: "Gone", flags: [] });
  const [one, two, three] = [await prepare(), await prepare(), await prepare()];
  await session.delete(session.getMailbox("Gone").id);
  const added = await session.addMany([
    { prepared: one, mailboxes: [gone] },
    { prepared: two, mailboxes: [gone, inbox] },
  ]);
  expect(added.map((email) => email !== undefined)).toEqual([false, true]);
  await expect(session.addMany([{ prepared: three, mailboxes: [gone] }])).rejects.toMatchObject({ code: "not-found" });
});
