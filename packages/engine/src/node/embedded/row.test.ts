import { expect, test } from "vitest";
import { asListed, asRow } from "./row.ts";

const DATABASE = "/s/store.sqlite";
const inRow = { row: 81, created: 1, size: 3, bytes: new Uint8Array(3), file: null };
const inFile = { ...inRow, bytes: null, file: "0a" };

test.each([inRow, inFile, { ...inRow, size: 0, bytes: new Uint8Array(0) }])("%j is a row", (row) => {
  expect(asRow(row, DATABASE)).toBe(row);
});

// The first is what SQLite makes of a row whose page was zeroed.
test.each([
  { row: 81, created: 0, size: 0, bytes: null, file: null },
  { ...inRow, file: "0a" },
  { ...inRow, size: null },
  { ...inRow, size: -1 },
  { ...inRow, size: 0.5 },
  { ...inRow, created: "1" },
  { ...inRow, row: null },
  { ...inRow, bytes: "abc" },
  { ...inFile, file: 7 },
])("%j is damage", (row) => {
  expect(() => asRow(row, DATABASE)).toThrow(/store\.sqlite is damaged .* restante check --repair$/);
});

test("of what is listed each row is looked at", () => {
  const sound = { name: "a/log/1", size: 0, created: 0 };
  expect(asListed([sound, sound], DATABASE)).toEqual([sound, sound]);
  for (const bad of [
    { ...sound, name: null },
    { ...sound, size: null },
    { ...sound, created: -1 },
  ])
    expect(() => asListed([sound, bad], DATABASE)).toThrow("is damaged");
  expect(asRow(undefined, DATABASE)).toBe(undefined);
});
