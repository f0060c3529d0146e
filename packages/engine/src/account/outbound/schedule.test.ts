import { expect, test } from "vitest";
import { Schedule } from "./schedule.ts";

test("what is due comes by its time, each id once and by its last time: as from a sorted list", () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  const schedule = new Schedule<{ readonly id: string; readonly dueMs: number }>();
  const model = new Map<string, number>();
  for (let step = 0; step < 20_000; step++) {
    if (random(3) > 0) {
      const item = { id: `m${random(300)}`, dueMs: random(1000) };
      schedule.set(item);
      model.set(item.id, item.dueMs);
    } else {
      const now = random(1000);
      const taken = schedule.take(now);
      const first = Math.min(...model.values());
      expect(taken?.dueMs).toBe(model.size > 0 && first <= now ? first : undefined);
      if (taken) {
        expect(model.get(taken.id)).toBe(taken.dueMs);
        model.delete(taken.id);
      }
    }
    expect([schedule.size, schedule.has("m7")]).toEqual([model.size, model.has("m7")]);
    expect(schedule.nextMs).toBe(model.size > 0 ? Math.min(...model.values()) : undefined);
  }
});

test("a hundred and fifty thousand are no trouble", () => {
  const schedule = new Schedule();
  for (let n = 0; n < 150_000; n++) schedule.set({ id: String(n), dueMs: n });
  for (let n = 0; n < 150_000; n++) expect(schedule.take(150_000)!.dueMs).toBe(n);
  expect([schedule.size, schedule.nextMs]).toEqual([0, undefined]);
});
