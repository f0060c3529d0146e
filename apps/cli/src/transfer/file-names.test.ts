import { expect, test } from "vitest";
import { fileNameOf, levelOf } from "./file-names.ts";

test("a level's file name gives the level back, and is none that a file system or a source passes over", () => {
  for (const level of [
    "a\nb",
    "..",
    ".",
    ".x",
    "x.",
    "x.dat",
    "x.MBOX",
    "x.sbd",
    "table_of_contents",
    "50%",
    "%41",
    "a:b",
    "Entwürfe",
    "cur",
    "New",
    "tmp",
    "current",
  ]) {
    const name = fileNameOf(level);
    expect(levelOf(name)).toBe(level);
    expect(name).toMatch(/^[^.\n/:]+$/);
    expect(name).not.toMatch(/^(?:cur|new|tmp)$/i);
  }
  expect(() => fileNameOf("x".repeat(251))).toThrow(RangeError);
});
