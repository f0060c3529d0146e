import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { withCrlf } from "../line-ends.ts";
import { readFileFields } from "./mbox-fields.ts";
import { exportOf, findMessages, type MboxKind, type Octets, readMessage } from "./mbox-reader.ts";
import { writeMessage } from "./mbox-writer.ts";

type WrittenKind = Exclude<MboxKind, "mbox">;
const KINDS: readonly WrittenKind[] = ["mboxrd", "mboxo", "mboxcl", "mboxcl2"];
const FROM = "From a@b Mon Feb  2 10:11:12 2026";

async function* each(octets: Uint8Array, step: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < octets.length; at += step) yield octets.subarray(at, at + step);
}

function octetsOf(file: Buffer, step: number): Octets {
  return { size: file.length, read: (start, end) => each(file.subarray(start, end), step) };
}

async function textOf(source: AsyncIterable<Uint8Array>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(source)).toString("latin1");
}

async function readAll(file: string, kind: MboxKind, step = 11): Promise<{ text: string; flags: readonly string[] }[]> {
  const octets = octetsOf(Buffer.from(file, "latin1"), step);
  const found = await Array.fromAsync(findMessages(octets, kind));
  return Promise.all(
    found.map(async (message) => {
      const read = readMessage(octets, message, kind);
      const text = await textOf(exportOf(message)?.isRaw ? read : withCrlf(read));
      return { text, flags: readFileFields(message.fields, / +/).flags };
    }),
  );
}

async function writeAll(texts: readonly string[], kind: WrittenKind, flags: readonly string[] = []): Promise<string> {
  const parts = texts.map((text) => {
    const read = (): AsyncIterable<Uint8Array> => each(Buffer.from(text, "latin1"), 5);
    return textOf(writeMessage({ received: { timeMs: 1_770_000_000_000, zoneMinutes: 0 }, flags, read }, kind));
  });
  return (await Promise.all(parts)).join("");
}

/** Lines that an mbox reader could take for something else. */
const LINES = [
  "",
  FROM,
  `>${FROM}`,
  `>>${FROM}`,
  "From 9 to 5",
  "From ",
  ">From ",
  "From",
  "Subject: x",
  "Content-Length: 0",
  "Content-Length: 7",
  "Status: RO",
  "X-Keywords: mine",
  " folded",
  "\tfolded",
  "text",
  "\u00ef\u00bb\u00bfx",
  "lone\rCR",
  "\r",
];
const line = fc.constantFrom(...LINES);
const ends = fc.oneof(
  { weight: 4, arbitrary: fc.constant(["\r\n"]) },
  { weight: 1, arbitrary: fc.array(fc.constantFrom("\r\n", "\n", "\r\r\n"), { minLength: 1, maxLength: 5 }) },
);
/** Any message that ends with a line end, or is empty. */
const message = fc
  .tuple(fc.array(line, { maxLength: 12 }), ends)
  .map(([lines, by]) => lines.map((text, at) => text + by[at % by.length]!).join(""));

/** The text as this kind can keep it: some kinds can't tell a quoted line from one that was not. */
function asKept(text: string, kind: WrittenKind): string {
  return kind === "mboxo" || kind === "mboxcl" ? text.replace(/^>From /gm, "From ") : text;
}

describe("what an export writes", () => {
  test.each(KINDS)("%s comes back octet by octet, also read as any kind", async (kind) => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 4 }), async (texts) => {
        const file = await writeAll(texts, kind);
        for (const as of [kind, "mbox"] as const)
          expect(await readAll(file, as)).toEqual(texts.map((text) => ({ text: asKept(text, kind), flags: [] })));
      }),
      { numRuns: 400 },
    );
  });

  test("a message without a line end at its end gets one where octets are not counted", async () => {
    const texts = ["Subject: x\r\n\r\nno end", "Subject: y"];
    const file = await writeAll(texts, "mboxrd");
    expect(file).toContain("no end\n\nFrom ");
    const found = await readAll(file, "mbox");
    expect(found.map(({ text }) => text)).toEqual(texts.map((text) => `${text}\r\n`));
  });

  test("mboxcl2 counts a body that has no line end at its end", async () => {
    const texts = ["Subject: x\r\n\r\nno end", "Subject: y\r\n\r\n\r\n\r\n"];
    expect((await readAll(await writeAll(texts, "mboxcl2"), "mbox")).map(({ text }) => text)).toEqual(texts);
  });

  test.each(KINDS)("%s: flags and keywords come back", async (kind) => {
    const flags = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Forwarded", "a,b"];
    const [mail] = await readAll(await writeAll(["Subject: x\r\n\r\nx\r\n"], kind, flags), "mbox");
    expect([...mail!.flags].sort()).toEqual([...flags].sort());
  });
});

/** A message as other programs write it, by the rules of each kind: https://www.loc.gov/preservation mbox variants. */
function foreign(text: string, kind: WrittenKind, end: string): string {
  const lf = text.replaceAll("\r\n", end);
  const quoted = { mboxrd: /^(?=>*From )/gm, mboxo: /^(?=From )/gm, mboxcl: /^(?=From )/gm, mboxcl2: undefined }[kind];
  const whole = quoted ? lf.replace(quoted, ">") : lf;
  if (kind === "mboxrd" || kind === "mboxo") return `${FROM}${end}${whole}${end}`;
  const at = whole.indexOf(end + end);
  const body = whole.slice(at + 2 * end.length);
  return `${FROM}${end}${whole.slice(0, at)}${end}Content-Length: ${body.length}${end}${end}${body}${end}`;
}

describe("what others write", () => {
  const body = fc.array(fc.constantFrom(...LINES.filter((text) => !text.includes("\r"))), { maxLength: 12 });
  const field = fc.constantFrom("Subject: x", "X-A: 1\r\n folded", "Content-Length: 3", "Content-Length: 999");
  const mail = fc
    .tuple(fc.array(field, { minLength: 1, maxLength: 3 }), body)
    .map(([fields, lines]) => [...fields, "", ...lines, ""].join("\r\n"));

  test.each(KINDS)("%s is read as it is meant", async (kind) => {
    await fc.assert(
      fc.asyncProperty(fc.array(mail, { minLength: 1, maxLength: 4 }), fc.boolean(), async (texts, isDos) => {
        const file = texts.map((text) => foreign(text, kind, isDos ? "\r\n" : "\n")).join("");
        const found = await readAll(file, kind);
        expect(found.map(({ text }) => text)).toEqual(texts.map((text) => asKept(text, kind)));
      }),
      { numRuns: 400 },
    );
  });
});
