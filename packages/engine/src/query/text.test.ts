import { encodeOffsets, formatBodyStructure, HeaderBlock, messageText, scan } from "@restante/mime";
import fc from "fast-check";
import { expect, test } from "vitest";
import { EngineError } from "../errors.ts";
import { fold } from "../mail/contents/fold.ts";
import type { Message } from "../mail/mailbox-view.ts";
import type { Condition } from "./condition.ts";
import { markedPreview, markedText } from "./marked.ts";
import { Needle } from "./needle.ts";
import { Scans } from "./scans.ts";
import { readSnippets, type SnippetTools } from "./text.ts";

const needles = (...texts: readonly string[]): Needle[] => texts.map((text) => new Needle(fold(text)));
const unmarked = (html: string): string => html.replaceAll(/<\/?mark>/g, "");
const unescaped = (html: string): string =>
  html
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");
const marks = (html: string): string[] =>
  [...html.matchAll(/<mark>(.*?)<\/mark>/g)].map((match) => unescaped(match[1]!));

test("what was found is marked as it was written, all else is escaped", () => {
  expect(markedText("a <b> & Bee\t\r\n bee", needles("BEE"))).toBe(
    "a &lt;b&gt; &amp; <mark>Bee</mark> <mark>bee</mark>",
  );
  expect(markedText("<b>", needles("<b"))).toBe("<mark>&lt;b</mark>&gt;");
  expect(markedText("nothing", needles("bee"))).toBe(undefined);
  // Matches that touch are one; forms that fold to more or fewer letters are marked whole.
  expect(markedText("antbee", needles("ant", "tbe", "ee"))).toBe("<mark>antbee</mark>");
  expect(markedText("oﬃce scho\u0308n ΟΔΟΣ", needles("fi", "schön", "οδος"))).toBe(
    "o<mark>ﬃ</mark>ce <mark>scho\u0308n</mark> <mark>ΟΔΟΣ</mark>",
  );
  expect(markedText("antbee", needles("antbee", "tb"))).toBe("<mark>antbee</mark>");
  expect(markedText(" \n bee \n", needles("bee"))).toBe("<mark>bee</mark>");
  expect(markedText(`${"x".repeat(3000)} bee`, needles("bee"))).toBe(undefined);
  expect(markedPreview("a bee, a bee", needles("bee"))).toBe("a <mark>bee</mark>, a <mark>bee</mark>");
  expect(markedPreview(`bee${"a".repeat(236)}&bee b`, needles("bee"))).toBe(`<mark>bee</mark>${"a".repeat(236)}`);
  expect(markedText("x \ud800 bee", needles("bee"))).toBe("x \ufffd <mark>bee</mark>");
});

const char = fc.constantFrom(
  "a",
  "B",
  "i",
  "ﬁ",
  "e\u0301",
  "İ",
  "Σ",
  "\u1112\u1161\u11ab",
  "が",
  "&",
  "<",
  " ",
  "\r\n",
  "\t",
  "😀",
  "\u0301",
  "\ud800",
  "\u0e33",
);
const written = fc.array(char, { maxLength: 600 });

