import { appendFile, mkdir, mkdtemp, readdir, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { EndedKeeper } from "../account/outbound/older-history.ts";
import { endedFolder } from "./ended-folder.ts";

let folder: string;
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "restante-ended-")), "ended");
});
afterEach(() => rm(join(folder, ".."), { recursive: true }));

const idsIn = async (keeper: EndedKeeper, ...ids: readonly string[]) =>
  [...(await keeper.find(new Set(ids))).keys()].sort();
const id = (n: number): string => n.toString(16).padStart(32, "0");

test("what any process of the host noted is found by any other, and nothing else", async () => {
  const [one, other] = [endedFolder(folder), endedFolder(folder)];
  expect(await idsIn(one, id(1))).toEqual([]);
  one.note(id(1));
  other.note(id(2));
  one.note(id(3));
  expect(await idsIn(endedFolder(folder), ...[1, 2, 3, 4].map(id))).toEqual([1, 2, 3].map(id));
  expect(await readdir(folder)).toHaveLength(2);
});

test("one that was cut off by a kill is none, and those before it are", async () => {
  endedFolder(folder).note(id(1));
  const [file] = await readdir(folder);
  await appendFile(join(folder, file!), Buffer.from(id(2), "hex").subarray(0, 16));
  expect(await idsIn(endedFolder(folder), id(1), id(2))).toEqual([id(1)]);
});

test("many files of few mails are all read: a process that begins again and again forgets nothing", async () => {
  for (let n = 0; n < 100; n++) endedFolder(folder).note(id(n));
  const all = Array.from({ length: 100 }, (_, n) => id(n));
  expect(await idsIn(endedFolder(folder), ...all)).toEqual(all);
});

test("what others left there is neither read nor removed", async () => {
  endedFolder(folder).note(id(1));
  await mkdir(join(folder, "lost+found"));
  await writeFile(join(folder, "README"), Buffer.concat([Buffer.from(id(2), "hex"), Buffer.alloc(8)]));
  const long = new Date(Date.now() - 61 * 24 * 60 * 60_000);
  for (const name of ["lost+found", "README"]) await utimes(join(folder, name), long, long);
  expect(await idsIn(endedFolder(folder), id(1), id(2))).toEqual([id(1)]);
  expect(await readdir(folder)).toHaveLength(3);
});

test("is noted also where another process removed the file, which was old", async () => {
  const keeper = endedFolder(folder);
  keeper.note(id(1));
  for (const name of await readdir(folder)) await rm(join(folder, name));
  keeper.note(id(2));
  expect(await idsIn(endedFolder(folder), id(1), id(2))).toEqual([id(2)]);
  await rm(folder, { recursive: true });
  expect(() => keeper.note(id(3))).toThrow("ENOENT");
  keeper.note(id(4));
  expect(await idsIn(endedFolder(folder), id(4))).toEqual([id(4)]);
});

test("no file stays open", async () => {
  const before = (await readdir("/proc/self/fd")).length;
  for (let n = 0; n < 20; n++) endedFolder(folder).note(id(n));
  expect((await readdir("/proc/self/fd")).length).toBeLessThan(before + 5);
});

test("old ones go, and the oldest of too many", async () => {
  endedFolder(folder).note(id(0));
  for (let n = 1; n <= 20; n++) {
    const file = join(folder, `${n}.ids`);
    await writeFile(file, Buffer.concat([Buffer.from(id(n), "hex"), Buffer.alloc(8)]));
    // Full ones: they cost no room.
    await truncate(file, 65_536 * 24);
    const written = new Date(Date.now() - n * 24 * 60 * 60_000 * (n > 10 ? 1 : 0.1));
    await utimes(file, written, written);
  }
  const long = new Date(Date.now() - 61 * 24 * 60 * 60_000);
  await utimes(join(folder, "3.ids"), long, long);
  const found = await idsIn(endedFolder(folder), ...Array.from({ length: 21 }, (_, n) => id(n)));
  expect(found).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16].map(id));
  expect(await readdir(folder)).toHaveLength(16);
});

test("a file that is full is followed by another", async () => {
  const keeper = endedFolder(folder);
  for (let n = 0; n < 65_537; n++) keeper.note(id(n));
  expect(await readdir(folder)).toHaveLength(2);
  expect((await keeper.find(new Set([id(0), id(65_535), id(65_536)]))).size).toBe(3);
});

test("of one that ended twice the last time counts, whichever process noted it", async () => {
  for (const ms of [5_000.5, 9_000, 7_000]) endedFolder(folder, () => ms).note(id(1));
  expect(await endedFolder(folder).find(new Set([id(1)]))).toEqual(new Map([[id(1), 9_000]]));
});

test("one that nobody has written to for two months goes, however few there are", async () => {
  endedFolder(folder).note(id(1));
  const [file] = await readdir(folder);
  const long = new Date(Date.now() - 61 * 24 * 60 * 60_000);
  await utimes(join(folder, file!), long, long);
  expect(await idsIn(endedFolder(folder), id(1))).toEqual([]);
  expect(await readdir(folder)).toEqual([]);
});
