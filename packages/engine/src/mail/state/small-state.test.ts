import { expect, test } from "vitest";
import { asModSeq, asRow, asUid } from "../numbers.ts";
import type { WriterId } from "../ops/names.ts";
import { BurntUids, type UidRange } from "./burnt-uids.ts";
import { LastingNames } from "./lasting-names.ts";
import { RECENT_ROWS_MAX, RecentRows } from "./recent-rows.ts";

test("rows that were stamped lately are told whole, or not at all", () => {
  const recent = new RecentRows();
  const stamps: number[] = [];
  // Some at one modseq, across the cut too.
  for (let row = 0; row <= RECENT_ROWS_MAX; row++) {
    stamps.push(1 + Math.floor(row / 7));
    recent.add(asRow(row), asModSeq(stamps[row]!));
  }
  let known = 0;
  for (let modSeq = 0; modSeq <= stamps.at(-1)!; modSeq++) {
    const rows = recent.since(asModSeq(modSeq));
    const expected = stamps.flatMap((stamp, row) => (stamp > modSeq ? [row] : []));
    if (rows) expect([...rows].sort((a, b) => a - b)).toEqual(expected);
    if (rows) known++;
  }
  expect(known).toBeGreaterThan(stamps.at(-1)! / 3);
  expect(recent.since(asModSeq(0))).toBeUndefined();
  recent.forget(asModSeq(5_000));
  expect([recent.since(asModSeq(4_999)), recent.since(asModSeq(5_000))]).toEqual([undefined, new Set()]);
});

test("a lasting name is borne by one row, the last that it was given to, and names are told by row", () => {
  const names = new LastingNames();
  const name = (index: number) => ({ writer: "0000000000000001" as WriterId, sequence: 4, index });
  names.give(asRow(9), name(1));
  names.give(asRow(5), name(1));
  names.give(asRow(3), name(2));
  expect([names.get(asRow(9)), names.get(asRow(5)), names.find(name(1))]).toEqual([undefined, name(1), 5]);
  expect(names.entries()).toEqual([
    [3, name(2)],
    [5, name(1)],
  ]);
});

const range = (first: number, last: number, modSeq: number): UidRange => ({
  first: asUid(first),
  last: asUid(last),
  modSeq: asModSeq(modSeq),
});

test("burnt uids move with the block that they belong to, a range on both sides in two; of too many the oldest go", () => {
  const burnt = new BurntUids();
  burnt.add(range(2, 3, 1));
  burnt.add(range(4, 4, 2));
  burnt.add(range(6, 12, 3));
  burnt.add(range(14, 15, 4));
  burnt.shift(asUid(5), 100);
  expect(burnt.ranges.map(({ first, last }) => [first, last])).toEqual([
    [2, 3],
    [4, 4],
    [106, 112],
    [114, 115],
  ]);
  // It begins right below.
  burnt.shift(asUid(107), 5);
  expect(burnt.ranges.slice(2)).toEqual([
    { first: 106, last: 106, modSeq: 3 },
    { first: 112, last: 117, modSeq: 3 },
    { first: 119, last: 120, modSeq: 4 },
  ]);
  const few = new BurntUids(3);
  for (let at = 1; at < 6; at++) few.add(range(at, at, at));
  expect(few.ranges.map(({ first }) => first)).toEqual([3, 4, 5]);
});
