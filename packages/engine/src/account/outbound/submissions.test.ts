import { expect, onTestFinished, test, vi } from "vitest";
import { Contents } from "../../mail/contents/contents.ts";
import { collect } from "../../streams.ts";
import { stream } from "../../testing/account-kit.ts";
import { HandTime, settle } from "../../testing/hand-time.ts";
import { FIRST, setUpAda } from "../../testing/ways-in-kit.ts";
import { Accounts } from "../sign-in/accounts.ts";
import { OutboundQueue } from "./queue.ts";
import type { Submission } from "./submission.ts";
import type { Outbound } from "./submit.ts";

const DAY = 24 * 60 * 60_000;

async function setUp(recipientsPerDay = 1_000_000) {
  const time = new HandTime();
  const ada = await setUpAda();
  ada.place.now = () => time.now();
  const store = ada.place.open();
  const base = { ...ada.tools.platform, ...time };
  const outbound: Outbound = {
    queue: new OutboundQueue({ store, platform: base, serverKey: new Uint8Array(32).fill(7) }),
    isOwn: async () => true,
    limits: { bytesMax: 1e6, recipientsMax: 9, recipientsPerDay, holdMsMax: 30 * DAY, undoMs: 1000 },
  };
  const accounts = new Accounts({ ...ada.tools, store, platform: { ...base, outbound } });
  const session = await accounts.login("ada@example.org", FIRST, "");
  const bytes = Buffer.from("From: ada@example.org\r\nDate: 0\r\nMessage-ID: <x@y>\r\n\r\nhello\r\n");
  const submit = (...addresses: readonly string[]): Promise<Submission> =>
    session.submit({
      envelope: {
        mailFrom: "ada@example.org",
        recipients: addresses.map((address) => ({ address, notify: undefined })),
      },
      message: {
        size: bytes.length,
        async *read(start, end) {
          yield bytes.subarray(start, end);
        },
      },
    });
  const queue = outbound.queue;
  const queued = async (): Promise<string[]> => {
    const texts: string[] = [];
    for await (const place of queue.list())
      texts.push(Buffer.from(await collect(queue.read((await queue.open(place))!.mail))).toString("latin1"));
    return texts;
  };
  const ids = async (): Promise<string[]> => (await session.submissions()).map(({ id }) => id);
  return { ...ada, time, session, accounts, submit, ids, queued };
}

test("a submission costs no look at those before it, however many they are", async () => {
  const { submit } = await setUp();
  const values = vi.spyOn(Contents.prototype, "readValue");
  onTestFinished(() => void vi.restoreAllMocks());
  const costs: number[] = [];
  for (let n = 0; n < 60; n++) {
    const before = values.mock.calls.length;
    await submit("bob@x.org");
    await settle();
    costs.push(values.mock.calls.length - before);
  }
  // The one before it, which the index learns of, and its own mark.
  expect(Math.max(...costs)).toBeLessThanOrEqual(2);
});

test("recipients of the last day count, also those of submissions that were forgotten", async () => {
  const { session, submit, time } = await setUp(4);
  const { id } = await submit("1@x.org", "2@x.org", "3@x.org");
  const refusal = { reason: "forbiddenToSend" };
  await expect(submit("4@x.org", "5@x.org")).rejects.toMatchObject(refusal);
  await session.forgetSubmissions([id]);
  await expect(submit("4@x.org", "5@x.org")).rejects.toMatchObject(refusal);
  await submit("4@x.org");
  await time.pass(DAY - 1);
  await expect(submit("8@x.org")).rejects.toMatchObject(refusal);
  await time.pass(1);
  await submit("8@x.org");
});

test("what was settled a month ago is forgotten with the next submission; what waits yet is not", async () => {
  const { session, submit, ids, time } = await setUp();
  const [settled, waiting] = [await submit("1@x.org"), await submit("2@x.org")];
  expect(await session.cancelSubmission(settled.id)).toBe(true);
  await time.pass(30 * DAY);
  const third = await submit("3@x.org");
  expect((await ids()).sort()).toEqual([settled.id, waiting.id, third.id].sort());
  await time.pass(1001);
  const fourth = await submit("4@x.org");
  expect((await ids()).sort()).toEqual([waiting.id, third.id, fourth.id].sort());
});

test("a repeat that comes while the first is under way is the same mail", async () => {
  const { session, queued } = await setUp();
  const bytes = Buffer.from("From: ada@example.org\r\n\r\nonce\r\n");
  const request = {
    envelope: { mailFrom: "ada@example.org", recipients: [{ address: "b@x.org", notify: undefined }] },
    message: {
      size: bytes.length,
      async *read(start: number, end: number) {
        yield bytes.subarray(start, end);
      },
    },
    repeatKey: "phone 1",
  };
  const all = await Promise.all(Array.from({ length: 5 }, () => session.submit(request)));
  expect(new Set(all.map(({ id }) => id)).size).toBe(1);
  expect(await queued()).toHaveLength(1);
});

/** An email of the account that was submitted. */
async function submitEmail({ session }: Pick<Awaited<ReturnType<typeof setUp>>, "session">, text: string) {
  const prepared = await session.prepare(stream(text), { mailbox: "Drafts", flags: [] });
  await session.append(session.getMailbox("Drafts").id, prepared);
  const view = session.openView(session.getMailbox("Drafts").id, { readOnly: false });
  const email = { id: prepared.email.id, thread: new Uint8Array(8) };
  const envelope = { mailFrom: "ada@example.org", recipients: [{ address: "b@x.org", notify: undefined }] };
  const one = await session.submit({ email, envelope, message: await session.openBody(view.message(0)) });
  return { one, view };
}

test("what was submitted goes, also when its draft is gone by then", async () => {
  const world = await setUp();
  const text = "From: ada@example.org\r\nDate: 0\r\nMessage-ID: <x@y>\r\n\r\nthe first words\r\n";
  const { view } = await submitEmail(world, text);
  await view.expunge();
  expect(await world.queued()).toEqual([text]);
});

test("one that was never queued is sent by the next opening within six days, and told as failed after that", async () => {
  for (const [days, isSent] of [
    [5, true],
    [7, false],
  ] as const) {
    const world = await setUp();
    const killed = { size: 0, put: () => Promise.reject(new Error("killed")) };
    const put = vi.spyOn(OutboundQueue.prototype, "prepare").mockResolvedValueOnce(killed);
    await expect(submitEmail(world, "From: ada@example.org\r\n\r\nhello\r\n")).rejects.toThrow("killed");
    put.mockRestore();
    world.session.close();
    await world.accounts.dispose();
    await world.time.pass(days * DAY);
    const again = await world.accounts.login("ada@example.org", FIRST, "");
    await settle();
    const [one] = await again.submissions();
    expect([days, (await world.queued()).length, one!.undoStatus]).toEqual([
      days,
      isSent ? 1 : 0,
      isSent ? "pending" : "canceled",
    ]);
    if (!isSent) expect(one!.recipients[0]).toMatchObject({ state: "failed", delivered: "no" });
    again.close();
  }
});
