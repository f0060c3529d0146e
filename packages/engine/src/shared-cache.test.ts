import { expect, test } from "vitest";
import { CacheRoom, SharedCache } from "./shared-cache.ts";

test("all caches of a room keep to its bytes; what was used longest ago goes first", async () => {
  const room = new CacheRoom(100);
  const [one, two] = [new SharedCache<string, string>(room), new SharedCache<string, string>(room)];
  const read = (value: string) => async () => ({ value, bytes: 40 });
  await one.get("a", read("A"));
  await two.get("b", read("B"));
  expect(one.peek("a")).toBe("A");
  await one.get("c", read("C"));
  expect([one.peek("a"), two.peek("b"), one.peek("c")]).toEqual(["A", undefined, "C"]);
  one.keep("a", { value: "A again", bytes: 50 });
  expect([one.peek("a"), one.peek("c")]).toEqual(["A again", "C"]);
});

test("what is used again and again stays, while others come into the room", () => {
  const room = new CacheRoom(100);
  const [one, two] = [new SharedCache<string, string>(room), new SharedCache<number, string>(room)];
  one.keep("a", { value: "A", bytes: 40 });
  for (let n = 0; n < 9; n++) {
    expect(one.peek("a")).toBe("A");
    two.keep(n, { value: "B", bytes: 40 });
  }
});

test("who asks while a value is read waits for the same; a failure is told, and not kept", async () => {
  const cache = new SharedCache<string, number>(new CacheRoom(100));
  let reads = 0;
  const read = async () => {
    reads++;
    if (reads === 1) throw new RangeError("damaged");
    return { value: reads, bytes: 1 };
  };
  const failed = [cache.get("a", read), cache.get("a", read)];
  for (const one of failed) await expect(one).rejects.toThrow("damaged");
  expect(await Promise.all([cache.get("a", read), cache.get("a", read)])).toEqual([2, 2]);
});

test("what is being read when the cache is disposed is given to who asked, and kept no more", async () => {
  const cache = new SharedCache<string, string>(new CacheRoom(100));
  let end: () => void = () => undefined;
  const reading = cache.get("a", async () => {
    await new Promise<void>((resolve) => {
      end = resolve;
    });
    return { value: "plain text", bytes: 10 };
  });
  cache.keep("b", { value: "more of it", bytes: 10 });
  cache.dispose();
  end();
  expect(await reading).toBe("plain text");
  expect([cache.peek("a"), cache.peek("b")]).toEqual([undefined, undefined]);
});
