import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { objectStoreContract } from "../../storage/contract.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import { BLOCK_BYTES, BlockCache } from "./block-cache.ts";
import { CachedStore } from "./cached-store.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "restante-cache-"));
});
afterEach(() => rm(folder, { recursive: true }));

function fail(error: unknown): never {
  throw error;
}
const makeCache = (bytesMax = 2 ** 30): BlockCache => new BlockCache(folder, bytesMax, fail);
const bytes = (size: number): Uint8Array => new Uint8Array(size).map((_, at) => at % 251);

objectStoreContract("a store behind a cache", async () => {
  let now = 1;
  const place = new MemoryPlace(() => now++);
  const own = await mkdtemp(join(tmpdir(), "restante-cache-"));
  // It keeps nothing: the contract replaces objects of kinds that nobody ever replaces.
  const store = new CachedStore(place.open(), new BlockCache(own, 0, fail));
  const other = place.open();
  return {
    store,
    other,
    async dispose() {
      await Promise.all([store.dispose(), other.dispose()]);
      await rm(own, { recursive: true });
    },
  };
});

describe("a cache of sealed objects", () => {
  test("a block that several keep at once is kept", async () => {
    const cache = makeCache();
    const block = { bytes: bytes(1000), size: 1000, created: 7 };
    await Promise.all([1, 2, 3, 4].map(() => cache.put("a/pack/1", 0, block)));
    expect(await cache.get("a/pack/1", 0)).toMatchObject({ size: 1000, created: 7 });
    expect(await readdir(folder)).toHaveLength(1);
  });

  test("who reads in one block at once shares one request, and its failure too", async () => {
    const place = new MemoryPlace(() => 7);
    const store = new CachedStore(place.open(), makeCache());
    place.write("a/pack/1", bytes(BLOCK_BYTES));
    const read = (start: number) => store.get("a/pack/1", { start, end: start + 100 });
    const starts = [0, 100, 200, 5000];
    place.fault = () => ({ kind: "unavailable" });
    const failed = await Promise.allSettled(starts.map(read));
    expect(failed.map(({ status }) => status)).toEqual(starts.map(() => "rejected"));
    expect(place.counts.get).toBe(1);
    place.fault = () => undefined;
    const got = await Promise.all(starts.map(read));
    for (const [at, start] of starts.entries())
      expect(got[at]).toMatchObject({ found: true, bytes: bytes(BLOCK_BYTES).slice(start, start + 100) });
    expect(place.counts.get).toBe(2);
  });

  test("what was read is read again while the store is away, after a restart too", async () => {
    const place = new MemoryPlace(() => 7);
    const store = new CachedStore(place.open(), makeCache());
    const size = 3 * BLOCK_BYTES + 100;
    for (const name of ["a/page/1", "a/pack/1", "a/body/1", "a/note/1"]) place.write(name, bytes(size));
    await store.get("a/page/1");
    await store.get("a/pack/1", { start: BLOCK_BYTES + 5, end: BLOCK_BYTES + 50 });
    await store.get("a/body/1", { start: 10, end: size + 10_000 });
    await store.get("a/note/1");
    place.fault = () => ({ kind: "unavailable" });
    const again = new CachedStore(place.open(), makeCache());
    for (const each of [store, again]) {
      const page = await each.get("a/page/1");
      expect(page).toMatchObject({ found: true, size, created: 7 });
      expect(page.found && Buffer.compare(page.bytes, bytes(size))).toBe(0);
      for (const [start, end] of [
        [0, 1],
        [BLOCK_BYTES - 1, BLOCK_BYTES + 1],
        [BLOCK_BYTES, 3 * BLOCK_BYTES],
        [size - 5, size + 50],
      ] as const) {
        const got = await each.get("a/body/1", { start, end });
        expect(got.found && Buffer.compare(got.bytes, bytes(size).subarray(start, end))).toBe(0);
      }
      const inPack = await each.get("a/pack/1", { start: BLOCK_BYTES + 1, end: 2 * BLOCK_BYTES });
      expect(inPack.found && inPack.bytes).toEqual(bytes(size).slice(BLOCK_BYTES + 1, 2 * BLOCK_BYTES));
      await expect(each.get("a/pack/1", { start: 0, end: 5 })).rejects.toMatchObject({ code: "unavailable" });
      await expect(each.get("a/note/1")).rejects.toMatchObject({ code: "unavailable" });
    }
  });

  test("a range is one request, however many blocks it lacks", async () => {
    const place = new MemoryPlace();
    const store = new CachedStore(place.open(), makeCache());
    place.write("a/body/1", bytes(10 * BLOCK_BYTES));
    await store.get("a/body/1", { start: 3 * BLOCK_BYTES, end: 3 * BLOCK_BYTES + 1 });
    await store.get("a/body/1", { start: 0, end: 9 * BLOCK_BYTES });
    expect(place.counts.get).toBe(2);
    await store.get("a/body/1", { start: 100, end: 8 * BLOCK_BYTES });
    expect(place.counts.get).toBe(2);
  });

  test("who reads on, up or down, gets more with each request; who reads here and there gets what they ask for", async () => {
    const place = new MemoryPlace();
    const asked: (readonly [number, number])[] = [];
    const counted = place.open();
    const get = counted.get.bind(counted);
    counted.get = (name, range, options) => {
      asked.push([range!.start / BLOCK_BYTES, range!.end / BLOCK_BYTES]);
      return get(name, range, options);
    };
    const store = new CachedStore(counted, makeCache());
    const content = bytes(30 * BLOCK_BYTES);
    for (const name of ["a/pack/up", "a/pack/down", "a/pack/some"]) place.write(name, content);
    const read = async (name: string, block: number): Promise<void> => {
      const [start, end] = [block * BLOCK_BYTES + 7, block * BLOCK_BYTES + 99];
      const got = await store.get(name, { start, end });
      expect(got.found && got.bytes).toEqual(content.slice(start, end));
    };
    for (let block = 0; block < 30; block++) await read("a/pack/up", block);
    expect(asked.splice(0)).toEqual([
      [0, 1],
      [1, 4],
      [4, 13],
      [13, 22],
      [22, 31],
    ]);
    for (let block = 29; block >= 0; block--) await read("a/pack/down", block);
    expect(asked.splice(0)).toEqual([
      [29, 30],
      [26, 29],
      [17, 26],
      [8, 17],
      [0, 8],
    ]);
    for (const block of [20, 3, 11]) await read("a/pack/some", block);
    expect(asked.splice(0)).toEqual([
      [20, 21],
      [3, 4],
      [11, 12],
    ]);
    // Nothing that is kept is asked for again.
    await read("a/pack/some", 12);
    await read("a/pack/some", 19);
    await store.get("a/pack/some", { start: 3 * BLOCK_BYTES, end: 7 * BLOCK_BYTES });
    expect(asked.splice(0)).toEqual([
      [12, 15],
      [17, 20],
      [4, 9],
    ]);
  });

  test("who needs a part of what is on its way waits for that, and asks for the rest", async () => {
    const place = new MemoryPlace();
    const content = bytes(4 * BLOCK_BYTES);
    place.write("a/body/1", content);
    for (const makeOne of [makeCache, () => makeCache(0)]) {
      const store = new CachedStore(place.open(), makeOne());
      const ranges = [
        { start: 0, end: 2 * BLOCK_BYTES },
        { start: BLOCK_BYTES, end: 3 * BLOCK_BYTES },
        { start: 10, end: 20 },
      ];
      const { get } = place.counts;
      const got = await Promise.all(ranges.map((range) => store.get("a/body/1", range)));
      for (const [at, { start, end }] of ranges.entries()) {
        const one = got[at]!;
        expect(one.found && Buffer.compare(one.bytes, content.subarray(start, end))).toBe(0);
      }
      expect(place.counts.get - get).toBe(2);
    }
  });

  test("what is written here is read without a request, what goes along with it too; a stream once it was read", async () => {
    const place = new MemoryPlace(() => 7);
    const store = new CachedStore(place.open(), makeCache());
    const along = (name: string) => ({ along: [{ name, content: bytes(2 * BLOCK_BYTES + 1) }] });
    await store.put("a/page/1", bytes(100));
    await store.put("a/note/1", bytes(100), along("a/body/1"));
    await store.putIfAbsent("a/log/1", bytes(100), along("a/body/2"));
    await store.putIfAbsent("a/log/1", bytes(100), along("a/body/3"));
    for (const name of ["a/page/1", "a/body/1", "a/body/2", "a/body/3"])
      expect(await store.get(name)).toMatchObject({ found: true, created: 7 });
    expect(place.counts.get).toBe(0);
    await store.put(
      "a/body/4",
      (async function* () {
        yield bytes(100);
      })(),
    );
    for (const _ of [1, 2]) expect(await store.get("a/body/4")).toMatchObject({ bytes: bytes(100) });
    expect(place.counts.get).toBe(1);
    place.fault = () => ({ kind: "unavailable" });
    await expect(store.put("a/body/5", bytes(100))).rejects.toMatchObject({ code: "unavailable" });
    place.fault = () => undefined;
    expect(await store.get("a/body/5")).toMatchObject({ found: false });
  });

  test("a folder that can't be written is told of once, and nobody else is troubled", async () => {
    const told: unknown[] = [];
    const place = new MemoryPlace();
    // A file stands where the folder should be.
    await writeFile(join(folder, "file"), "");
    const store = new CachedStore(
      place.open(),
      new BlockCache(join(folder, "file", "x"), 2 ** 20, (e) => told.push(e)),
    );
    await store.put("a/body/1", bytes(3 * BLOCK_BYTES));
    for (let n = 0; n < 3; n++) expect(await store.get("a/body/1")).toMatchObject({ size: 3 * BLOCK_BYTES });
    // Once when it is looked at, once when it is written.
    expect(told).toHaveLength(2);
  });

  test("it keeps to its size; what was used last stays", async () => {
    const place = new MemoryPlace();
    const limit = 4 * (BLOCK_BYTES + 1000);
    const store = new CachedStore(place.open(), makeCache(limit));
    for (let n = 0; n < 10; n++) {
      await store.put(`a/page/${n}`, bytes(BLOCK_BYTES));
      await store.get(`a/page/${n}`);
      await store.get("a/page/0");
    }
    const sizes = await Promise.all((await readdir(folder)).map(async (file) => (await stat(join(folder, file))).size));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(limit);
    const { get } = place.counts;
    await store.get("a/page/0");
    await store.get("a/page/9");
    expect(place.counts.get).toBe(get);
    await store.get("a/page/1");
    expect(place.counts.get).toBe(get + 1);
  });

  test("what is deleted is dropped, and what a crash has torn is asked for again", async () => {
    const place = new MemoryPlace();
    const store = new CachedStore(place.open(), makeCache());
    place.write("a/body/1", bytes(4 * BLOCK_BYTES));
    await store.get("a/body/1", { start: 2 * BLOCK_BYTES, end: 3 * BLOCK_BYTES });
    await store.get("a/body/1", { start: 0, end: 1 });
    await store.delete(["a/body/1"]);
    expect(await readdir(folder)).toEqual([]);
    expect((await store.get("a/body/1")).found).toBe(false);
    await store.put("a/body/2", bytes(1000));
    const [file] = await readdir(folder);
    expect((await readFile(join(folder, file!))).length).toBeGreaterThan(1000);
    await truncate(join(folder, file!), 500);
    const got = await store.get("a/body/2");
    expect(got.found && got.bytes).toEqual(bytes(1000));
    expect(place.counts.get).toBe(4);
  });
});
