import type { Condition } from "@restante/engine";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readKql } from "./kql.ts";

/** A condition in few words. */
function shown(condition: Condition | undefined): string {
  if (!condition) return "none";
  switch (condition.kind) {
    case "and":
    case "or":
      return `(${condition.of.map(shown).join(condition.kind === "and" ? " & " : " | ")})`;
    case "not":
      return `!${shown(condition.of)}`;
    case "date":
      return `${condition.of}[${[condition.from, condition.before].map((ms) => (ms === undefined ? "" : new Date(ms).toISOString().slice(0, 10)))}]`;
    case "text":
    case "subject":
    case "from":
    case "to":
    case "cc":
    case "body":
      return `${condition.kind}:${condition.text}`;
    case "keyword":
      return condition.keyword;
    default:
      return condition.kind;
  }
}

test.each([
  ["one two", "(text:one & text:two)"],
  ['"one two"', "text:one two"],
  ["one OR two", "(text:one | text:two)"],
  ["one OR two three", "(text:one | (text:two & text:three))"],
  ["one AND NOT two", "(text:one & !text:two)"],
  ["one -two", "(text:one & !text:two)"],
  ["(one OR two) three", "((text:one | text:two) & text:three)"],
  ['subject:"a b" from:ada', "(subject:a b & from:ada)"],
  ["from:ada from:bob", "(from:ada | from:bob)"],
  ["wel*", "text:wel"],
  ["received>=2026-01-01", "received[2026-01-01,]"],
  ["received<2026-01-01", "received[,2026-01-01]"],
  ["received:2026-01-01", "received[2026-01-01,2026-01-02]"],
  ["received:nonsense", "!all"],
  ["hasattachment:true", "attachment"],
  ["hasattachment:false", "!attachment"],
  ["isread:false", "!\\Seen"],
  ["price:5", "text:price:5"],
  ["and or", "(text:and & text:or)"],
  ["((one", "text:one"],
  ["one))", "text:one"],
  ["", "all"],
  ["OR", "all"],
])("%s", (query, expected) => {
  expect(shown(readKql(query))).toBe(expected);
});

test("a query is bounded, and whatever it is something comes of it", () => {
  expect(readKql("a ".repeat(1_000))).toBeUndefined();
  expect(readKql("a".repeat(5_000))).toBeUndefined();
  expect(readKql("(".repeat(99))).toEqual({ kind: "all" });
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("(", ")", "AND", "OR", "NOT", "a", '"', "from:", "-", "received>", " "), {
        maxLength: 60,
      }),
      (parts) => {
        expect(readKql(parts.join(" "))).toBeDefined();
      },
    ),
  );
});
