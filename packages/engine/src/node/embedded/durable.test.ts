import { spawnSync } from "node:child_process";
import { readlinkSync } from "node:fs";
import { mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, expect, test, vi } from "vitest";

/** Called before each sync of an open folder. */
const folderSync: { before: ((fd: number) => Promise<void>) | undefined } = vi.hoisted(() => ({ before: undefined }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const fsync = (fd: number, done: (error?: unknown) => void): void => {
    Promise.resolve(folderSync.before?.(fd)).then(() => fs.fsync(fd, done), done);
  };
  return { ...fs, default: fs, fsync };
});

import { openEmbeddedStore } from "./store.ts";

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "restante-durable-"));
  folders.push(folder);
  return folder;
}
const onFatal = (message: string): never => {
  throw new Error(message);
};

test.each([{ failing: "none" }, { failing: "the file's" }, { failing: "the folder's" }])(
  "an object's file and its name are on the disk before a row names it; a sync that fails: $failing",
  async ({ failing }) => {
    const folder = await makeFolder();
    const probe = await open(join(folder, "probe"), "w");
    const handles = Object.getPrototypeOf(probe) as { datasync(): Promise<void> };
    await probe.close();
    const store = await openEmbeddedStore({ folder, onFatal });
    const { datasync } = handles;
    const seen: unknown[] = [];
    const look = async (what: string): Promise<void> => {
      const { found } = await store.get("a/body/large");
      seen.push([what, found, (await readdir(join(folder, "objects"))).length]);
      if (failing === what) throw Object.assign(new Error("no room"), { code: "ENOSPC", syscall: "fsync" });
    };
    const synced = vi.spyOn(handles, "datasync").mockImplementation(async function (this: unknown) {
      await look("the file's");
      await datasync.call(this);
    });
    folderSync.before = async (fd) => {
      if (readlinkSync(`/proc/self/fd/${fd}`) === join(folder, "objects")) await look("the folder's");
    };
    const put = store.put("a/body/large", new Uint8Array(300_000));
    if (failing === "none") await put;
    else await expect(put).rejects.toMatchObject({ code: "full" });
    synced.mockRestore();
    folderSync.before = undefined;
    expect(seen.sort()).toEqual([
      ["the file's", false, 1],
      ["the folder's", false, 1],
    ]);
    expect(await readdir(join(folder, "objects"))).toHaveLength(failing === "none" ? 1 : 0);
    expect((await store.get("a/body/large")).found).toBe(failing === "none");
    await store.dispose();
  },
);

test("of a slot that was deleted nothing stays in the store's files, once what was asked for behind it is answered", async () => {
  const folder = await makeFolder();
  const secret = "a key slot, sealed under a password";
  const store = await openEmbeddedStore({ folder, onFatal });
  const there = async (): Promise<boolean[]> => {
    const files = await readdir(folder, { withFileTypes: true });
    const texts = await Promise.all(
      files.filter((file) => file.isFile()).map(({ name }) => readFile(join(folder, name), "latin1")),
    );
    return [0, 1, 2].map((n) => texts.join("").includes(`${secret} ${n}`));
  };
  for (let n = 0; n < 3; n++) await store.put(`a/slot/${n}`, Buffer.from(`${secret} ${n}`));
  expect(await there()).toEqual([true, true, true]);
  await store.delete(["a/slot/1"]);
  await store.put("a/note/1", new Uint8Array(1));
  expect(await there()).toEqual([true, false, true]);
  await store.delete(["a/slot/2"]);
  await store.dispose();
  expect(await there()).toEqual([true, false, false]);
});

test.each(["idle", "closed"])(
  "where another process reads meanwhile nobody waits for it; the slot goes once the store is %s",
  async (when) => {
    const folder = await makeFolder();
    const secret = "a key slot, sealed under a password";
    const store = await openEmbeddedStore({ folder, onFatal });
    const isThere = async (): Promise<boolean> =>
      (await readFile(join(folder, "store.sqlite-wal"), "latin1")).includes(secret);
    await store.put("a/slot/1", Buffer.from(secret));
    // As a backup does.
    using reader = new DatabaseSync(join(folder, "store.sqlite"));
    reader.exec("BEGIN");
    reader.prepare("SELECT count(*) FROM objects").get();
    const begun = performance.now();
    await store.delete(["a/slot/1"]);
    for (let n = 0; n < 5; n++) await store.put(`a/note/${n}`, new Uint8Array(1));
    expect(performance.now() - begun).toBeLessThan(4_000);
    expect(await isThere()).toBe(true);
    reader.exec("COMMIT");
    if (when === "closed") await store.dispose();
    await vi.waitFor(async () => expect(await isThere()).toBe(false), { timeout: 10_000, interval: 100 });
    await store.dispose();
  },
);

test("a write that fails in the disk ends the process: nobody knows what the disk holds", async () => {
  const folder = await makeFolder();
  const store = new URL("store.ts", import.meta.url).href;
  // Its files can't grow beyond 256 KB: the write-ahead log fails in the middle of a commit.
  const script = `
    import { openEmbeddedStore } from ${JSON.stringify(store)};
    const onFatal = (message) => { console.log("fatal", message); process.exit(7); };
    const store = await openEmbeddedStore({ folder: ${JSON.stringify(folder)}, onFatal });
    for (let n = 0; n < 200; n++) await store.put("a/log/" + n, new Uint8Array(10_000));
    console.log("all was written");`;
  const file = join(await makeFolder(), "write.mjs");
  await writeFile(file, script);
  const args = ["-c", 'ulimit -f 512 && exec "$0" "$1"', process.execPath, file];
  const { status, stdout } = spawnSync("sh", args, { encoding: "utf8" });
  expect([status, stdout]).toEqual([7, expect.stringContaining("fatal disk I/O error")]);
});
