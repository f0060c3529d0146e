import type { AccountSession, Body, Message, Summary } from "@restante/engine";
import { encodeOffsets, formatBodyStructure, HeaderBlock, scan } from "@restante/mime";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SEARCH_KEYS_MAX } from "./limits.ts";
import { createSearch } from "./search.ts";
import { Finder, findInBody, fold, Needle } from "./search-text.ts";
import { Parser } from "./wire/parser.ts";
import { parseSearchProgram } from "./wire/search-keys.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

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
  return { body, summary: summary as unknown as Summary, reads };
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
      const finder = new Finder(needles.map((text) => new Needle(text)));
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
  const all = new Finder([
    new Needle("text 0 of"),
    new Needle("text 899 of"),
    new Needle("behind"),
    new Needle("nowhere"),
  ]);
  await findInBody(all, body, summary);
  expect([...all.found]).toEqual(["text 0 of", "text 899 of", "behind"]);
  // The attachment is not read over.
  expect(reads).toHaveLength(2);
  expect(reads[1]![0]).toBeGreaterThan(500_000);
  reads.length = 0;
  const first = new Finder([new Needle("text 0 of")]);
  await findInBody(first, body, summary);
  expect(reads).toHaveLength(1);
});

test.each([
  ["quoted-printable", "iso-8859-1", (text: string) => text.replace("ä", "=E4"), 200_000],
  ["base64", "utf-8", (text: string) => Buffer.from(text).toString("base64").replace(/.{76}/g, "$&\r\n"), 200_000],
  ["8bit", "utf-8", (text: string) => text, 3_000_000],
  ["base64", "utf-16le", (text: string) => Buffer.from(text, "utf16le").toString("base64"), 3_000_001],
])(
  "texts of %s and %s are found in large parts, with line ends and without",
  async (encoding, charset, encode, size) => {
    for (const filler of ["words\r\n", "words "]) {
      const text = `${filler.repeat(size / filler.length)}a Kärntner mail`;
      const head = `Content-Type: text/plain; charset=${charset}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`;
      const { body, summary } = scanned(bytes(head + encode(text)));
      const finder = new Finder([new Needle(fold("KÄRNTNER Mail")), new Needle("nowhere")]);
      await findInBody(finder, body, summary);
      expect([...finder.found]).toEqual([fold("kärntner mail")]);
    }
  },
);

test("however many keys there are, a header and a body are made text once, and a body only where it is needed", async () => {
  const counts = { fields: 0, openBody: 0 };
  const { body, summary, reads } = scanned(bytes("Subject: s\r\n\r\nlast words\r\n"));
  class CountedBlock extends HeaderBlock {
    override fields() {
      counts.fields++;
      return super.fields();
    }
  }
  const mail = {
    readHeaders: async (messages: readonly Message[]) =>
      messages.map(() => new CountedBlock(bytes("Subject: =?utf-8?q?sch=C3=B6n?=\r\nFrom: a@x\r\n\r\n"))),
    readSummaries: async () => [summary],
    async openBody() {
      counts.openBody++;
      return body;
    },
  } as unknown as AccountSession;
  const find = async (program: string): Promise<number> => {
    const key = parseSearchProgram(new Parser({ lines: [bytes(program)], literals: [] }));
    const search = createSearch(key, { mail, isIn: () => () => true, isRecent: () => false });
    return (await search([{ position: 0 } as Message])).length;
  };
  const many = (key: (n: number) => string, n = SEARCH_KEYS_MAX - 1): string =>
    Array.from({ length: n }, (_, at) => key(at)).join(" ");
  expect(await find(`${many((n) => `NOT TEXT x${n}`, 120)} TEXT words`)).toBe(1);
  expect([counts.fields, counts.openBody, reads.length]).toEqual([1, 1, 1]);
  // What the header tells needs no body, also where others would.
  expect(await find('TEXT "schon"')).toBe(0);
  expect(counts.openBody).toBe(2);
  expect(await find('SUBJECT "SCHO\u0308N"')).toBe(1);
  expect(await find("OR FROM a@x BODY words")).toBe(1);
  expect(await find("NOT FROM a@x BODY words")).toBe(0);
  // Nor is all of the header looked through where some of its fields decide.
  counts.fields = 0;
  expect(await find("FROM nobody TEXT words")).toBe(0);
  expect(counts.fields).toBe(0);
  expect(await find('HEADER From "" NOT HEADER Cc ""')).toBe(1);
  expect(counts.openBody).toBe(2);
  expect(() =>
    parseSearchProgram(new Parser({ lines: [bytes(many(() => "SEEN", SEARCH_KEYS_MAX + 1))], literals: [] })),
  ).toThrow("Too many SEARCH keys");
  expect(() =>
    parseSearchProgram(
      new Parser({ lines: [bytes(`(${many(() => "NOT SEEN", SEARCH_KEYS_MAX / 2)})`)], literals: [] }),
    ),
  ).toThrow("Too many SEARCH keys");
});

test("fields are looked through alike, whether they are small or large", async () => {
  for (const size of [10, 200_000]) {
    const header = new HeaderBlock(bytes(`Subject: ${"x ".repeat(size / 2)}Last Words\r\nCc: a@x\r\nCc: b@x\r\n\r\n`));
    const mail = { readHeaders: async () => [header] } as unknown as AccountSession;
    const find = async (program: string): Promise<number> => {
      const key = parseSearchProgram(new Parser({ lines: [bytes(program)], literals: [] }));
      const search = createSearch(key, { mail, isIn: () => () => true, isRecent: () => false });
      return (await search([{ position: 0 } as Message])).length;
    };
    expect(await find("SUBJECT last SUBJECT words NOT SUBJECT nowhere CC b@x NOT CC c@x")).toBe(1);
    expect(await find('HEADER Cc "" SUBJECT "x last" NOT HEADER Bcc "" NOT BCC a')).toBe(1);
    expect(await find("SUBJECT nowhere")).toBe(0);
  }
});
