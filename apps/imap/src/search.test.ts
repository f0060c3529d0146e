import { expect, test } from "vitest";
import { SEARCH_KEYS_MAX } from "./limits.ts";
import { conditionOf } from "./search.ts";
import type { Session } from "./session.ts";
import { Parser } from "./wire/parser.ts";
import { parseSearchProgram } from "./wire/search-keys.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const parse = (program: string) => parseSearchProgram(new Parser({ lines: [bytes(program)], literals: [] }));
const many = (key: string, n: number): string => Array.from({ length: n }, () => key).join(" ");

test("keys are counted, those within others too", () => {
  expect(() => parse(many("SEEN", SEARCH_KEYS_MAX + 1))).toThrow("Too many SEARCH keys");
  expect(() => parse(`(${many("NOT SEEN", SEARCH_KEYS_MAX / 2)})`)).toThrow("Too many SEARCH keys");
});

test("sequence numbers, uids and \\Recent become ranges of uids", () => {
  const uids = [3, 5, 6, 9, 12];
  const view = {
    length: uids.length,
    uidAt: (position: number) => uids[position],
    lowerBound: (uid: number) => uids.filter((known) => known < uid).length,
  };
  const recent = [
    { from: 6, to: 8 },
    { from: 12, to: 13 },
  ];
  const ranges = (program: string) =>
    conditionOf(
      parse(program),
      { view, selected: { recent }, savedUids: [{ first: 4, last: 9 }] } as unknown as Session,
      0,
    );
  expect(ranges("1,3:4")).toEqual({
    kind: "uids",
    ranges: [
      { first: 3, last: 3 },
      { first: 6, last: 9 },
    ],
  });
  expect(ranges("UID 4:9,*")).toEqual({
    kind: "uids",
    ranges: [
      { first: 5, last: 9 },
      { first: 12, last: 12 },
    ],
  });
  expect(ranges("$")).toEqual({ kind: "uids", ranges: [{ first: 5, last: 9 }] });
  expect(ranges("3:9,12")).toEqual({ kind: "uids", ranges: [{ first: 6, last: 12 }] });
  expect(ranges("OLD")).toEqual({
    kind: "not",
    of: {
      kind: "uids",
      ranges: [
        { first: 6, last: 7 },
        { first: 12, last: 12 },
      ],
    },
  });
});
