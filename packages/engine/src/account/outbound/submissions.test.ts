import { expect, onTestFinished, test, vi } from "vitest";
import { Contents } from "../../mail/contents/contents.ts";
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
  const ids = async (): Promise<string[]> => (await session.submissions()).map(({ id }) => id);
  return { time, session, submit, ids };
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
