import { expect, test } from "vitest";
import type { Mail } from "../../mail/mail.ts";
import { asModSeq } from "../../mail/numbers.ts";
import { Records } from "../../mail/state/records.ts";
import { SUBMISSION, type Submission } from "./submission.ts";
import { SubmissionIndex } from "./submission-index.ts";

/** An index over submissions that a test adds and takes away, how often each was asked for, and how often others had a turn. */
function setUp() {
  const state = { epoch: 0, modSeq: 0, records: new Records() };
  const all = new Map<string, Submission>();
  const asked: string[] = [];
  const counts = { turns: 0 };
  let failure: Error | undefined;
  const index = new SubmissionIndex(
    { state } as unknown as Mail,
    async (id) => {
      asked.push(id);
      await Promise.resolve();
      if (failure) throw failure;
      return all.get(id);
    },
    async () => void counts.turns++,
  );
  const write = (id: string, value: Uint8Array | undefined): void =>
    state.records.set({ type: SUBMISSION, id, modSeq: asModSeq(++state.modSeq), value: value && { bytes: value } });
  const add = (id: string, madeMs: number, ...addresses: readonly string[]): void => {
    const recipients = addresses.map((address) => ({ address }));
    all.set(id, { id, envid: `e${id}`, madeMs, sendAtMs: madeMs, recipients } as unknown as Submission);
    write(id, new Uint8Array(1));
  };
  const remove = (id: string): void => {
    all.delete(id);
    write(id, undefined);
  };
  const fail = (error: Error | undefined): void => {
    failure = error;
  };
  const to = async (...addresses: readonly string[]) => (await index.to(addresses)).map(({ id }) => id);
  return { state, asked, counts, index, add, remove, fail, to };
}

test("what went to an address comes the newest first, each once, however it is written", async () => {
  const { add, to } = setUp();
  add("a", 1, "bob@x.org", "BOB@X.org");
  add("c", 3, "bob@x.org", "eve@x.org");
  add("d", 2, "eve@x.org");
  add("b", 2, "Bob@x.org");
  expect(await to("bob@X.org")).toEqual(["c", "b", "a"]);
  expect(await to("eve@x.org", "bob@x.org")).toEqual(["c", "b", "d", "a"]);
  expect(await to("mallory@x.org")).toEqual([]);
});

test("each is read once, by many who ask at once too; what came later is found, and what changed is not read again", async () => {
  const { add, asked, index, to } = setUp();
  add("a", 1, "bob@x.org");
  await Promise.all([to("bob@x.org"), index.ofEnvelope("ea"), to("eve@x.org"), index.recipientsSince(0)]);
  expect(await to("bob@x.org")).toEqual(["a"]);
  add("b", 2, "bob@x.org");
  add("a", 1, "bob@x.org");
  expect((await index.ofEnvelope("eb"))?.id).toBe("b");
  expect(await index.ofEnvelope("e")).toBeUndefined();
  expect(asked).toEqual(["a", "b"]);
});

test("one that its owner forgot is found no more, and counts as long as it would have", async () => {
  const { add, remove, index, to } = setUp();
  add("a", 1, "bob@x.org", "eve@x.org");
  add("b", 2, "bob@x.org");
  expect(await index.recipientsSince(0)).toBe(3);
  remove("a");
  expect(await index.recipientsSince(0)).toBe(3);
  expect(await index.recipientsSince(1)).toBe(1);
  expect(await to("bob@x.org", "eve@x.org")).toEqual(["b"]);
  expect(await index.ofEnvelope("ea")).toBeUndefined();
  expect((await index.dueBefore(9)).map(({ id }) => id)).toEqual(["b"]);
});

test("recipients are counted from a time on, and what was due before one comes the oldest first", async () => {
  const { add, index } = setUp();
  add("a", 30, "bob@x.org", "eve@x.org");
  add("b", 20, "bob@x.org");
  add("c", 10, "bob@x.org");
  expect(await Promise.all([9, 10, 20, 30].map((at) => index.recipientsSince(at)))).toEqual([4, 3, 2, 0]);
  expect((await index.dueBefore(30)).map(({ id }) => id)).toEqual(["c", "b"]);
});

test("history that was restored, and ends that nobody tells of any more, begin it anew", async () => {
  const { state, add, index, to } = setUp();
  add("a", 1, "bob@x.org");
  add("b", 2, "bob@x.org");
  expect(await to("bob@x.org")).toEqual(["b", "a"]);
  state.records = new Records();
  state.modSeq = 1;
  add("c", 3, "bob@x.org");
  state.epoch++;
  expect(await to("bob@x.org")).toEqual(["c"]);
  state.records = new Records();
  state.records.setType(SUBMISSION, asModSeq(9), asModSeq(9));
  state.modSeq = 9;
  expect(await index.recipientsSince(0)).toBe(0);
});

test("a store that is away fails who asks, and nobody after it", async () => {
  const { add, fail, to } = setUp();
  add("a", 1, "bob@x.org");
  fail(new Error("away"));
  await expect(to("bob@x.org")).rejects.toThrow("away");
  fail(undefined);
  expect(await to("bob@x.org")).toEqual(["a"]);
});

test("many are read in turns", async () => {
  const { add, counts, index } = setUp();
  for (let n = 0; n < 1000; n++) add(`s${n}`, n, "bob@x.org");
  expect(await index.recipientsSince(-1)).toBe(1000);
  expect(counts.turns).toBeGreaterThan(10);
});
