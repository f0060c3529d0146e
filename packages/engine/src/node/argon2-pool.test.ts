import { availableParallelism } from "node:os";
import { afterEach, expect, test } from "vitest";
import { ARGON2_QUEUE_MAX, ARGON2_THREADS_MAX, Argon2Pool } from "./argon2-pool.ts";

/** RFC 9106's smallest: what is tested is who comes when. */
const job = (n: number) => ({
  password: new Uint8Array([n]),
  salt: new Uint8Array(16).fill(7),
  parameters: { memoryKiB: 8, passes: 1, parallelism: 1 },
  bytes: 32,
});
const THREADS = Math.min(ARGON2_THREADS_MAX, availableParallelism());

let pool: Argon2Pool;
afterEach(() => pool.dispose());

test("a flood of strangers is told that it is too much, and holds up nobody who is known", async () => {
  // One thread: of two, either may be slow with what it has begun.
  pool = new Argon2Pool(1);
  const order: string[] = [];
  const strangers = Array.from({ length: ARGON2_QUEUE_MAX + 1 + 10 }, (_, n) =>
    pool.hash(job(n), "stranger").then(
      () => order.push("stranger"),
      (error: unknown) => order.push((error as { code: string }).code),
    ),
  );
  const known = Array.from({ length: 5 }, (_, n) => pool.hash(job(n), "known").then(() => order.push("known")));
  await Promise.all([...strangers, ...known]);
  expect(order.filter((item) => item === "busy")).toHaveLength(10);
  // The one that had begun ends first; then all that are known.
  expect(order.filter((item) => item !== "busy").lastIndexOf("known")).toBe(5);
});

test("what asks for more memory than our slots do is done one at a time, and holds nobody else up", async () => {
  pool = new Argon2Pool(2);
  const order: string[] = [];
  const large = { memoryKiB: 64 * 1024 + 8, passes: 1, parallelism: 1 };
  const hostile = [0, 1, 2].map((n) =>
    pool.hash({ ...job(n), parameters: large }, "known").then(() => order.push("hostile")),
  );
  const honest = Array.from({ length: 6 }, (_, n) => pool.hash(job(n), "stranger").then(() => order.push("honest")));
  await Promise.all([...hostile, ...honest]);
  // With two threads at most one of the three is under way while the six are done by the other: on a busy machine it may end
  // among them, and no second one does.
  expect(order.slice(0, 5).filter((who) => who === "hostile").length).toBeLessThanOrEqual(1);
});

test("never more than the named number of threads work, and each answer is its own question's", async () => {
  pool = new Argon2Pool();
  const keys = await Promise.all(Array.from({ length: 12 }, (_, n) => pool.hash(job(n % 6), "known")));
  expect(pool.threads).toBeLessThanOrEqual(THREADS);
  const texts = keys.map((key) => Buffer.from(key).toString("hex"));
  expect(new Set(texts).size).toBe(6);
  for (let n = 0; n < 6; n++) expect(texts[n]).toBe(texts[n + 6]);
});
