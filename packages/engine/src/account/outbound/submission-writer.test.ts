import { expect, test } from "vitest";
import { EngineError } from "../../errors.ts";
import type { Mail } from "../../mail/mail.ts";
import { asModSeq } from "../../mail/numbers.ts";
import type { NewRecord, StateClaim } from "../../mail/ops/op.ts";
import { Records } from "../../mail/state/records.ts";
import { decodeSubmission, SUBMISSION, type Submission } from "./submission.ts";
import { SubmissionWriter } from "./submission-writer.ts";

const MADE: Submission = {
  ...{ id: "", email: undefined, thread: undefined, identity: "", said: "", envid: "", madeMs: 0, sendAtMs: 0 },
  envelope: { mailFrom: "", recipients: [] },
  ...{ undoStatus: "pending", recipients: [], statusMails: [], readMails: [], isHanded: false },
};
const VALUE_MAX = 3000;

/** A log that takes what is pushed in one turn as one entry, and refuses claims as a real one does. */
function setUp() {
  const state = { epoch: 0, records: new Records() };
  let modSeq = 0;
  const counts = { entries: 0, conflicts: 0 };
  let entry: Promise<void> | undefined;
  let beforeEntry: () => void = () => undefined;
  const set = (records: readonly NewRecord[]): void => {
    modSeq++;
    for (const { type, id, value } of records)
      state.records.set({ type, id, modSeq: asModSeq(modSeq), value: value && { bytes: value } });
  };
  const writeRecords = async (records: readonly NewRecord[], claim?: StateClaim): Promise<void> => {
    if (records.some(({ value }) => (value?.length ?? 0) > VALUE_MAX)) throw new EngineError("too-large", "too large");
    entry ??= new Promise((resolve) =>
      setImmediate(() => {
        counts.entries++;
        entry = undefined;
        beforeEntry();
        resolve();
      }),
    );
    await entry;
    if (claim && state.records.changed(SUBMISSION) > claim.modSeq) {
      counts.conflicts++;
      throw new EngineError("conflict", "changed meanwhile");
    }
    set(records);
  };
  const find = async (id: string): Promise<Submission | undefined> => {
    const record = state.records.find(SUBMISSION, id);
    if (id === "away") throw new EngineError("unavailable", "the store is away");
    return record?.value && "bytes" in record.value ? decodeSubmission(id, record.value.bytes) : undefined;
  };
  const writer = new SubmissionWriter({ state, writeRecords } as unknown as Mail, find);
  const write = (id: string): Promise<void> => writer.write([{ ...MADE, id }], []);
  const say = (id: string, word: string): Promise<Submission | undefined> =>
    writer.change(id, (one) => ({ ...one, said: one.said + word }));
  const onEntry = (work: () => void): void => {
    beforeEntry = work;
  };
  return { counts, writer, write, say, find, set, onEntry };
}

test("what one process writes at once refuses nothing of it, and takes few entries", async () => {
  const { counts, write, say, find } = setUp();
  const all = Array.from({ length: 500 }, (_, n) => `s${n}`);
  await Promise.all(
    all.map(async (id, n) => {
      // So that there is always something new beside what changes.
      for (let turn = 0; turn < n % 10; turn++) await new Promise((resolve) => setImmediate(resolve));
      await write(id);
      await say(id, "a");
      await say(id, "b");
    }),
  );
  for (const id of all) expect((await find(id))!.said).toBe("ab");
  expect(counts.conflicts).toBe(0);
  expect(counts.entries).toBeLessThan(30);
});

test("changes of one submission are made one upon the other, in their order, and each asker has its own result", async () => {
  const { write, say, writer } = setUp();
  await write("s");
  const results = await Promise.all([say("s", "a"), say("s", "b"), writer.change("s", () => undefined), say("t", "c")]);
  expect(results.map((one) => one?.said)).toEqual(["a", "ab", "ab", undefined]);
});

test("a change upon what another process changed is made again, and given up after twenty times", async () => {
  const { counts, write, say, find, set, onEntry } = setUp();
  await write("s");
  let others = 5;
  onEntry(() => others-- > 0 && set([{ type: SUBMISSION, id: "other", value: undefined }]));
  await Promise.all([say("s", "a"), say("s", "b")]);
  expect((await find("s"))!.said).toBe("ab");
  expect(counts.conflicts).toBe(5);
  others = 1000;
  await expect(say("s", "c")).rejects.toMatchObject({ code: "conflict" });
  expect(counts.conflicts).toBe(25);
  others = 0;
  await say("s", "d");
  expect((await find("s"))!.said).toBe("abd");
});

test("one that is too large, can't be read or can't be changed fails alone", async () => {
  const { write, say, find, writer } = setUp();
  await Promise.all(["a", "b", "c"].map(write));
  const results = await Promise.allSettled([
    say("a", "1"),
    say("b", "x".repeat(VALUE_MAX)),
    say("away", "2"),
    writer.change("c", () => {
      throw new RangeError("no");
    }),
    say("c", "3"),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "rejected", "fulfilled"]);
  expect([(await find("a"))!.said, (await find("b"))!.said, (await find("c"))!.said]).toEqual(["1", "", "3"]);
});
