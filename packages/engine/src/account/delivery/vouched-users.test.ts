import { expect, test } from "vitest";
import { makeRing, type RecipientRecord, recipientRecord, rotateRing } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { crypto, MemoryUsers } from "../../testing/account-kit.ts";
import type { LogEvent } from "../platform.ts";
import { trustRecord, VouchedUsers } from "./vouched-users.ts";

const ADDRESS = "ada@example.org";

/** A directory that shows what it is told to, and a host that delivers by it. */
function setUp(seen = new MemoryUsers()) {
  const shown: { record: RecipientRecord | undefined } = { record: undefined };
  const events: LogEvent[] = [];
  const directory = {
    find: async (address: string) => shown.record && { address, record: shown.record },
  };
  const users = new VouchedUsers(directory, seen, (event) => events.push(event));
  const show = (record: RecipientRecord | undefined) => {
    shown.record = record;
    return users.find(ADDRESS);
  };
  return { show, seen, events, again: () => setUp(seen) };
}

test("the first record of an address is believed, and those that follow it; another is refused and logged, time and again", async () => {
  const { show, seen, events, again } = setUp();
  const ring = makeRing(crypto);
  const [first, second] = [recipientRecord(ring), recipientRecord(rotateRing(crypto, ring))];
  const forged = { ...recipientRecord(makeRing(crypto)), account: first.account };
  expect((await show(first))?.record).toBe(first);
  for (const bad of [
    forged,
    { ...forged, keyVersion: 9 },
    { ...first, proof: undefined },
    { ...forged, proof: undefined },
  ]) {
    await expect(show(bad)).rejects.toMatchObject({ code: "unavailable" });
    await expect(show(bad)).rejects.toMatchObject({ code: "unavailable" });
  }
  expect(events.filter(({ event }) => event === "recipient record refused")).toHaveLength(8);
  expect((await show(second))?.record).toBe(second);
  // A record that was replaced is refused like any other.
  await expect(show(first)).rejects.toMatchObject({ code: "unavailable" });
  // Another process of the host knows it too.
  const later = again();
  await expect(later.show(forged)).rejects.toMatchObject({ code: "unavailable" });
  await expect(later.show(first)).rejects.toMatchObject({ code: "unavailable" });
  expect((await later.show(second))?.record).toBe(second);
  expect(await later.show(undefined)).toBeUndefined();
  expect(seen.users).toHaveLength(1);
});

test("a record whose own signature is bad is not even believed at first sight", async () => {
  const { show, seen } = setUp();
  const record = recipientRecord(makeRing(crypto));
  const other = recipientRecord(makeRing(crypto));
  await expect(show({ ...record, proof: other.proof })).rejects.toMatchObject({ code: "unavailable" });
  expect(seen.users).toEqual([]);
});

test("the operator's trust replaces what was seen, at once and for all processes", async () => {
  const { show, seen, again } = setUp();
  const [old, fresh] = [recipientRecord(makeRing(crypto)), recipientRecord(makeRing(crypto))];
  await show(old);
  await expect(show(fresh)).rejects.toMatchObject({ code: "unavailable" });
  expect(await trustRecord(seen, { address: ADDRESS, record: fresh })).toBe(true);
  expect(await trustRecord(seen, { address: ADDRESS, record: fresh })).toBe(false);
  expect((await show(fresh))?.record).toBe(fresh);
  await expect(again().show(old)).rejects.toMatchObject({ code: "unavailable" });
});

test("two processes that see an address first at once agree on the record", async () => {
  const seen = new MemoryUsers();
  const add = seen.add.bind(seen);
  // As a folder does.
  seen.add = async (user) => {
    if (seen.users.length > 0) throw new EngineError("already-exists", "taken");
    await add(user);
  };
  const [here, there] = [setUp(seen), setUp(seen)];
  const [one, other] = [recipientRecord(makeRing(crypto)), recipientRecord(makeRing(crypto))];
  const results = await Promise.allSettled([here.show(one), there.show(other)]);
  expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  expect(seen.users).toHaveLength(1);
});

test("what is shown again costs no look at what was seen, and writes nothing; a process that starts writes nothing either", async () => {
  const { show, seen, again } = setUp();
  const record = recipientRecord(makeRing(crypto));
  let [looks, writes] = [0, 0];
  const { find, update } = seen;
  seen.find = (address) => {
    looks++;
    return find.call(seen, address);
  };
  seen.update = (user) => {
    writes++;
    return update.call(seen, user);
  };
  for (let n = 0; n < 3; n++) await show(record);
  expect([looks, writes]).toEqual([1, 0]);
  await again().show({ ...record });
  expect([looks, writes]).toEqual([2, 0]);
});

test("the operator can trust what nothing was seen of, and nothing that does not sign itself", async () => {
  const seen = new MemoryUsers();
  const [record, other] = [recipientRecord(makeRing(crypto)), recipientRecord(makeRing(crypto))];
  const bad = { address: ADDRESS, record: { ...record, proof: other.proof } };
  await expect(trustRecord(seen, bad)).rejects.toMatchObject({ code: "invalid" });
  expect(seen.users).toEqual([]);
  expect(await trustRecord(seen, { address: ADDRESS, record })).toBe(false);
  expect(seen.users).toHaveLength(1);
});
