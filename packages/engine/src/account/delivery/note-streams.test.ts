import { expect, test } from "vitest";
import { MemoryPlace } from "../../storage/memory.ts";
import { clock, dropbox, mailText, makeAccount, open, stream, textsOf } from "../../testing/account-kit.ts";
import type { Account } from "../account.ts";
import { encodeReport } from "../outbound/report.ts";
import { UNVERIFIED } from "./note-reader.ts";

/** Streams of delivering processes that ended long ago leave the state: docs/rules.md §5. */
const DAY_MS = 86_400_000;
const notesIn = (place: MemoryPlace): [string, Uint8Array][] =>
  [...place.objects].filter(([name]) => name.includes("/note/")).map(([name, { bytes }]) => [name, bytes]);
const streamsOf = (account: Account): number => account.mail.state.streams.size;

/** An account that knows when notes come, and what its first process delivered. */
async function makeScene() {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const account = await open(place, ring());
  await account.upkeep.checkpoint();
  const deliver = async (n: number): Promise<void> => {
    await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(n)));
  };
  await deliver(1);
  const delivered = notesIn(place);
  await account.refresh();
  await account.upkeep.checkpoint();
  return { place, ring, user, account, deliver, delivered };
}

async function pass(account: Account, days: number): Promise<void> {
  for (let half = 0; half < 4; half++) {
    clock.now += (days * DAY_MS) / 4;
    await account.upkeep.run();
  }
}

test("a stream that was silent for ninety days is forgotten, by each process and each opening alike", async () => {
  const { place, ring, account, deliver } = await makeScene();
  const other = await open(place, ring());
  await pass(account, 80);
  await deliver(2);
  await account.refresh();
  await account.upkeep.checkpoint();
  expect(streamsOf(account)).toBe(2);
  await pass(account, 20);
  await deliver(3);
  await account.refresh();
  await account.upkeep.checkpoint();
  expect(streamsOf(account)).toBe(2);
  await other.refresh();
  const late = await open(place, ring());
  for (const one of [other, late]) {
    expect([...one.mail.state.streams]).toEqual([...account.mail.state.streams]);
    expect(one.mail.state.silentBefore).toBe(account.mail.state.silentBefore);
  }
  expect(await textsOf(account, "INBOX")).toEqual([1, 2, 3].map((n) => mailText(n)));
  for (const one of [account, other, late]) await one.dispose();
});

test("a note of such a stream that the store shows again is taken for a stranger's", async () => {
  const { place, account, deliver, delivered } = await makeScene();
  await pass(account, 100);
  await deliver(2);
  await account.refresh();
  await account.upkeep.checkpoint();
  await pass(account, 3);
  for (const [name, bytes] of delivered) place.write(name, bytes);
  await account.retryNotes();
  expect(await textsOf(account, "INBOX")).toEqual([mailText(1), mailText(2)]);
  expect(await textsOf(account, UNVERIFIED)).toEqual([mailText(1)]);
  await account.dispose();
});

test("a report of such a stream that the store shows again has no effect", async () => {
  const { place, account, deliver, user } = await makeScene();
  const box = dropbox(place, user);
  await box.report(encodeReport({ id: "0".repeat(32), state: "sent", atMs: 1, recipients: [] }));
  const reports = notesIn(place);
  await account.refresh();
  await pass(account, 100);
  await deliver(2);
  await account.refresh();
  await account.upkeep.checkpoint();
  await pass(account, 3);
  const known = streamsOf(account);
  for (const [name, bytes] of reports) place.write(name, bytes);
  await account.retryNotes();
  expect(streamsOf(account)).toBe(known);
  expect(await textsOf(account, "INBOX")).toEqual([mailText(1), mailText(2)]);
  await account.dispose();
});

