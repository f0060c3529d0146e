import fc from "fast-check";
import { expect, test } from "vitest";
import { Finder, fold, Needle } from "./needle.ts";
import { ALONE } from "./pace.ts";

test("a needle is found where it is, however long it is and whatever repeats in it", () => {
  const part = fc.string({ unit: fc.constantFrom("a", "b", "€"), minLength: 1, maxLength: 4 });
  const repeated = fc.tuple(part, fc.integer({ min: 1, max: 200 })).map(([text, times]) => text.repeat(times));
  const text = fc.array(repeated, { maxLength: 4 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(text, text, text, (needle, before, behind) => {
      expect(new Needle(needle).isIn(before + needle + behind)).toBe(true);
      expect(new Needle(needle).isIn(before + behind)).toBe((before + behind).includes(needle));
    }),
    { numRuns: 500 },
  );
});

test("what lies in several lines is found however they come", async () => {
  const line = fc.string({ unit: fc.constantFrom("a", "B", "ß", "é", "e\u0301", " "), maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 8 }), line, fc.nat(), async (lines, other, at) => {
      const first = at % lines.length;
      const across = `${lines[first]!.slice(-3)}\n${lines[first + 1]?.slice(0, 3) ?? ""}`;
      const needles = [across, other, `${other}\n`].map(fold).filter((text) => text !== "");
      const finder = new Finder(needles.map((text) => new Needle(text)));
      for (const text of lines) await finder.push(`${text}\n`, ALONE);
      const all = fold(lines.map((text) => `${text}\n`).join(""));
      expect([...finder.found].sort()).toEqual([...new Set(needles.filter((text) => all.includes(text)))].sort());
    }),
    { numRuns: 300 },
  );
});
