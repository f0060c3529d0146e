import { expect, test } from "vitest";
import { SEARCH_KEYS_MAX } from "../limits.ts";
import { Parser } from "./parser.ts";
import { parseSearchProgram } from "./search-keys.ts";

test("a search has so many keys and no more, those within others counted too", () => {
  const parse = (program: string) =>
    parseSearchProgram(new Parser({ lines: [new TextEncoder().encode(program)], literals: [] }));
  const many = (key: string, count: number): string => Array.from({ length: count }, () => key).join(" ");
  expect(parse(many("SEEN", SEARCH_KEYS_MAX)).kind).toBe("and");
  expect(() => parse(many("SEEN", SEARCH_KEYS_MAX + 1))).toThrow("Too many SEARCH keys");
  expect(() => parse(`(${many("NOT SEEN", SEARCH_KEYS_MAX / 2)})`)).toThrow("Too many SEARCH keys");
});
