import { expect, test, vi } from "vitest";
import { MemoryPlace } from "../storage/memory.ts";
import { makeAccount, open, stream } from "../testing/account-kit.ts";
import { openView } from "./mailbox-view.ts";
import { asEmailRow } from "./numbers.ts";

const MESSAGES = 64;

async function scene() {
  const place = new MemoryPlace();
  const { ring } = await makeAccount(place);
  const account = await open(place, ring());
  const prepared = [];
  for (let n = 0; n < MESSAGES; n++)
    prepared.push(await account.prepare(stream(`Subject: ${n}\r\n\r\n`), { mailbox: "INBOX", flags: [] }));
  await account.appendMany(account.mail.getMailbox("INBOX").id, prepared);
  return { account, view: openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false }) };
}

test("EXPUNGE of one makes no list of all, and looks at none where nothing is to go", async () => {
  const { account, view } = await scene();
  await view.setFlags([5, 60], { mode: "add", flags: ["\\Deleted"] });
  const from = vi.spyOn(Array, "from");
  await view.expunge([60]);
  await view.expunge();
  const longest = Math.max(0, ...from.mock.results.map(({ value }) => (value as readonly unknown[]).length));
  from.mockRestore();
  expect(longest).toBeLessThan(MESSAGES / 2);
  expect(view.sync({ expunges: true }).expunged).toEqual([61, 6]);
  const { flags } = account.mail.state.memberships.columns;
  const get = vi.spyOn(flags, "get");
  await view.expunge();
  expect(get).not.toHaveBeenCalled();
  await account.dispose();
});

test("EXPUNGE in a mailbox that is gone has nothing to do", async () => {
  const { account, view } = await scene();
  await account.mail.ensure("Other");
  const other = openView(account.mail, account.mail.getMailbox("Other").id, { readOnly: false });
  await account.mail.delete(account.mail.getMailbox("Other").id);
  await other.expunge();
  expect(view.length).toBe(MESSAGES);
  await account.dispose();
});

test("an email that lies in a page has no place in the tail", async () => {
  const { account } = await scene();
  await account.upkeep.checkpoint();
  const { state } = account.mail;
  expect(state.tailStart).toBe(MESSAGES);
  // As a tail that begins later than its first item would have them.
  Object.assign(state.tail, { [-1]: "none of ours" });
  expect(state.tailOf(asEmailRow(MESSAGES - 1))).toBeUndefined();
  await account.dispose();
});
