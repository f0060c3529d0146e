import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readOrMakeKey } from "./keys.ts";
import { temporaryFolder } from "./test-kit.ts";

test("of many who make a key at once all have the same, whole; only its user may read it", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "keys", "pepper");
  const keys = await Promise.all(Array.from({ length: 20 }, () => readOrMakeKey(path, 32)));
  for (const key of keys) expect(key).toEqual(keys[0]);
  expect(keys[0]).toHaveLength(32);
  expect(readdirSync(join(folder, "keys"))).toEqual(["pepper"]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a key of another length is an error, not a new key", async () => {
  const path = join(temporaryFolder(), "k");
  await readOrMakeKey(path, 16);
  await expect(readOrMakeKey(path, 32)).rejects.toThrow("32 bytes");
});
