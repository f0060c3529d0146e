import { readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OnceFolder } from "./once-folder.ts";
import { temporaryFolder } from "./test-kit.ts";

test("of many processes that use a name at once one is the first, and later ones are not", async () => {
  const folder = join(temporaryFolder(), "tickets");
  const processes = Array.from({ length: 8 }, () => new OnceFolder(folder, 60_000));
  const outcomes = await Promise.all(processes.map((one) => one.use("00ff")));
  expect(outcomes.filter(Boolean)).toHaveLength(1);
  expect(await new OnceFolder(folder, 60_000).use("00ff")).toBe(false);
  expect(await new OnceFolder(folder, 60_000).use("00fe")).toBe(true);
  await expect(processes[0]!.use("../x")).rejects.toThrow("not a name");
});

test("names that are old are forgotten, and no others", async () => {
  const folder = temporaryFolder();
  await new OnceFolder(folder, 60_000).use("old");
  await new OnceFolder(folder, 60_000).use("new");
  const past = Date.now() / 1000 - 61;
  utimesSync(join(folder, "old"), past, past);
  await new OnceFolder(folder, 60_000).use("x");
  expect(readdirSync(folder).sort()).toEqual(["new", "x"]);
});
