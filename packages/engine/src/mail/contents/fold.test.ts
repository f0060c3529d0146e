import { afterEach, expect, test, vi } from "vitest";
import { fold } from "./fold.ts";

afterEach(() => vi.restoreAllMocks());

test("however many marks stand on one letter, few of them are put in order at once", () => {
  const marks = "\u0301\u0316\uff9e\u0e33";
  for (const text of [`a${marks.repeat(1000)}b`, `${"\u0301".repeat(999)}a${"\u0316".repeat(29)}`]) {
    const whole = text.normalize("NFKC");
    const normalize = vi.spyOn(String.prototype, "normalize");
    const folded = fold(text);
    for (const piece of normalize.mock.contexts) {
      const runs = String(piece).match(/[\p{M}\u0e33\uff9e]+/gu) ?? [];
      expect(Math.max(0, ...runs.map(({ length }) => length))).toBeLessThanOrEqual(30);
    }
    expect(normalize.mock.contexts.join("")).toBe(text);
    vi.restoreAllMocks();
    expect(folded.length).toBe(whole.length);
  }
  // A text such as people write is composed as a whole.
  const written = "e\u0301 A\u0323\u0302 \uff76\uff9e \u1112\u1161\u11ab ﬁ";
  expect(fold(written)).toBe(written.normalize("NFKC").toLowerCase());
});
