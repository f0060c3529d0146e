import { expect, test } from "vitest";
import { limited, serial } from "./serial.ts";

/** Pieces of work that tell of their begin, and end when they are told to. */
function pieces() {
  const begun: number[] = [];
  const ends = new Map<number, (error?: Error) => void>();
  const work = (n: number) => async (): Promise<number> => {
    begun.push(n);
    await new Promise<void>((resolve, reject) => ends.set(n, (error) => (error ? reject(error) : resolve())));
    return n;
  };
  const end = async (n: number, error?: Error): Promise<void> => {
    ends.get(n)!(error);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { begun, work, end };
}

test("so many at once, the others in their order; one that fails frees its place", async () => {
  const { begun, work, end } = pieces();
  const inTurn = limited(2);
  const results = [1, 2, 3, 4].map((n) => inTurn(work(n)).catch((error: Error) => error.message));
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun).toEqual([1, 2]);
  await end(2, new Error("two failed"));
  expect(begun).toEqual([1, 2, 3]);
  await end(3);
  await end(1);
  await end(4);
  expect(await Promise.all(results)).toEqual([1, "two failed", 3, 4]);
  // All places are free again.
  const again = [5, 6, 7].map((n) => inTurn(work(n)));
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun).toEqual([1, 2, 3, 4, 5, 6]);
  for (const n of [5, 6, 7]) await end(n);
  await Promise.all(again);
});

test("one after the other, also after one that failed", async () => {
  const { begun, work, end } = pieces();
  const inTurn = serial();
  const results = [1, 2].map((n) => inTurn(work(n)).catch((error: Error) => error.message));
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun).toEqual([1]);
  await end(1, new Error("one failed"));
  expect(begun).toEqual([1, 2]);
  await end(2);
  expect(await Promise.all(results)).toEqual(["one failed", 2]);
});
