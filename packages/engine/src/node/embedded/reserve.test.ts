import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { giveUpReserve, growReserve, reservePath } from "./reserve.ts";
import { openEmbeddedStore } from "./store.ts";

const MB = 1024 * 1024;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "restante-reserve-"));
});
afterAll(() => rm(folder, { recursive: true }));

function grow(bytes: number, freeBytesMin = 0): void {
  while (growReserve({ folder, bytes, freeBytesMin }));
}

test("the reserve is made in pieces, of bytes that take room, and given up at once", async () => {
  grow(2.5 * MB);
  const bytes = await readFile(reservePath(folder));
  expect(bytes).toHaveLength(2.5 * MB);
  expect(bytes.subarray(-1000).every((byte) => byte === 0)).toBe(false);
  giveUpReserve(folder);
  await expect(stat(reservePath(folder))).rejects.toThrow("ENOENT");
  giveUpReserve(folder);
});

test("a piece that a crash left is completed, and a longer file cut", async () => {
  await writeFile(reservePath(folder), "begun");
  grow(MB);
  expect(await readFile(reservePath(folder))).toHaveLength(MB);
  grow(1000);
  expect(await readFile(reservePath(folder))).toHaveLength(1000);
  giveUpReserve(folder);
});

test("it takes no room that is meant to stay free", async () => {
  grow(MB, Number.MAX_SAFE_INTEGER);
  await expect(stat(reservePath(folder))).rejects.toThrow("ENOENT");
});

test("a nearly full store takes what is essential alone, in rows and in files", async () => {
  const onFatal = (message: string): never => {
    throw new Error(message);
  };
  const store = await openEmbeddedStore({ folder, onFatal, freeBytesMin: Number.MAX_SAFE_INTEGER, reserveBytes: 0 });
  const sizes = { "a/page/small": 10, "a/page/large": MB };
  for (const [name, size] of Object.entries(sizes)) {
    const content = new Uint8Array(size);
    await expect(store.put(name, content)).rejects.toMatchObject({ code: "full" });
    await expect(store.putIfAbsent(name, content)).rejects.toMatchObject({ code: "full" });
    await store.put(name, content, { essential: true });
  }
  await store.delete(Object.keys(sizes));
  expect((await store.list("a/")).objects).toEqual([]);
  await store.dispose();
});

test("what was deleted is given back to the disk when the store is idle", async () => {
  const store = await openEmbeddedStore({
    folder,
    onFatal: (message) => {
      throw new Error(message);
    },
    freeBytesMin: 0,
    reserveBytes: 1000,
  });
  const names = Array.from({ length: 400 }, (_, n) => `a/note/${n}`);
  await Promise.all(names.map((name) => store.put(name, new Uint8Array(100_000))));
  const size = async (): Promise<number> => (await stat(join(folder, "store.sqlite"))).size;
  await expect.poll(size, { timeout: 120_000 }).toBeGreaterThan(40 * 1_000_000);
  await store.delete(names);
  await expect.poll(size, { timeout: 120_000 }).toBeLessThan(20 * 1_000_000);
  const reserve = async (): Promise<number> => (await stat(reservePath(folder))).size;
  await expect.poll(() => reserve().catch(() => 0), { timeout: 120_000 }).toBe(1000);
  await store.dispose();
});
