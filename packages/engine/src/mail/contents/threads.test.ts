import { describe, expect, test } from "vitest";
import type { Account } from "../../account/account.ts";
import { rotateRing, threadKey } from "../../crypto/index.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import { bytes, clock, crypto, dropbox, makeAccount, open, stream } from "../../testing/account-kit.ts";
import { adding, bareEmail } from "../../testing/email-kit.ts";
import { asEmailRow } from "../numbers.ts";
import { messageIdHash } from "./digest.ts";

/** RFC 8621 §3, as one account and several processes of it see conversations. */
async function scene() {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const append = async (account: Account, header: string): Promise<void> => {
    const prepared = await account.prepare(stream(`${header}\r\n\r\nx\r\n`), { mailbox: "INBOX", flags: [] });
    await account.append(account.mail.getMailbox("INBOX").id, prepared);
  };
  const deliver = (header: string): Promise<void> =>
    dropbox(place, user).deliver(bytes(""), stream(`${header}\r\n\r\nx\r\n`));
  return { place, ring, append, deliver };
}
const threadsOf = ({ mail }: Account): string[] =>
  Array.from({ length: mail.state.emails.rows }, (_, email) =>
    Buffer.from(mail.state.threadOf(asEmailRow(email))).toString("hex"),
  );

const FIRST = "Subject: Plans\r\nMessage-ID: <1@x>";
const ANSWER = "Subject: Re: plans (fwd)\r\nMessage-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\nReferences: <1@x>";
const LATER = "Subject: RE: [list] Plans\r\nMessage-ID: <3@x>\r\nReferences: <1@x> <2@x>";
const OTHER = "Subject: Something else\r\nMessage-ID: <4@x>\r\nReferences: <1@x> <2@x>";

describe("a conversation", () => {
  test("holds a mail and its answers, in whatever order they come, and begins anew with another subject", async () => {
    for (const order of [
      [FIRST, ANSWER, LATER, OTHER],
      [LATER, ANSWER, FIRST, OTHER],
      [OTHER, ANSWER, FIRST, LATER],
    ]) {
      const { place, ring, append } = await scene();
      const account = await open(place, ring());
      for (const header of order) await append(account, header);
      const threads = threadsOf(account);
      const other = threads[order.indexOf(OTHER)];
      expect(new Set(threads.filter((thread) => thread !== other)).size).toBe(1);
      expect(new Set(threads).size).toBe(2);
      await account.dispose();
    }
  });

  test("is one where two processes store a mail and its answer at once, whoever is first; and after new keys", async () => {
    const { place, ring, append } = await scene();
    const [one, two] = [await open(place, ring()), await open(place, ring())];
    await Promise.all([append(one, FIRST), append(two, ANSWER)]);
    await one.refresh();
    expect(new Set(threadsOf(one)).size).toBe(1);
    await Promise.all([one.dispose(), two.dispose()]);
    const fresh = rotateRing(crypto, ring());
    expect(threadKey(fresh)).toEqual(threadKey(ring()));
  });

  test("is the same for mail that is delivered, and another where nothing says that they belong together", async () => {
    const { place, ring, deliver } = await scene();
    for (const header of [FIRST, ANSWER, "Subject: Plans\r\nMessage-ID: <7@x>", "Subject: Plans", "Subject: Plans"])
      await deliver(header);
    const account = await open(place, ring());
    await account.refresh();
    const threads = threadsOf(account);
    expect(threads[0]).toBe(threads[1]);
    expect(new Set(threads).size).toBe(4);
    await account.dispose();
  });

  test("of which an older release knew the ids alone is found by them", async () => {
    const { place, ring, append } = await scene();
    const account = await open(place, ring());
    const old = { ...bareEmail([1]), ids: messageIdHash("1@x"), thread: new Uint8Array(8).fill(5) };
    await account.mail.push(adding(account.mail.getMailbox("INBOX").id, [old]));
    await append(account, OTHER);
    await append(account, ANSWER);
    expect(threadsOf(account)).toEqual(Array(3).fill("05".repeat(8)));
    await account.dispose();
  });
});
