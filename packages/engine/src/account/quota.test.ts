import { describe, expect, test } from "vitest";
import { makeRing, readAccountFacts, recipientRecord } from "../crypto/index.ts";
import type { MailState } from "../mail/state/state.ts";
import { MemoryPlace } from "../storage/memory.ts";
import { crypto, platform, signer, stream } from "../testing/account-kit.ts";
import { HandTime, settle } from "../testing/hand-time.ts";
import { FIRST, setUpAda } from "../testing/ways-in-kit.ts";
import { Dropbox } from "./delivery/dropbox.ts";
import { Unsettled } from "./delivery/unsettled.ts";
import { FACTS_WRITE_MS, Facts } from "./mandates/facts.ts";
import { FACTS_MS, FACTS_NAME } from "./mandates/facts-reader.ts";
import { NO_VACATION } from "./mandates/vacation.ts";
import type { Platform } from "./platform.ts";
import type { QuotaLimits } from "./quota.ts";
import type { AccountSession } from "./session.ts";
import { Accounts } from "./sign-in/accounts.ts";
import { accountPrefix } from "./sign-in/users.ts";

const MEBIBYTE = 2 ** 20;
const mail = (n: number, octets = 100): string => {
  const head = `Subject: mail ${n}\r\nMessage-ID: <${n}@x>\r\n\r\n`;
  return `${head}${"x".repeat(Math.max(0, octets - head.length - 2))}\r\n`;
};

async function setUp(limits: Partial<QuotaLimits>, quotaOf: Platform["quotaOf"] = () => undefined) {
  const time = new HandTime();
  const ada = await setUpAda();
  ada.place.now = () => time.now();
  const quota = { bytesMax: undefined, messagesMax: undefined, ...limits };
  const limited = { ...ada.tools.platform, ...time, quota, quotaOf };
  const another = (): Promise<AccountSession> =>
    new Accounts({ ...ada.tools, store: ada.place.open(), platform: limited }).login("ada@example.org", FIRST, "");
  const session = await another();
  const users = { find: (address: string) => ada.users.find(address) };
  const deliverer = {
    store: ada.place.open(),
    platform: limited,
    users,
    signer,
    unsettled: new Unsettled(limited),
  };
  const dropbox = () => new Dropbox(deliverer, ada.user());
  const deliver = (to: Dropbox, n: number, octets?: number): Promise<void> =>
    to.deliver(new Uint8Array(0), stream(mail(n, octets)), deliverer.unsettled.connect());
  const append = async (n: number, octets?: number, path = "INBOX"): Promise<void> =>
    void (await session.append(
      session.getMailbox(path).id,
      await session.prepare(stream(mail(n, octets)), { mailbox: path, flags: [] }),
    ));
  const facts = () => [...ada.place.objects.keys()].filter((name) => name.endsWith("public/record"));
  return { ...ada, time, session, another, dropbox, deliver, append, facts };
}

const full = { code: "over-quota", name: "QuotaExceeded" };
const usage = ({ quota: { bytes, messages } }: AccountSession) => [bytes, messages];

describe("an account with a limit", () => {
  test("counts each email once, whatever mailboxes it is in, and what is gone no more; so does a process that opens it", async () => {
    const { session, append, another } = await setUp({ bytesMax: 1000 });
    expect(usage(session)).toEqual([0, 0]);
    await append(1, 300);
    await append(2, 400);
    const view = session.openView(session.getMailbox("INBOX").id, { readOnly: false });
    await view.copy([0, 1], session.getMailbox("Archive").id);
    expect(usage(session)).toEqual([700, 2]);
    await view.setFlags([0], { mode: "add", flags: ["\\Deleted"] });
    view.sync({ expunges: true });
    await view.expunge([0]);
    expect(usage(session)).toEqual([700, 2]);
    const archive = session.openView(session.getMailbox("Archive").id, { readOnly: false });
    await archive.setFlags([0], { mode: "add", flags: ["\\Deleted"] });
    archive.sync({ expunges: true });
    await archive.expunge([0]);
    expect(usage(session)).toEqual([400, 1]);
    session.close();
    const other = await another();
    expect(usage(other)).toEqual([400, 1]);
  });

  test("takes what fits and refuses what does not, by octets", async () => {
    const { append, session } = await setUp({ bytesMax: 1000 });
    await append(1, 600);
    await expect(append(2, 401)).rejects.toMatchObject(full);
    await append(3, 400);
    await expect(append(4, 60)).rejects.toMatchObject(full);
    expect(usage(session)).toEqual([1000, 2]);
    // Commands that only remove or copy go on.
    const view = session.openView(session.getMailbox("INBOX").id, { readOnly: false });
    await view.copy([0], session.getMailbox("Archive").id);
    await view.move([0], session.getMailbox("Trash").id);
  });

  test("by messages too, and several that come at once", async () => {
    const { append, session } = await setUp({ messagesMax: 3 });
    await append(1);
    const prepared = [];
    for (const n of [2, 3, 4]) prepared.push(await session.prepare(stream(mail(n)), { mailbox: "INBOX", flags: [] }));
    await expect(session.appendMany(session.getMailbox("INBOX").id, prepared)).rejects.toMatchObject(full);
    const { id } = session.getMailbox("INBOX");
    await expect(session.addMany(prepared.map((one) => ({ prepared: one, mailboxes: [id] })))).rejects.toMatchObject(
      full,
    );
    await session.appendMany(session.getMailbox("INBOX").id, prepared.slice(1));
    expect(usage(session)[1]).toBe(3);
    await expect(session.prepare(stream(mail(5)), { mailbox: "INBOX", flags: [] })).rejects.toMatchObject(full);
  });

  test("has its own, where a directory gives it one", async () => {
    const own = new Map<string, QuotaLimits>();
    const { append, session, dropbox, deliver, time, user, facts } = await setUp({ messagesMax: 1 }, (account) =>
      own.get(account),
    );
    const account = Buffer.from(user().record.account).toString("hex");
    own.set(account, { bytesMax: undefined, messagesMax: 3 });
    for (const n of [1, 2, 3]) await append(n);
    await expect(append(4)).rejects.toMatchObject(full);
    expect(session.quota).toMatchObject({ messages: 3, messagesMax: 3 });
    await time.pass(FACTS_WRITE_MS);
    expect(facts()).toHaveLength(1);
    await expect(deliver(dropbox(), 5)).rejects.toMatchObject(full);
    own.set(account, { bytesMax: undefined, messagesMax: undefined });
    await append(6);
    await deliver(dropbox(), 7);
  });

  test("is told of mail that came although it is full, and takes it in", async () => {
    const { session, dropbox, deliver, append } = await setUp({ messagesMax: 1 });
    await append(1);
    await deliver(dropbox(), 2);
    await settle();
    await session.refresh();
    expect(usage(session)[1]).toBe(2);
  });

  test("without one nothing is told of it", async () => {
    const { append, time, facts } = await setUp({});
    await append(1);
    await time.pass(10 * FACTS_WRITE_MS);
    expect(facts()).toEqual([]);
  });
});

