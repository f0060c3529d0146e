import fc from "fast-check";
import { expect, test } from "vitest";
import { RowChains } from "./row-chains.ts";
import { sortInSteps } from "./sort-in-steps.ts";

const pace = { isOver: () => true, take: async () => undefined };

test("however many numbers there are, they are sorted, and equals keep their order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 1, max: 300 }), async (length, kinds) => {
      const numbers = Uint32Array.from({ length }, (_, at) => (at * 7919) % 5003);
      const compare = (a: number, b: number): number => (a % kinds) - (b % kinds);
      const naive = Array.from(numbers).sort(compare);
      expect(Array.from(await sortInSteps(numbers, compare, pace))).toEqual(naive);
    }),
    { numRuns: 40 },
  );
});

test("chains grow and keep what they had", () => {
  const chains = new RowChains();
  for (let row = 0; row < 1000; row++) chains.push(row % 300, row);
  expect([...chains.of(7)]).toEqual([907, 607, 307, 7]);
  expect([...chains.of(299)]).toEqual([899, 599, 299]);
  expect([...chains.of(5000)]).toEqual([]);
});
