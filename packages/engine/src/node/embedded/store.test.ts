import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { objectStoreContract } from "../../storage/contract.ts";
import { openEmbeddedStore } from "./store.ts";

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "restante-store-"));
  folders.push(folder);
  return folder;
}
const onFatal = (message: string): never => {
  throw new Error(message);
};

objectStoreContract("embedded", async () => {
  const folder = await makeFolder();
  const store = await openEmbeddedStore({ folder, onFatal });
  const other = await openEmbeddedStore({ folder, onFatal });
  return {
    store,
    other,
    async dispose() {
      await Promise.all([store.dispose(), other.dispose()]);
    },
  };
});

test("what was put is there after the store was opened again, and no file is left without a row", async () => {
  const folder = await makeFolder();
  const first = await openEmbeddedStore({ folder, onFatal });
  await first.put("a/body/large", new Uint8Array(300_000).fill(7));
  await first.put("a/body/large", new Uint8Array(290_000).fill(8));
  await first.put("a/note/small", new Uint8Array(10));
  await first.dispose();
  const second = await openEmbeddedStore({ folder, onFatal });
  const got = await second.get("a/body/large");
  expect(got.found && got.bytes[0]).toBe(8);
  expect(await readdir(join(folder, "objects"))).toHaveLength(1);
  await second.dispose();
});

test("what a crash left is swept by who opens the store alone, and by nobody else", async () => {
  const folder = await makeFolder();
  const first = await openEmbeddedStore({ folder, onFatal });
  await first.put("a/body/kept", new Uint8Array(300_000).fill(7));
  for (const name of ["0123.new", "4567"]) await writeFile(join(folder, "objects", name), "left");
  const second = await openEmbeddedStore({ folder, onFatal });
  expect(await readdir(join(folder, "objects"))).toHaveLength(3);
  await Promise.all([first.dispose(), second.dispose()]);
  const alone = await openEmbeddedStore({ folder, onFatal });
  expect(await readdir(join(folder, "objects"))).toHaveLength(1);
  expect((await alone.get("a/body/kept")).found).toBe(true);
  await alone.dispose();
});
