import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { witnessFolder } from "./witness-folder.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "restante-witness-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("of many that are kept at once one stands, whole, and nothing else is left", async () => {
  const keeper = witnessFolder(join(folder, "witness"));
  for (let round = 0; round < 20; round++) {
    const kept = Array.from({ length: 10 }, (_, n) => ({ entry: 10 ** n, hash: new Uint8Array(32).fill(n) }));
    await Promise.all(kept.map((witness) => keeper.write("0a", witness)));
    expect(kept).toContainEqual(await keeper.read("0a"));
  }
  expect(await readdir(join(folder, "witness"))).toEqual(["0a.json"]);
  expect(await keeper.read("0b")).toBeUndefined();
});