test("a preview is around the first match, in at most 255 octets, whatever is written", () => {
  let found = 0;
  fc.assert(
    fc.property(written, fc.array(char, { minLength: 1, maxLength: 4 }), fc.nat({ max: 600 }), (text, wanted, at) => {
      const whole = [...text.slice(0, at), ...wanted, ...text.slice(at)].join("");
      const needle = fold(wanted.join(""));
      const preview = markedPreview(whole, [new Needle(needle)]);
      const isThere = fold(whole).includes(needle);
      expect(preview !== undefined).toBe(isThere);
      if (preview === undefined) return;
      found++;
      expect(Buffer.byteLength(preview)).toBeLessThanOrEqual(255);
      expect(preview).not.toMatch(/[\r\n\t\ud800]| {2}|&(?!(?:amp|lt|gt|quot|#39);)|<(?!\/?mark>)/u);
      const line = unescaped(unmarked(preview));
      const shown = whole.toWellFormed().replaceAll(/[\s]+/g, " ");
      expect(shown).toContain(line.trim());
      if (needle.trim() === "") return;
      expect(marks(preview).length).toBeGreaterThan(0);
      // Each mark holds what was looked for, or is cut off where the preview ends.
      const squeezed = (value: string): string =>
        fold(value.toWellFormed()).replaceAll("ς", "σ").replaceAll(/\s+/g, " ").trim();
      const all = marks(preview).map(squeezed);
      const last = all.pop()!;
      const sought = squeezed(needle);
      for (const mark of all) expect(mark).toContain(sought);
      expect(last.includes(sought) || preview.endsWith("</mark>")).toBe(true);
    }),
    { numRuns: 1500 },
  );
  expect(found).toBeGreaterThan(300);
});

test("however far behind a match is, and however long, the preview begins at a word before it", () => {
  const text = `${"Wörter davor, ".repeat(9000)}ein Fund & mehr ${"danach ".repeat(100)}`;
  const preview = markedPreview(text, needles("fund", "davor"))!;
  expect(preview).toMatch(/^Wörter <mark>davor<\/mark>, Wörter/);
  const later = markedPreview(text, needles("fund", "nirgends"))!;
  expect(later).toMatch(/^(?:Wörter|davor,) .*ein <mark>Fund<\/mark> &amp; mehr danach/);
  expect(Buffer.byteLength(later)).toBeGreaterThan(240);
  for (let n = 0; n < 12; n++)
    expect(markedPreview(`${"words ".repeat(40)}${"x".repeat(n)} bee`, needles("bee"))).toMatch(/^words /);
  const long = "ab".repeat(700);
  expect(markedPreview(`x ${long} y`, [new Needle(long)])).toBe(`x <mark>${long.slice(0, 240)}</mark>`);
  // Wherever blocks that are folded together end.
  for (let n = 0; n < 4; n++) {
    const composed = `${"x".repeat(n)}${`${"x".repeat(1023)}e\u0301`.repeat(20)}`;
    expect(marks(markedPreview(`${composed} a bee`, needles("bee"))!)).toEqual(["bee"]);
  }
});

function snippets(message: string, { isFull = true } = {}) {
  const octets = new TextEncoder().encode(message);
  const structure = scan(octets);
  const counts = { headers: 0, summaries: 0, bodies: 0 };
  const summary = {
    format: isFull ? 2 : 1,
    bodyStructure: new TextEncoder().encode(formatBodyStructure(structure.root)),
    offsets: encodeOffsets(structure.root),
    text: messageText(structure),
  };
  const contents = {
    readHeaders: async () => {
      counts.headers++;
      return [new HeaderBlock(structure.header)];
    },
    readSummaries: async () => {
      counts.summaries++;
      return [summary];
    },
    async openBody() {
      counts.bodies++;
      return {
        size: octets.length,
        async *read(start: number, end: number) {
          yield octets.subarray(start, end);
        },
      };
    },
  } as unknown as SnippetTools["contents"];
  const tools = { contents, scans: new Scans(), pace: { isOver: () => true, take: async () => undefined } };
  const read = async (condition: Condition) => (await readSnippets([{} as Message], condition, tools))[0]!;
  return { read, counts, tools };
}
const text = (value: string): Condition => ({ kind: "text", text: value });
const body = (value: string): Condition => ({ kind: "body", text: value });
const subject = (value: string): Condition => ({ kind: "subject", text: value });
const and = (...of: readonly Condition[]): Condition => ({ kind: "and", of });

const HTML = [
  "Subject: =?utf-8?q?Sch=C3=B6ne?=\r\n\tbees",
  "Content-Type: multipart/mixed; boundary=b",
  "",
  "--b",
  "Content-Type: text/html; charset=utf-8",
  "Content-Transfer-Encoding: quoted-printable",
  "",
  `<style>bees</style><p class=3D"honey">${"many words=20".repeat(200)}</p><p>of b=`,
  "ees &amp; ants</p>",
  "--b",
  "Content-Type: application/zip",
  "",
  "bees in a zip",
  "--b",
  "Content-Type: message/rfc822",
  "",
  "Subject: inner",
  "",
  "the last wörd",
  "--b--",
  "",
].join("\r\n");

test("a snippet is of what a condition asks for, in the subject and in the text as it is read", async () => {
  const { read, counts } = snippets(HTML);
  expect(await read(text("BEES"))).toMatchObject({
    subject: "Schöne <mark>bees</mark>",
    preview: expect.stringMatching(/words of <mark>bees<\/mark> &amp; ants$/),
  });
  expect(await read(and(subject("schöne"), body("wörd")))).toEqual({
    subject: "<mark>Schöne</mark> bees",
    preview: "the last <mark>wörd</mark>",
  });
  expect(await read({ kind: "header", field: "subject", text: "bees" })).toEqual({
    subject: "Schöne <mark>bees</mark>",
    preview: undefined,
  });
  // Tags, styles and files are no text; and what is not to be there is not looked for.
  for (const one of [
    text("honey"),
    text("zip"),
    { kind: "not", of: text("bees") } as const,
    { kind: "all" } as const,
    { kind: "header", field: "to", text: "bees" } as const,
  ])
    expect(await read(one)).toEqual({ subject: undefined, preview: undefined });
  for (const one of [text(""), body("")]) expect(await read(one)).toEqual({ subject: undefined, preview: undefined });
  expect((await read(subject("schöne bees"))).subject).toBe("<mark>Schöne bees</mark>");
  // Only what is asked for is read.
  Object.assign(counts, { headers: 0, summaries: 0, bodies: 0 });
  await read(body("nowhere"));
  expect(counts).toEqual({ headers: 0, summaries: 1, bodies: 1 });
  await read(subject("nowhere"));
  await read({ kind: "all" });
  expect(counts).toEqual({ headers: 1, summaries: 1, bodies: 1 });
  counts.bodies = 0;
  // The beginning of the plain text is kept.
  expect((await read(body("wörd"))).preview).toBe("the last <mark>wörd</mark>");
  expect(counts.bodies).toBe(0);
  expect((await snippets(HTML, { isFull: false }).read(body("ants"))).preview).toContain("<mark>ants</mark>");
});

test("of very long texts the beginnings are looked through", async () => {
  const part = (beginning: string): string => `--b\r\n\r\n${beginning}${"x".repeat(300_000)} end${beginning}\r\n`;
  const parts = ["one < two <bees>", "two", "three"].map(part).join("");
  const { read } = snippets(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${parts}--b--\r\n`, { isFull: false });
  expect((await read(body("two <bees"))).preview).toMatch(/^one &lt; <mark>two &lt;bees<\/mark>&gt;x/);
  expect((await read(body("two"))).preview).toBeDefined();
  expect((await read(body("twox"))).preview).toBeDefined();
  for (const one of ["endone", "three"])
    expect(await read(body(one))).toEqual({ subject: undefined, preview: undefined });
});

test("snippets are a scan, which ends when it is told to, and what went meanwhile has none", async () => {
  const { read, tools, counts } = snippets(HTML);
  const end = await tools.scans.begin();
  const waiting = read(text("bees"));
  // A condition without texts waits for nobody.
  expect(await read({ kind: "all" })).toEqual({ subject: undefined, preview: undefined });
  expect(counts.headers).toBe(0);
  end();
  await waiting;
  const signal = AbortSignal.abort(new Error("gone"));
  await expect(readSnippets([{} as Message], text("bees"), { ...tools, signal })).rejects.toThrow("gone");
  const ending = new AbortController();
  const taking = { isOver: () => true, take: async () => ending.abort(new Error("gone")) };
  const two = [{} as Message, {} as Message];
  await expect(readSnippets(two, text("bees"), { ...tools, pace: taking, signal: ending.signal })).rejects.toThrow(
    "gone",
  );
  const failing = (code: "expunged" | "unavailable") => ({
    ...tools,
    contents: { ...tools.contents, openBody: () => Promise.reject(new EngineError(code, "x")) },
  });
  expect(await readSnippets([{} as Message], body("ants"), failing("expunged"))).toEqual([
    { subject: undefined, preview: undefined },
  ]);
  await expect(readSnippets([{} as Message], body("ants"), failing("unavailable"))).rejects.toMatchObject({
    code: "unavailable",
  });
  expect((await read(subject("bees"))).subject).toBeDefined();
});