describe("who delivers", () => {
  test("knows how full an account is, a minute later at most, and counts what it put since", async () => {
    const { append, time, facts, dropbox, deliver } = await setUp({ bytesMax: 4 * MEBIBYTE });
    await append(1, 2 * MEBIBYTE);
    expect(facts()).toEqual([]);
    await time.pass(FACTS_WRITE_MS);
    expect(facts()).toHaveLength(1);
    const box = dropbox();
    await deliver(box, 2, MEBIBYTE);
    await deliver(box, 3, 2 * MEBIBYTE);
    // One more than fits may come, and no other.
    await expect(deliver(box, 4)).rejects.toMatchObject(full);
  });

  test("refuses nobody who has room: what it knows is rounded up", async () => {
    const { append, time, dropbox, deliver } = await setUp({ bytesMax: 4 * MEBIBYTE });
    await append(1, 3 * MEBIBYTE + 1000);
    await time.pass(FACTS_WRITE_MS);
    await deliver(dropbox(), 2);
  });

  test("counts no mail twice that the owner has taken in and told of", async () => {
    const { append, session, time, dropbox, deliver } = await setUp({ messagesMax: 3 });
    await append(1);
    await time.pass(FACTS_WRITE_MS);
    const box = dropbox();
    await deliver(box, 2);
    await settle();
    await session.refresh();
    expect(usage(session)[1]).toBe(2);
    await time.pass(FACTS_WRITE_MS + FACTS_MS);
    await deliver(box, 3);
    await expect(deliver(box, 4)).rejects.toMatchObject(full);
  });

  test("hears nothing of how full an account without a limit is, whatever else it hears", async () => {
    const ring = makeRing(crypto);
    const place = new MemoryPlace();
    const prefix = accountPrefix(ring);
    const state = () => ({ heldEmails: { bytes: 5 * MEBIBYTE, count: 7 } }) as MailState;
    const vacation = async () => NO_VACATION;
    await new Facts({ store: place.open(), prefix, platform, ring, state, vacation }).write(NO_VACATION);
    const told = readAccountFacts(recipientRecord(ring), place.objects.get(prefix + FACTS_NAME)!.bytes);
    expect(told).toMatchObject({ mebibytes: 0, messages: 0, mebibytesMax: undefined, messagesMax: undefined });
  });

  test("takes mail again once there is room", async () => {
    const { append, session, time, dropbox, deliver } = await setUp({ messagesMax: 2 });
    await append(1);
    await append(2);
    await time.pass(FACTS_WRITE_MS);
    const box = dropbox();
    await expect(deliver(box, 3)).rejects.toMatchObject(full);
    const view = session.openView(session.getMailbox("INBOX").id, { readOnly: false });
    await view.setFlags([0, 1], { mode: "add", flags: ["\\Deleted"] });
    view.sync({ expunges: true });
    await view.expunge([0, 1]);
    await time.pass(FACTS_WRITE_MS + FACTS_MS);
    await deliver(box, 4);
    await deliver(box, 5);
    await expect(deliver(box, 6)).rejects.toMatchObject(full);
  });

  test("believes nobody but the owner", async () => {
    const { append, time, place, facts, dropbox, deliver } = await setUp({ messagesMax: 1 });
    await append(1);
    await time.pass(FACTS_WRITE_MS);
    await expect(deliver(dropbox(), 2)).rejects.toMatchObject(full);
    const [name] = facts();
    const forged = place.objects.get(name!)!.bytes.slice();
    forged[forged.length - 1]! ^= 1;
    place.write(name!, forged);
    await deliver(dropbox(), 3);
  });

  test("is told again no more often than it makes a difference", async () => {
    const { append, time, place } = await setUp({ bytesMax: 100 * MEBIBYTE });
    let writes = 0;
    const name = () => [...place.objects.keys()].find((one) => one.endsWith("public/record"));
    let last: unknown;
    for (let n = 0; n < 10; n++) {
      await append(n);
      await time.pass(1000);
      const now = name() && place.objects.get(name()!);
      if (now !== last) writes++;
      last = now;
    }
    await time.pass(5 * FACTS_WRITE_MS);
    expect(writes).toBeLessThanOrEqual(1);
  });
});
