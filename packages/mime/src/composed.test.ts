import fc from "fast-check";
import { expect, test } from "vitest";
import { composed } from "./composed.ts";

test("is what normalize makes of text that people write", () => {
  const written = fc.string({ unit: fc.constantFrom("a", "e", "\u0301", "\u0323", "ä", "ﬁ", " ", "가", "각") });
  fc.assert(
    fc.property(written, fc.constantFrom("NFC" as const, "NFKC" as const), (text, form) => {
      fc.pre(!/\p{M}{30}/u.test(text));
      expect(composed(text, form)).toBe(text.normalize(form));
    }),
  );
});

test("text of marks alone costs what it is long, not the square of it", () => {
  const marks = "\u0301\u0323".repeat(200_000);
  expect(composed(`a${marks}`)).toHaveLength(400_000);
});
