import { EngineError, type EngineErrorCode, type MailboxId, type Prepared } from "@restante/engine";
import { expect, test } from "vitest";
import { AppendQueue } from "./append-queue.ts";

const [SENT, DRAFTS] = ["1.1.1", "1.1.2"] as readonly string[] as [MailboxId, MailboxId];
const message = (name: string, heldBytes = 10): Prepared => ({ name, heldBytes }) as unknown as Prepared;
const nameOf = (one: Prepared): string => (one as unknown as { name: string }).name;

/** A queue, and the ops that it stored: each ends when it is told to. */
function setUp() {
  const ops: { readonly mailbox: MailboxId; readonly names: string[] }[] = [];
  const ends: ((error?: EngineErrorCode) => void)[] = [];
  let uid = 0;
  const queue = new AppendQueue(async (mailbox, prepared) => {
    ops.push({ mailbox, names: prepared.map(nameOf) });
    const code = await new Promise<EngineErrorCode | undefined>((resolve) => ends.push(resolve));
    if (code !== undefined) throw new EngineError(code, "refused");
    return { uidValidity: 7, uids: prepared.map(() => ++uid) } as unknown as Awaited<ReturnType<AppendQueue["store"]>>;
  });
  const outcomes: string[] = [];
  const store = (mailbox: MailboxId, ...prepared: Prepared[]): void => {
    const names = prepared.map(nameOf).join("");
    queue.store(mailbox, prepared).then(
      ({ uidValidity, uids }) => outcomes.push(`${names} ${uidValidity} ${uids.join(",")}`),
      (error: EngineError) => outcomes.push(`${names} ${error.code}`),
    );
  };
  const end = async (error?: EngineErrorCode): Promise<void> => {
    ends.shift()!(error);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const named = (): string[] => ops.map(({ names }) => names.join(""));
  return { store, end, ops, named, outcomes };
}

test("what comes while one op is stored goes by the next, in order, each with its uids", async () => {
  const { store, end, ops, named, outcomes } = setUp();
  for (const name of "abcd") store(SENT, message(name));
  store(SENT, message("e"), message("f"));
  store(DRAFTS, message("g"));
  store(SENT, message("h"));
  expect(named()).toEqual(["a"]);
  await end();
  expect([named(), outcomes]).toEqual([["a", "bcdef"], ["a 7 1"]]);
  await end();
  expect(ops.at(-1)).toEqual({ mailbox: DRAFTS, names: ["g"] });
  await end();
  await end();
  expect(named()).toEqual(["a", "bcdef", "g", "h"]);
  expect(outcomes).toEqual(["a 7 1", "b 7 2", "c 7 3", "d 7 4", "ef 7 5,6", "g 7 7", "h 7 8"]);
  store(SENT, message("i"));
  expect(named().at(-1)).toBe("i");
});

test("one op takes so many messages and bytes, but for a command that has more by itself", async () => {
  const { store, end, named } = setUp();
  store(SENT, message("a"));
  for (const name of "bcd") store(SENT, message(name, 400 * 1024));
  store(SENT, message("e", 2 ** 21));
  store(SENT, ...Array.from({ length: 200 }, () => message("f")));
  for (const name of "ghi") store(SENT, ...Array.from({ length: 28 }, () => message(name)));
  for (let op = 0; op < 5; op++) await end();
  const runs = named().map((names) => names.replace(/(.)\1+/g, "$1"));
  expect(runs).toEqual(["a", "bc", "d", "e", "fgh", "i"]);
});

test("where there is no room for all there may be for some; other refusals are all's", async () => {
  const { store, end, named, outcomes } = setUp();
  for (const name of "abcd") store(SENT, message(name));
  await end("over-quota");
  await end("over-quota");
  await end();
  await end("over-quota");
  await end();
  expect(named()).toEqual(["a", "bcd", "b", "c", "d"]);
  expect(outcomes).toEqual(["a over-quota", "b 7 1", "c over-quota", "d 7 2"]);
  for (const name of "efg") store(SENT, message(name));
  await end();
  await end("unavailable");
  expect([named().slice(5), outcomes.slice(4)]).toEqual([
    ["e", "fg"],
    ["e 7 3", "f unavailable", "g unavailable"],
  ]);
});

test("behind what is perhaps stored nothing is", async () => {
  const { store, end, named, outcomes } = setUp();
  store(SENT, message("a"));
  store(SENT, message("b"));
  store(DRAFTS, message("c"));
  await end("unknown-outcome");
  expect([named(), outcomes]).toEqual([["a"], ["a unknown-outcome", "b unknown-outcome", "c unknown-outcome"]]);
  for (const name of "def") store(SENT, message(name));
  store(DRAFTS, message("g"));
  await end("over-quota");
  await end("over-quota");
  await end("unknown-outcome");
  expect(named()).toEqual(["a", "d", "ef", "e"]);
  expect(outcomes.slice(3)).toEqual(["d over-quota", "e unknown-outcome", "f unknown-outcome", "g unknown-outcome"]);
});
