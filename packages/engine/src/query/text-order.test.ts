import fc from "fast-check";
import { expect, test } from "vitest";
import { extent } from "../testing/extent.ts";
import { TextOrder } from "./text-order.ts";

let turns = 0;
const pace = { isOver: () => ++turns % 3 === 0, take: async () => undefined };
const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Messages with texts, of which some go. */
class Messages {
  readonly texts = new Map<number, string>();
  readonly gone = new Set<number>();
  reads = 0;

  isHeld(key: number): boolean {
    return !this.gone.has(key);
  }

  async readTexts(keys: readonly number[]): Promise<readonly string[]> {
    this.reads += keys.length;
    for (const key of keys) if (this.gone.has(key)) throw new Error("nobody can read it");
    return keys.map((key) => this.texts.get(key)!);
  }

  async ask(of: TextOrder, keys: readonly number[]): Promise<number[]> {
    const missing = of.missing(keys);
    if (missing.length > 0)
      await of.add(
        missing,
        missing.map((key) => this.texts.get(key)!),
        this,
        pace,
      );
    return [...of.ranksOf(Uint32Array.from(keys))];
  }
}

test("ranks are in the order of texts, whichever messages come, go, and are asked for", async () => {
  const step = fc.record({
    come: fc.array(fc.tuple(fc.nat({ max: 300 }), fc.string({ unit: fc.constantFrom("a", "b", "é"), maxLength: 4 })), {
      maxLength: 12,
    }),
    go: fc.array(fc.nat({ max: 300 }), { maxLength: 3 }),
    asked: fc.func(fc.boolean()),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const messages = new Messages();
      const of = new TextOrder();
      for (const { come, go, asked } of steps) {
        for (const [key, text] of come) if (!messages.texts.has(key)) messages.texts.set(key, text);
        for (const key of go) messages.gone.add(key);
        const keys = [...messages.texts.keys()].filter((key) => !messages.gone.has(key) && asked(key));
        const ranks = await messages.ask(of, keys);
        for (const [a, one] of keys.entries())
          for (const [b, other] of keys.entries())
            expect(Math.sign(ranks[a]! - ranks[b]!)).toBe(order(messages.texts.get(one)!, messages.texts.get(other)!));
      }
    }),
    { numRuns: extent(200, 40) },
  );
});

test("what is known is not read again, and few that are new look at few that are there", async () => {
  const messages = new Messages();
  const of = new TextOrder();
  const keys = Array.from({ length: 1000 }, (_, key) => key);
  for (const key of keys) messages.texts.set(key, `${(key * 7919) % 1009}`);
  await messages.ask(of, keys);
  await messages.ask(of, keys.slice(7));
  expect(messages.reads).toBe(0);
  // Two alike are looked up once.
  for (const key of [1000, 1001]) messages.texts.set(key, "500a");
  await messages.ask(of, [...keys, 1000, 1001]);
  expect(messages.reads).toBeGreaterThan(5);
  expect(messages.reads).toBeLessThanOrEqual(10);
  // Very many are sorted with all others, each of which is read once.
  messages.reads = 0;
  for (let key = 2000; key < 2500; key++) messages.texts.set(key, `x${key}`);
  await messages.ask(of, [...messages.texts.keys()]);
  expect(messages.reads).toBe(1002);
});

test("what went is not looked at, nor is another in its place", async () => {
  const messages = new Messages();
  const of = new TextOrder();
  const keys = Array.from({ length: 200 }, (_, key) => key);
  for (const key of keys) messages.texts.set(key, String(key).padStart(3, "0"));
  await messages.ask(of, keys);
  for (let key = 0; key < 200; key++) if (key % 3 > 0) messages.gone.add(key);
  const left = keys.filter((key) => !messages.gone.has(key));
  for (const [key, text] of [
    [200, "0990"],
    [201, "0500"],
    [202, "1970"],
  ] as const) {
    messages.texts.set(key, text);
    left.push(key);
    const ranks = await messages.ask(of, left);
    const sorted = left.toSorted((a, b) => order(messages.texts.get(a)!, messages.texts.get(b)!));
    expect(left.toSorted((a, b) => ranks[left.indexOf(a)]! - ranks[left.indexOf(b)]!)).toEqual(sorted);
  }
});

test("what can't be read now changes nothing", async () => {
  const messages = new Messages();
  const of = new TextOrder();
  for (let key = 0; key < 100; key++) messages.texts.set(key, `${key % 50}`);
  const known = [...messages.texts.keys()];
  const ranks = await messages.ask(of, known);
  messages.texts.set(100, "255");
  const failing = { isHeld: () => true, readTexts: () => Promise.reject(new Error("away")) };
  await expect(of.add([100], ["255"], failing, pace)).rejects.toThrow("away");
  expect([...of.ranksOf(Uint32Array.from(known))]).toEqual(ranks);
  expect(of.missing([...known, 100])).toEqual([100]);
  const all = await messages.ask(of, [...known, 100]);
  expect(all.slice(0, -1)).toEqual(ranks.map((rank) => (rank >= all.at(-1)! ? rank + 1 : rank)));
});
