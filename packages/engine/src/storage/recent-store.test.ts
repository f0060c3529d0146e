import { describe, expect, test } from "vitest";
import { objectStoreContract } from "./contract.ts";
import { MemoryPlace } from "./memory.ts";
import { RecentStore } from "./recent-store.ts";

const ANY_AGE = { copyAgeMaxMs: Number.POSITIVE_INFINITY };
const bytes = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, at) => at % 251);

objectStoreContract("a store of which the newest is kept near", async () => {
  let now = 1;
  const place = new MemoryPlace(() => now++);
  const [store, other] = [new RecentStore(place.open()), place.open()];
  return { store, other, dispose: () => store.dispose() };
});

describe("log entries and notes that were just written or read", () => {
  function start(bytesMax?: number) {
    const place = new MemoryPlace(() => 7);
    return { place, other: place.open(), store: new RecentStore(place.open(), bytesMax) };
  }

  test("are read again without a request by who says that a copy will do, and by nobody else", async () => {
    const { place, other, store } = start();
    await store.putIfAbsent("a/log/1", bytes(100));
    await store.put("a/note/1", bytes(200));
    await other.put("a/note/2", bytes(300));
    await store.get("a/note/2");
    place.fault = () => ({ kind: "unavailable" });
    for (const [name, size] of [
      ["a/log/1", 100],
      ["a/note/1", 200],
      ["a/note/2", 300],
    ] as const) {
      expect(await store.get(name, undefined, ANY_AGE)).toMatchObject({ found: true, bytes: bytes(size), size });
      const part = await store.get(name, { start: 50, end: 70 }, ANY_AGE);
      expect(part).toMatchObject({ bytes: bytes(size).slice(50, 70), size, created: 7 });
      await expect(store.get(name)).rejects.toMatchObject({ code: "unavailable" });
      await expect(store.get(name, { start: 0, end: 1 })).rejects.toMatchObject({ code: "unavailable" });
    }
  });

  test("are not kept where the name was taken, or the outcome is unknown", async () => {
    const { place, other, store } = start();
    await other.putIfAbsent("a/log/1", bytes(1));
    expect(await store.putIfAbsent("a/log/1", bytes(2))).toMatchObject({ outcome: "exists" });
    expect(await store.get("a/log/1", undefined, ANY_AGE)).toMatchObject({ bytes: bytes(1) });
    place.fault = () => ({ kind: "lost-answer" });
    await expect(store.put("a/note/1", bytes(3))).rejects.toMatchObject({ code: "unknown" });
    place.fault = () => undefined;
    place.objects.delete("a/note/1");
    expect(await store.get("a/note/1", undefined, ANY_AGE)).toMatchObject({ found: false });
  });

  test("are what the store said last", async () => {
    const { place, store } = start();
    await store.put("a/note/1", bytes(1));
    await store.put("a/note/2", bytes(1));
    place.write("a/note/1", bytes(2));
    place.objects.delete("a/note/2");
    for (const name of ["a/note/1", "a/note/2"]) await store.get(name);
    expect(await store.get("a/note/1", undefined, ANY_AGE)).toMatchObject({ bytes: bytes(2) });
    expect(await store.get("a/note/2", undefined, ANY_AGE)).toMatchObject({ found: false });
  });

  test("are gone once this process deletes them", async () => {
    const { store } = start();
    await store.put("a/note/1", bytes(1));
    await store.delete(["a/note/1"]);
    expect(await store.get("a/note/1", undefined, ANY_AGE)).toMatchObject({ found: false });
  });

  test.each([
    ["a list", (store: RecentStore) => store.list("a/")],
    ["a read", (store: RecentStore) => store.get("a/page/1")],
    ["a write", (store: RecentStore) => store.put("a/page/1", bytes(1))],
    ["a deletion", (store: RecentStore) => store.delete(["a/page/1"])],
  ])("are as old as the store's newest date says, told by %s too", async (_, ask) => {
    const { place, store } = start();
    const isAsked = async (copyAgeMaxMs: number): Promise<boolean> => {
      const { get } = place.counts;
      await store.get("a/note/1", undefined, { copyAgeMaxMs });
      return place.counts.get > get;
    };
    place.now = () => 1000;
    await store.put("a/note/1", bytes(1));
    expect(await isAsked(0)).toBe(false);
    place.now = () => 1500;
    await ask(store);
    expect(await isAsked(500)).toBe(false);
    expect(await isAsked(499)).toBe(true);
    // Read again it is no younger: its age is that of the object.
    expect(await isAsked(499)).toBe(true);
  });

  test("keep to their size, the one used last longest; large ones and other kinds are not kept", async () => {
    const { place, store } = start(4 * 1600);
    for (let n = 0; n < 8; n++) {
      await store.put(`a/note/${n}`, bytes(1000));
      await store.get("a/note/0", undefined, ANY_AGE);
    }
    await store.put("a/page/1", bytes(10));
    const isKept = async (name: string): Promise<boolean> => {
      const { get } = place.counts;
      await store.get(name, { start: 0, end: 1 }, ANY_AGE);
      return place.counts.get === get;
    };
    const kept: number[] = [];
    for (let n = 0; n < 8; n++) if (await isKept(`a/note/${n}`)) kept.push(n);
    expect(kept).toEqual([0, 5, 6, 7]);
    expect(await isKept("a/page/1")).toBe(false);
    const roomy = start();
    await roomy.store.put("a/note/1", bytes(3 * 2 ** 20));
    await roomy.store.get("a/note/1", undefined, ANY_AGE);
    expect(roomy.place.counts.get).toBe(1);
  });

  test("are there when a watcher is told of them", async () => {
    const { place, store } = start();
    const read = new Promise((resolve) => {
      store.watch("a/note/", (name) => resolve(store.get(name!, undefined, ANY_AGE)));
    });
    await store.put("a/note/1", bytes(10));
    expect(await read).toMatchObject({ found: true, bytes: bytes(10) });
    expect(place.counts.get).toBe(0);
  });
});
