import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { StoreError } from "../../storage/object-store.ts";
import { asStoreError, isDamage, storeFailures } from "./failure.ts";

const sqlite = (errcode: number): Error => Object.assign(new Error("as SQLite says it"), { errcode });

test("what SQLite and the file system say becomes the store's own error; a mistake of ours stays one", () => {
  const told = (error: unknown): unknown => {
    const made = asStoreError(error, "/s/store.sqlite");
    return made instanceof StoreError ? [made.code, made.message, made.cause === error] : made;
  };
  // SQLITE_CORRUPT, one of its extended codes (SQLITE_CORRUPT_INDEX), SQLITE_NOTADB.
  for (const code of [11, 11 | (3 << 8), 26]) {
    expect(isDamage(sqlite(code))).toBe(true);
    expect(told(sqlite(code))).toEqual([
      "damaged",
      "/s/store.sqlite is damaged (as SQLite says it): stop the server, copy its folder, then run: restante check --repair",
      true,
    ]);
  }
  // SQLITE_BUSY, and SQLITE_IOERR_READ, whose code has the bits of SQLITE_IOERR.
  for (const code of [5, 10 | (1 << 8)]) {
    expect(isDamage(sqlite(code))).toBe(false);
    expect(told(sqlite(code))).toEqual(["unavailable", "/s/store.sqlite: as SQLite says it", true]);
  }
  const full = Object.assign(new Error("ENOSPC: no space"), { code: "ENOSPC", syscall: "write" });
  expect(told(full)).toEqual(["full", "the disk is full", true]);
  let absent: unknown;
  try {
    readFileSync("/absent/file");
  } catch (error) {
    absent = error;
  }
  expect(told(absent)).toEqual(["unavailable", expect.stringContaining("ENOENT"), true]);
  const own = new StoreError("full", "as it was");
  expect(asStoreError(own, "/s/store.sqlite")).toBe(own);
  const ours = new TypeError("a mistake");
  expect(asStoreError(ours, "/s/store.sqlite")).toBe(ours);
  expect(isDamage(ours)).toBe(false);
  expect(storeFailures("/s/store.sqlite", () => 7)).toBe(7);
  const failing = (): never => {
    throw sqlite(11);
  };
  expect(() => storeFailures("/s/store.sqlite", failing)).toThrow(StoreError);
});
