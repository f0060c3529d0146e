import { appendFile, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Witness } from "../bay/applied-log.ts";
import { position } from "../bay/position.ts";
import { markRestored, witnessFolder } from "./witness-folder.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "restante-witness-"));
});
afterEach(() => rm(folder, { recursive: true }));

const witness = (entry: number): Witness => ({ entry: position(entry), hash: new Uint8Array(32).fill(entry) });

test("of what several processes saw the furthest stands, in whatever order they write", async () => {
  const keepers = Array.from({ length: 3 }, () => witnessFolder(folder));
  for (let round = 0; round < 20; round++) {
    const entries = keepers.map((_, n) => round * 5 + ((n * 2 + round) % 5));
    await Promise.all(keepers.map((keeper, n) => keeper.write("0a", witness(entries[n]!))));
    expect(await witnessFolder(folder).read("0a")).toEqual(witness(Math.max(...entries)));
  }
  expect(await readdir(join(folder, "0a"))).toHaveLength(3);
  expect(await keepers[0]!.read("0b")).toBeUndefined();
});

test("what the owner accepted stands alone, also behind what was seen", async () => {
  const [here, there] = [witnessFolder(folder), witnessFolder(folder)];
  await there.write("0a", witness(9));
  await here.write("0a", witness(8));
  await here.replace("0a", witness(3));
  expect(await there.read("0a")).toEqual(witness(3));
  await there.write("0a", witness(4));
  expect(await here.read("0a")).toEqual(witness(4));
});

test("a file of an earlier release is read; one that was half written is none; stale ones go, but never the furthest", async () => {
  const text = (entry: number): string => JSON.stringify({ entry, hash: Buffer.alloc(32, entry).toString("hex") });
  await writeFile(join(folder, "0a.json"), text(5));
  const keeper = witnessFolder(folder);
  expect(await keeper.read("0a")).toEqual(witness(5));
  await mkdir(join(folder, "0a"));
  await writeFile(join(folder, "0a", "torn.json"), text(7).slice(0, 20));
  await writeFile(join(folder, "0a", "old.json"), text(6));
  const days = new Date(Date.now() - 2 * 24 * 60 * 60_000);
  for (const name of ["0a.json", "0a/old.json"]) await utimes(join(folder, name), days, days);
  expect(await keeper.read("0a")).toEqual(witness(6));
  expect(await readdir(folder)).toEqual(["0a"]);
  await keeper.write("0a", witness(4));
  expect(await keeper.read("0a")).toEqual(witness(6));
  await keeper.write("0a", witness(10));
  expect(await keeper.read("0a")).toEqual(witness(10));
  expect(await readdir(join(folder, "0a"))).not.toContain("old.json");
});

test("a short one is written over a long one whole; what has more behind it is none; a folder that can't be read is told", async () => {
  const keeper = witnessFolder(folder);
  await keeper.write("0a", { entry: position(1_234_567), hash: new Uint8Array(32) });
  await keeper.replace("0a", witness(3));
  expect(await keeper.read("0a")).toEqual(witness(3));
  const [own] = await readdir(join(folder, "0a"));
  await appendFile(join(folder, "0a", own!), "}");
  expect(await keeper.read("0a")).toBeUndefined();
  await writeFile(join(folder, "0b"), "a file where the folder should be");
  await expect(keeper.read("0b")).rejects.toThrow("ENOTDIR");
  await expect(keeper.write("0b", witness(1))).rejects.toThrow();
});

test("a restore counts until its host went along with it, and never again, whatever came after", async () => {
  const keeper = witnessFolder(folder);
  expect(await keeper.isRestored("0a", undefined)).toBe(false);
  expect(await keeper.isRestored("0a", "x1")).toBe(true);
  await keeper.clearRestored("0a", "x1");
  await keeper.replace("0a", witness(3));
  await keeper.clearRestored("0a", "x2");
  for (const restore of ["x1", "x2", undefined])
    expect(await witnessFolder(folder).isRestored("0a", restore)).toBe(false);
  expect([await keeper.isRestored("0a", "x"), await keeper.isRestored("0b", "x1")]).toEqual([true, true]);
  await markRestored(folder, ["0a", "0b"]);
  for (const restore of ["x1", undefined]) expect(await keeper.isRestored("0a", restore)).toBe(true);
  await keeper.clearRestored("0a", undefined);
  expect([await keeper.isRestored("0a", "x1"), await keeper.isRestored("0b", undefined)]).toEqual([false, true]);
});
