import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { crypto } from "../../testing/account-kit.ts";
import { DELAY_MAX_MS, FIRST_DELAY_MS, FORGET_MS, Throttle, type Try } from "./throttle.ts";

const HERE = "192.0.2.1";

/** A throttle whose clock stands until `pass` is called. */
function setUp() {
  let now = 0;
  const sleepers = new Set<{ readonly until: number; readonly wake: () => void }>();
  const delay = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const sleeper = { until: now + ms, wake: resolve };
      sleepers.add(sleeper);
      signal?.addEventListener("abort", () => {
        sleepers.delete(sleeper);
        resolve();
      });
    });
  const throttle = new Throttle({ crypto, monotonic: () => now, delay });
  /** The order in which tries went on, and when. */
  const went: (readonly [string, number])[] = [];
  const begin = (password: string, address = HERE): Try => {
    const guess = throttle.begin("ada", address, password);
    void guess.turn().then(() => went.push([password, now]));
    return guess;
  };
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await undefined;
  };
  const pass = async (ms: number): Promise<void> => {
    const end = now + ms;
    for (;;) {
      await settle();
      const [next] = [...sleepers].sort((a, b) => a.until - b.until);
      if (!next || next.until > end) break;
      now = next.until;
      sleepers.delete(next);
      next.wake();
    }
    now = end;
  };
  const fail = (guess: Try): void => {
    guess.failed();
    guess[Symbol.dispose]();
  };
  const succeed = (guess: Try): void => {
    guess.succeeded();
    guess[Symbol.dispose]();
  };
  return { begin, pass, went, fail, succeed };
}

describe("wrong passwords", () => {
  test("many that begin at once wait as they would one after another, at most half a minute each", async () => {
    const { begin, pass, went, fail } = setUp();
    const guesses = Array.from({ length: 12 }, (_, n) => begin(`guess ${n}`));
    await pass(0);
    expect(went.map(([password]) => password)).toEqual(["guess 0"]);
    fail(guesses[0]!);
    await pass(4 * FIRST_DELAY_MS);
    expect(went.map(([, at]) => at)).toEqual([0, 1, 2, 4].map((times) => times * FIRST_DELAY_MS));
    await pass(DELAY_MAX_MS);
    expect(went).toHaveLength(12);
    expect(went.at(-1)).toEqual(["guess 11", DELAY_MAX_MS]);
  });

  test("what was tried before counts for all that begin afterwards; another address does not wait", async () => {
    const { begin, pass, went, fail } = setUp();
    const guesses = ["one", "two"].map((password) => begin(password));
    await pass(FIRST_DELAY_MS);
    for (const guess of guesses) fail(guess);
    went.length = 0;
    begin("three");
    begin("elsewhere", "192.0.2.2");
    await pass(DELAY_MAX_MS);
    expect(went).toEqual([
      ["elsewhere", FIRST_DELAY_MS],
      ["three", 3 * FIRST_DELAY_MS],
    ]);
  });

  test("one that is tried by several connections at once is counted once, and again when it comes again", async () => {
    const { begin, pass, went, fail } = setUp();
    for (const guess of Array.from({ length: 5 }, () => begin("old"))) fail(guess);
    begin("old");
    await pass(FIRST_DELAY_MS);
    expect(went.at(-1)).toEqual(["old", FIRST_DELAY_MS]);
    expect(went.slice(0, -1).every(([, at]) => at === 0)).toBe(true);
  });

  test("a try of which nobody could say whether it was right leaves no trace", async () => {
    const { begin, pass, went } = setUp();
    const [first] = ["one", "two"].map((password) => begin(password));
    first![Symbol.dispose]();
    await pass(0);
    expect(went).toEqual([
      ["one", 0],
      ["two", 0],
    ]);
  });
});

test("what is remembered of wrong passwords is small, whatever name was given, and goes with the next when it is old", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  let now = 0;
  const throttle = new Throttle({ crypto, monotonic: () => now, delay: async () => undefined });
  const failAs = (user: string): void => {
    using guess = throttle.begin(user, HERE, "wrong");
    guess.failed();
  };
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let n = 0; n < 1000; n++) failAs(`${"u".repeat(60_000)}${n}`);
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(5 * 2 ** 20);
  expect(throttle.remembered).toBe(1000);
  now = FORGET_MS + 1;
  failAs("ada");
  expect(throttle.remembered).toBe(1);
});

describe("right passwords", () => {
  test("several connections of one mail program don't wait", async () => {
    const { begin, pass, went } = setUp();
    for (let n = 0; n < 6; n++) begin("right");
    await pass(0);
    expect(went).toHaveLength(6);
  });

  test("several programs with a password each wait for no longer than the ones before them take", async () => {
    const { begin, pass, went, succeed } = setUp();
    const tries = Array.from({ length: 6 }, (_, n) => begin(`app ${n}`));
    await pass(10);
    for (const one of tries) {
      succeed(one);
      await pass(10);
    }
    expect(went).toEqual(tries.map((_, n) => [`app ${n}`, n * 10]));
  });

  test("one among wrong ones has its turn, and clears the count", async () => {
    const { begin, pass, went, fail, succeed } = setUp();
    for (const guess of Array.from({ length: 30 }, (_, n) => begin(`guess ${n}`))) fail(guess);
    const right = begin("right");
    await pass(DELAY_MAX_MS);
    expect(went.at(-1)).toEqual(["right", DELAY_MAX_MS]);
    succeed(right);
    begin("right");
    await pass(0);
    expect(went.at(-1)).toEqual(["right", DELAY_MAX_MS]);
  });
});
