import { encodeOffsets, formatBodyStructure, scan } from "@restante/mime";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Body } from "../mail/contents/contents.ts";
import { fold } from "../mail/contents/fold.ts";
import { findInBody } from "./body-text.ts";
import { Finder, Needle } from "./needle.ts";

const pace = { isOver: () => false, take: async () => undefined };

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const utf32 = (text: string): Buffer => Buffer.from(Uint32Array.from(text, (char) => char.codePointAt(0)!).buffer);

/** A message's body, which counts its reads, and its summary. */
function scanned(message: Uint8Array) {
  const { root } = scan(message);
  const reads: [number, number][] = [];
  const body: Body = {
    size: message.length,
    async *read(start, end) {
      reads.push([start, end]);
      for (let at = start; at < end; at += 5000) yield message.subarray(at, Math.min(at + 5000, end));
    },
  };
  const summary = { bodyStructure: bytes(formatBodyStructure(root)), offsets: encodeOffsets(root) };
  return { body, summary, reads };
}

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
      const finder = new Finder(
        needles.map((text) => new Needle(text)),
        pace,
      );
      for (const text of lines) await finder.push(`${text}\n`);
      const all = fold(lines.map((text) => `${text}\n`).join(""));
      expect([...finder.found].sort()).toEqual([...new Set(needles.filter((text) => all.includes(text)))].sort());
    }),
    { numRuns: 300 },
  );
});

test("a body is read once, from front to back, however many parts it has, and no further than is needed", async () => {
  const parts = Array.from({ length: 900 }, (_, n) => `--b\r\n\r\ntext ${n} of it\r\n`);
  const attachment = `--b\r\nContent-Type: image/png\r\n\r\n${"x".repeat(500_000)}\r\n`;
  const message = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${parts.join("")}${attachment}--b\r\n\r\nbehind it\r\n--b--\r\n`;
  const { body, summary, reads } = scanned(bytes(message));
  const all = new Finder(
    [new Needle("text 0 of"), new Needle("text 899 of"), new Needle("behind"), new Needle("nowhere")],
    pace,
  );
  await findInBody({ text: all, headers: new Finder([], pace) }, body, summary, pace);
  expect([...all.found]).toEqual(["text 0 of", "text 899 of", "behind"]);
  // The attachment is not read over.
  expect(reads).toHaveLength(2);
  expect(reads[1]![0]).toBeGreaterThan(500_000);
  reads.length = 0;
  const first = new Finder([new Needle("text 0 of")], pace);
  await findInBody({ text: first, headers: new Finder([], pace) }, body, summary, pace);
  expect(reads).toHaveLength(1);
});

test.each([
  ["quoted-printable", "iso-8859-1", (text: string) => text.replace("ä", "=E4"), 200_000],
  ["base64", "utf-8", (text: string) => Buffer.from(text).toString("base64").replace(/.{76}/g, "$&\r\n"), 200_000],
  ["8bit", "utf-8", (text: string) => text, 3_000_000],
  ["base64", "utf-16le", (text: string) => Buffer.from(text, "utf16le").toString("base64"), 3_000_001],
  ["base64", "utf-32le", (text: string) => utf32(text).toString("base64").replace(/.{76}/g, "$&\r\n"), 1_500_001],
  ["base64", "utf-32be", (text: string) => utf32(text).swap32().toString("base64"), 1_500_001],
])(
  "texts of %s and %s are found in large parts, with line ends and without",
  async (encoding, charset, encode, size) => {
    for (const filler of ["words\r\n", "words "]) {
      const text = `${filler.repeat(size / filler.length)}a Kärntner mail`;
      const head = `Content-Type: text/plain; charset=${charset}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`;
      const { body, summary } = scanned(bytes(head + encode(text)));
      const finder = new Finder([new Needle(fold("KÄRNTNER Mail")), new Needle("nowhere")], pace);
      await findInBody({ text: finder, headers: new Finder([], pace) }, body, summary, pace);
      expect([...finder.found]).toEqual([fold("kärntner mail")]);
    }
  },
);
