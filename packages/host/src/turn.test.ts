import { expect, test } from "vitest";
import { takeTurn } from "./turn.ts";

test("however many work, one round of the event loop has time for a few steps of theirs, and each has its turn", async () => {
  let stepsOfRound = 0;
  let longest = 0;
  let isOver = false;
  const round = (): void => {
    longest = Math.max(longest, stepsOfRound);
    stepsOfRound = 0;
    if (!isOver) setImmediate(round);
  };
  setImmediate(round);
  const ended: number[] = [];
  const work = async (worker: number): Promise<void> => {
    await takeTurn();
    for (let step = 0; step < 4; step++) {
      for (const end = performance.now() + 2; performance.now() < end; );
      stepsOfRound++;
      await takeTurn();
    }
    ended.push(worker);
  };
  // All begin in one round, which therefore has a step of each.
  const workers = Array.from({ length: 30 }, (_, worker) => work(worker));
  await new Promise((resolve) => setImmediate(resolve));
  longest = 0;
  await Promise.all(workers);
  isOver = true;
  expect(longest).toBeLessThan(10);
  expect(ended).toHaveLength(30);
});
