import { expect, test } from "vitest";
import { exitOf, isSystemError, textOf } from "./system-error.ts";

const refusal = (code: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${code}: it was refused, open '/keys'`), { code, syscall: "open" });

test("what the system refuses is told apart by whether it passes", () => {
  for (const [code, exit] of [
    ["EACCES", 2],
    ["EROFS", 2],
    ["ENOENT", 2],
    ["EISDIR", 2],
    ["ENOSPC", 3],
    ["EMFILE", 3],
    ["EIO", 3],
  ] as const) {
    const error: unknown = refusal(code);
    expect(isSystemError(error) && exitOf(error)).toBe(exit);
  }
});

test("who has no right is told who they are", () => {
  const [error, other] = [refusal("EACCES"), refusal("EROFS")].filter(isSystemError);
  expect(textOf(error!)).toMatch(/^EACCES: it was refused, open '\/keys' \(as user \w+\)$/);
  expect(textOf(other!)).toBe("EROFS: it was refused, open '/keys'");
});

test("an error of ours is none of the system's", () => {
  expect(isSystemError(Object.assign(new Error("x"), { code: "conflict" }))).toBe(false);
  expect(isSystemError("EACCES")).toBe(false);
});