test("a process that runs on for longer than that misses none of its own deliveries", async () => {
  const { place, ring, user } = await makeScene();
  const account = await open(place, ring());
  const box = dropbox(place, user);
  const deliver = (n: number): Promise<void> => box.deliver(new Uint8Array(0), stream(mailText(n)));
  for (const n of [2, 3, 4]) await deliver(n);
  await account.refresh();
  await pass(account, 100);
  await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(5)));
  await account.refresh();
  await account.upkeep.checkpoint();
  expect(streamsOf(account)).toBe(1);
  await deliver(6);
  await deliver(7);
  await account.refresh();
  expect([...account.mail.state.streams.values()].map(({ missing }) => missing.size)).toEqual([0, 0]);
  await pass(account, 2);
  await account.retryNotes();
  expect(await textsOf(account, "INBOX")).toEqual([1, 2, 3, 4, 5, 6, 7].map((n) => mailText(n)));
  await account.dispose();
});

test("a process that delivers now and then goes on with its stream", async () => {
  const { place, user, account } = await makeScene();
  const box = dropbox(place, user);
  for (const n of [2, 3, 4]) {
    await box.deliver(new Uint8Array(0), stream(mailText(n)));
    await account.refresh();
    expect(streamsOf(account)).toBe(2);
    clock.now += 20 * DAY_MS;
  }
  clock.now += 20 * DAY_MS;
  await box.deliver(new Uint8Array(0), stream(mailText(5)));
  await account.refresh();
  expect(streamsOf(account)).toBe(3);
  await account.dispose();
});

test("streams wait while notes do: mail that waited for its owner for half a year is no stranger's", async () => {
  const { place, ring, account, deliver } = await makeScene();
  await account.dispose();
  clock.now += 10 * DAY_MS;
  await deliver(2);
  clock.now += 180 * DAY_MS;
  const back = await open(place, ring());
  // Before a look at what waits.
  await back.upkeep.checkpoint();
  expect(back.mail.state.silentBefore).toBe(0);
  await back.refresh();
  expect(await textsOf(back, "INBOX")).toEqual([mailText(1), mailText(2)]);
  await back.upkeep.checkpoint();
  expect(streamsOf(back)).toBe(2);
  await deliver(3);
  await back.refresh();
  await back.upkeep.checkpoint();
  expect(streamsOf(back)).toBe(1);
  expect(await textsOf(back, "INBOX")).toContain(mailText(3));
  await back.dispose();
});

test.each([false, true])(
  "clocks of both that were a year ahead make no stranger of anybody (with mail then: %s)",
  async (withMail) => {
    let ahead = 0;
    const place = new MemoryPlace(() => clock.now++ + ahead);
    const { ring, user } = await makeAccount(place);
    const now = (): number => clock.now++ + ahead;
    const account = await open(place, ring(), { now });
    await account.upkeep.checkpoint();
    const box = dropbox(place, user, undefined, undefined, now);
    await box.deliver(new Uint8Array(0), stream(mailText(1)));
    await account.refresh();
    ahead = 365 * DAY_MS;
    if (withMail) await box.deliver(new Uint8Array(0), stream(mailText(2)));
    await account.refresh();
    await account.upkeep.checkpoint();
    ahead = 0;
    expect(account.mail.state.silentBefore > clock.now).toBe(withMail);
    for (const [n, by] of [box, dropbox(place, user)].entries()) {
      await by.deliver(new Uint8Array(0), stream(mailText(3 + n)));
      // Beyond the last note: times went back.
      await account.retryNotes();
    }
    expect(await textsOf(account, "INBOX")).toEqual((withMail ? [1, 2, 3, 4] : [1, 3, 4]).map((n) => mailText(n)));
    for (const { missing } of account.mail.state.streams.values()) expect(missing.size).toBe(0);
    await account.dispose();
  },
);

test.each(["host", "store"])("a clock of the %s that is a year ahead makes no stranger of anybody", async (whose) => {
  const place = new MemoryPlace(() => clock.now++ + (whose === "store" ? 365 * DAY_MS : 0));
  const { ring, user } = await makeAccount(place);
  const now = (): number => clock.now++ + (whose === "host" ? 365 * DAY_MS : 0);
  const account = await open(place, ring(), { now });
  await account.upkeep.checkpoint();
  await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(1)));
  await account.refresh();
  await account.upkeep.checkpoint();
  expect(streamsOf(account)).toBe(1);
  await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(2)));
  await account.refresh();
  expect(await textsOf(account, "INBOX")).toEqual([mailText(1), mailText(2)]);
  await account.dispose();
});
