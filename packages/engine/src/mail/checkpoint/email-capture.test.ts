import { expect, test } from "vitest";
import { MemoryPlace } from "../../storage/memory.ts";
import { mailText, makeAccount, open, stream } from "../../testing/account-kit.ts";
import { openView } from "../mailbox-view.ts";
import { createBodyReader } from "./email-capture.ts";

test("bodies that lie in one object are read by one request, also at once; few objects are held", async () => {
  const asked: string[] = [];
  const read = createBodyReader({
    async readObject(name) {
      asked.push(name);
      return Buffer.from(`${name} 0123456789`);
    },
  });
  const body = async (name: string, offset = 2) => Buffer.from(await read({ name, offset, length: 3 })).toString();
  expect(await Promise.all([body("a"), body("b"), body("a", 5), body("b", 4)])).toEqual(["012", "012", "345", "234"]);
  expect(asked).toEqual(["a", "b"]);
  for (const name of ["c", "d", "a"]) await body(name);
  expect(asked).toEqual(["a", "b", "c", "d"]);
  // The one that was asked for longest ago goes first.
  for (const name of ["e", "a", "b"]) await body(name);
  expect(asked).toEqual(["a", "b", "c", "d", "e", "b"]);
  await expect(read({ name: "a", offset: 10, length: 3 })).rejects.toMatchObject({ code: "corrupt" });
});

test("no body is put into a pack that nobody holds any more", async () => {
  const place = new MemoryPlace();
  const { ring } = await makeAccount(place);
  const account = await open(place, ring());
  for (let n = 0; n < 3; n++)
    await account.append(
      account.mail.getMailbox("INBOX").id,
      await account.prepare(stream(mailText(n)), { mailbox: "INBOX", flags: [] }),
    );
  const view = openView(account.mail, account.mail.getMailbox("INBOX").id, { readOnly: false });
  await view.setFlags([0, 2], { mode: "add", flags: ["\\Deleted"] });
  await view.expunge();
  await account.upkeep.checkpoint();
  const { packs } = account.mail.state.pages;
  expect(packs.map(({ count }) => count)).toEqual([1]);
  await account.dispose();
});
