import fc from "fast-check";
import { expect, test } from "vitest";
import { gathered, isText, readLines, withCrlf, withLf } from "./line-ends.ts";

async function* cut(text: string, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  const octets = Buffer.from(text, "latin1");
  for (let at = 0, turn = 0; at < octets.length; turn++) {
    const end = at + sizes[turn % sizes.length]!;
    yield octets.subarray(at, end);
    at = end;
  }
}

async function textOf(source: AsyncIterable<Uint8Array>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(source)).toString("latin1");
}

const text = fc
  .array(fc.constantFrom("a", "\r", "\n", "\r\n", "\r\n"), { maxLength: 20 })
  .map((parts) => parts.join(""));
const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 });

test("text loses nothing by LF, however it is cut, and what is told to be no text would", async () => {
  await fc.assert(
    fc.asyncProperty(text, sizes, async (whole, by) => {
      const back = await textOf(withCrlf(withLf(cut(whole, by))));
      const isSame = back === whole && !/(?<!\r)\n/.test(whole);
      expect(await isText(cut(whole, by))).toBe(isSame);
    }),
    { numRuns: 2000 },
  );
});

test("lines and gathered pieces are the same octets", async () => {
  await fc.assert(
    fc.asyncProperty(text, sizes, fc.integer({ min: 1, max: 5 }), async (whole, by, lineBytesMax) => {
      const lines = await Array.fromAsync(readLines(cut(whole, by), lineBytesMax));
      expect(Buffer.concat(lines).toString("latin1")).toBe(whole);
      for (const line of lines) expect(line.subarray(0, -1).includes(10)).toBe(false);
      expect(await textOf(gathered(cut(whole, by)))).toBe(whole);
    }),
  );
});
