import fc from "fast-check";
import { expect, test } from "vitest";
import { matcher } from "../commands/list.ts";
import { COMMAND_BYTES_MAX, COMMAND_LITERALS_BYTES_MAX } from "../limits.ts";
import { CommandReader, InputBuffer, literalAtEnd, type Read } from "./command-reader.ts";
import { formatDateTime, parseDate, parseDateTime } from "./date.ts";
import { parseFetchItems } from "./fetch-items.ts";
import { formatAstring, formatString } from "./format.ts";
import { decodeMailboxName, encodeMailboxName } from "./mailbox-name.ts";
import { ImapSyntaxError, Parser } from "./parser.ts";
import { parseSearchProgram } from "./search-keys.ts";
import { formatSequenceSet, parseSequenceSet, resolveRanges } from "./sequence-set.ts";

const asText = (from: Uint8Array): string => Buffer.from(from).toString("latin1");
const bytes = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const parser = (line: string, ...literals: string[]): Parser =>
  new Parser({ lines: line.split("\u0001").map(bytes), literals: literals.map(bytes) });

/** All that a reader makes of `text`, in pieces of `size`; literals of messages ("APPEND") are streamed. */
async function readAll(text: string, size: number): Promise<(Read | string)[]> {
  const input = new InputBuffer();
  const reads: (Read | string)[] = [];
  let continuations = 0;
  const reader = new CommandReader(input, {
    limits: () => ({ lineBytesMax: COMMAND_BYTES_MAX, literalsBytesMax: COMMAND_LITERALS_BYTES_MAX }),
    judgeLiteral: ({ lines }, { size: octets }) =>
      /APPEND/.test(String.fromCharCode(...lines[0]!)) ? "stream" : octets > 100 ? "refuse" : "keep",
    sendContinuation: () => continuations++,
  });
  let at = 0;
  // More comes when what came was looked at.
  input.onDrained = () => {
    if (at >= text.length) input.end();
    else input.push(bytes(text.slice(at, at + size)));
    at += size;
  };
  for (let read = await reader.read(); read.kind !== "end"; read = await reader.read()) {
    reads.push(read);
    if (read.kind !== "stream") continue;
    let message = "";
    for await (const piece of reader.readLiteral(read.literal)) message += String.fromCharCode(...piece);
    reads.push(message, await reader.resume());
  }
  return [...reads, `${continuations} continuations`];
}

test("a line that is too long and announces a literal is dropped with it, however it is cut", async () => {
  const long = "x".repeat(COMMAND_BYTES_MAX);
  const dropped = `{8+}\r\nb NOOP\r\n`;
  const text = `a ${long} ${dropped}\r\nc ${long} ${dropped} ${long} ${dropped}\r\nd LOGIN {200+}\r\n${"z".repeat(200)}${long} ${dropped}\r\ne ${long} {8}\r\nf NOOP\r\n`;
  const whole = await readAll(text, text.length);
  const tags = whole.map((read) =>
    typeof read !== "string" && "text" in read ? [asText(read.text.lines[0]!)[0], read.kind] : read,
  );
  expect(tags).toEqual([
    ["a", "refused"],
    ["c", "refused"],
    ["d", "refused"],
    ["e", "refused"],
    ["f", "command"],
    "0 continuations",
  ]);
  for (const size of [1, 3, 1_000, 30_000, COMMAND_BYTES_MAX + 5])
    expect(await readAll(text, size), `${size}`).toEqual(whole);
});

test("commands and literals are the same however they are cut", async () => {
  const text =
    "a NOOP\r\n\r\nb LOGIN {3}\r\nx\r\n {2+}\r\nyz\r\nc APPEND INBOX {5+}\r\nhe\r\nl\r\nd LOGIN {500+}\r\n" +
    "z".repeat(500) +
    " x\r\ne NOOP\n";
  const whole = await readAll(text, text.length);
  expect(whole.map((read) => (typeof read === "string" ? read : read.kind))).toEqual([
    "command",
    "command",
    "stream",
    "he\r\nl",
    "command",
    "refused",
    "command",
    "1 continuations",
  ]);
  for (const size of [1, 2, 3, 7, 50]) expect(await readAll(text, size)).toEqual(whole);
});

test("pieces of any size are what came, in whichever way they are taken, and what was taken stays", () => {
  const step = fc.oneof(
    fc.record({ push: fc.oneof(fc.constantFrom(0, 1, 2_047, 2_048, 4_095, 4_096), fc.nat(5_000)) }),
    fc.record({ take: fc.nat(3_000) }),
    fc.record({ peek: fc.nat(300) }),
    fc.constant({ line: true }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const input = new InputBuffer();
      let [came, next] = ["", 0];
      const taken: [Uint8Array | undefined, string | undefined][] = [];
      for (const one of steps) {
        if ("push" in one) {
          const piece = Array.from({ length: one.push }, () =>
            ++next % 97 === 0 ? "\n" : String.fromCharCode(97 + (next % 26)),
          );
          input.push(bytes(piece.join("")));
          came += piece.join("");
        } else if ("peek" in one) expect(asText(input.peek(one.peek))).toBe(came.slice(0, one.peek));
        else if ("take" in one) {
          const piece = input.takeUpTo(one.take);
          taken.push([piece, piece && came.slice(0, piece.length)]);
          expect(piece === undefined).toBe(came === "" || one.take === 0);
          came = came.slice(piece?.length ?? 0);
        } else {
          const end = came.indexOf("\n");
          taken.push([input.takeLine(), end < 0 ? undefined : came.slice(0, end)]);
          came = came.slice(end + 1);
        }
        expect(input.length).toBe(came.length);
      }
      for (const [piece, was] of taken) expect(piece && asText(piece)).toBe(was);
    }),
  );
});

test("octets that come one by one lie together, and are read as others are", () => {
  const input = new InputBuffer();
  const push = (text: string): void => {
    for (const octet of bytes(text)) input.push(Uint8Array.of(octet));
  };
  push("first");
  expect(input.takeLine()).toBeUndefined();
  push(" line\r\nrest");
  const line = input.takeLine()!;
  push("x".repeat(10_000));
  expect([line, input.takeUpTo(5)!].map((piece) => String.fromCharCode(...piece))).toEqual(["first line", "restx"]);
  let pieces = 0;
  for (; input.length > 0; pieces++) input.takeUpTo(input.length);
  expect(pieces).toBeLessThan(5);
});

test("a line without an end is given up at its limit, and the next command is read", async () => {
  const reads = await readAll(`a ${"x".repeat(COMMAND_BYTES_MAX * 3)}\r\nb NOOP\r\n`, 10_000);
  expect(reads.map((read) => (typeof read === "string" ? read : read.kind))).toEqual([
    "refused",
    "command",
    "0 continuations",
  ]);
});

test.each([
  ["{5}", { size: 5, synchronizing: true, binary: false }],
  ["x {0+}", { size: 0, synchronizing: false, binary: false }],
  ["~{12}", { size: 12, synchronizing: true, binary: true }],
  ["{}", undefined],
  ["{5", undefined],
  ["{x5}", undefined],
])("the literal at the end of %j", (line, expected) => {
  expect(literalAtEnd(bytes(line))).toEqual(expected);
});

test("strings: atoms, quoted, literals", () => {
  expect(parser('"a\\"b\\\\"').string()).toBe('a"b\\');
  expect(parser("{3}\u0001 rest", "x\r\n").string()).toBe("x\r\n");
  expect(parser("in]box ").astring()).toBe("in]box");
  expect(parser("NIL").nstring()).toBeUndefined();
  expect(parser('"\xc3\xa9"').string()).toBe("é");
  for (const bad of ['"a', '"a\\b"', '"\xff"', "", " ", "{3}"])
    expect(() => parser(bad).string()).toThrow(ImapSyntaxError);
});

test("mailbox names go to modified UTF-7 and back", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (name) => {
      const wanted = name.toWellFormed();
      const encoded = encodeMailboxName(wanted);
      expect(encoded).toMatch(/^[\x20-\x7e]*$/);
      expect(decodeMailboxName(encoded)).toBe(wanted);
    }),
  );
  // RFC 3501 §5.1.3's own example.
  expect(encodeMailboxName("~peter/mail/台北/日本語")).toBe("~peter/mail/&U,BTFw-/&ZeVnLIqe-");
  for (const bad of ["&", "a&b", "&AGE", "&2AE-"]) expect(() => decodeMailboxName(bad)).toThrow(ImapSyntaxError);
});

test("sequence sets: any order, star, joined; formatted sets read as they were", () => {
  expect(resolveRanges(parseSequenceSet("5:3,1,*,4:6"), 10)).toEqual([
    { first: 1, last: 1 },
    { first: 3, last: 6 },
    { first: 10, last: 10 },
  ]);
  expect(resolveRanges(parseSequenceSet("*:20"), 10)).toEqual([{ first: 10, last: 20 }]);
  // One within another, and one that touches it.
  expect(resolveRanges(parseSequenceSet("2:8,3:4,9"), 10)).toEqual([{ first: 2, last: 9 }]);
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (numbers) => {
      const sorted = [...numbers].sort((a, b) => a - b);
      const ranges = resolveRanges(parseSequenceSet(formatSequenceSet(sorted)), 1);
      expect(
        ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i)),
      ).toEqual(sorted);
    }),
  );
  for (const bad of ["0", "1:", "", "a", "1,,2", "4294967296", "01"])
    expect(() => parseSequenceSet(bad)).toThrow(ImapSyntaxError);
});

test("dates read as they are written", () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e9, max: 4e9 }), fc.integer({ min: -840, max: 840 }), (seconds, zoneMinutes) => {
      const date = { timeMs: seconds * 1000, zoneMinutes };
      expect(parseDateTime(formatDateTime(date))).toEqual(date);
    }),
  );
  expect(new Date(parseDate("1-feb-2026")).toISOString()).toBe("2026-02-01T00:00:00.000Z");
  for (const bad of ["31-Feb-2026", "1-Foo-2026", "x", "1-Jan-26"])
    expect(() => parseDate(bad)).toThrow(ImapSyntaxError);
});

test.each([
  ["FULL", ["flags", "internaldate", "size", "envelope", "body"]],
  ["(UID FLAGS)", ["uid", "flags"]],
  ["BODY[]", ["BODY[]"]],
  ["BODY.PEEK[1.2.MIME]<0.10>", ["BODY[1.2.MIME]<0>"]],
  ['body.peek[header.fields (from "x y")]', ['BODY[HEADER.FIELDS (from "x y")]']],
  ["BODY[2.HEADER.FIELDS.NOT (a)]", ["BODY[2.HEADER.FIELDS.NOT (a)]"]],
  ["(RFC822.SIZE RFC822.HEADER BODYSTRUCTURE BODY)", ["size", "RFC822.HEADER", "bodystructure", "body"]],
])("FETCH items %s", (text, expected) => {
  const read = parser(text);
  expect(parseFetchItems(read).map((item) => (item.kind === "section" ? item.label : item.kind))).toEqual(expected);
  read.end();
});

test.each(["BODY[MIME]", "BODY[0]", "BODY[1.]", "BODY[HEADER.FIELDS ()]", "BODY[]<0.0>", "FOO", "()", "BODY[TEXT"])(
  "FETCH item %s is refused",
  (text) => expect(() => parseFetchItems(parser(text))).toThrow(ImapSyntaxError),
);

test("SEARCH keys nest, within bounds", () => {
  expect(parseSearchProgram(parser('NOT (OR SEEN FROM "x" 1:3) SINCE 1-Jan-2026'))).toMatchObject({
    kind: "and",
    keys: [
      { kind: "not", key: { kind: "and" } },
      { kind: "date", of: "internal", when: "since" },
    ],
  });
  expect(() => parseSearchProgram(parser(`${"NOT ".repeat(500)}ALL`))).toThrow("deep");
  expect(() => parseSearchProgram(parser("CHARSET KOI8-R ALL"))).toThrow("charset");
  expect(() => parseSearchProgram(parser(`ALL${" ALL".repeat(5000)}`))).toThrow("Too many");
  for (const bad of ["", "FOO", "OR SEEN", "KEYWORD", "LARGER x", "()"])
    expect(() => parseSearchProgram(parser(bad))).toThrow();
});

test("no bytes make a parser fail otherwise than by its own error", () => {
  const words = fc.array(
    fc.oneof(
      fc.constantFrom(
        "(",
        ")",
        "[",
        "]",
        '"',
        "\\",
        "{3}",
        "*",
        ":",
        ",",
        " ",
        "BODY",
        "NOT",
        "OR",
        "1",
        "UID",
        "HEADER.FIELDS",
        "<1.2>",
      ),
      fc.string({ maxLength: 3 }),
    ),
    { maxLength: 25 },
  );
  fc.assert(
    fc.property(words, (parts) => {
      for (const read of [parseFetchItems, parseSearchProgram]) {
        const attempt = parser(parts.join("").replace(/[\r\n\u0001]/g, ""));
        try {
          read(attempt);
        } catch (error) {
          expect(
            (error as Error).name === "ImapSyntaxError" || (error as Error).name === "BadCharset",
            String(error),
          ).toBe(true);
        }
      }
    }),
    { numRuns: 3000 },
  );
});

test.each([
  ["*", "a/b", true],
  ["%", "a/b", false],
  ["%", "a", true],
  ["a/%", "a/b", true],
  ["*b", "a/b", true],
  ["inbox", "INBOX", true],
  ["INBOX/%", "INBOX/x", true],
  ["%/%", "a/b/c", false],
  ["", "a", false],
])("the pattern %s and the name %s", (pattern, name, expected) => {
  expect(matcher([pattern])(name)).toBe(expected);
});

test("a pattern matches what an expression of the same meaning does, and a long one takes no longer than its name", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "/"), maxLength: 8 });
  const pattern = fc.string({ unit: fc.constantFrom("a", "b", "/", "*", "%"), maxLength: 8 });
  fc.assert(
    fc.property(pattern, text, (wanted, name) => {
      const source = wanted.replaceAll("*", "[^]*").replaceAll("%", "[^/]*");
      expect(matcher([wanted])(name)).toBe(new RegExp(`^${source}$`).test(name));
    }),
    { numRuns: 1000 },
  );
  expect(matcher([`*${"a".repeat(1_001)}`])("a".repeat(1_001))).toBe(false);
  // Of several patterns together there are no more than of one.
  expect(matcher(["*".repeat(10), "%".repeat(10)])("a")).toBe(true);
  expect(() => matcher(["*".repeat(10), "%".repeat(11)])).toThrow(ImapSyntaxError);
  expect(matcher(["a".repeat(500), "b".repeat(500)])("a")).toBe(false);
  expect(() => matcher(["a".repeat(500), "b".repeat(501)])).toThrow(ImapSyntaxError);
  const many = matcher(["*a".repeat(20)]);
  for (let n = 0; n < 200; n++) expect(many(`${"a".repeat(1_000)}b`)).toBe(false);
});

test("strings that are written read as what they were", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme-ascii" }), (text) => {
      for (const written of [formatString(text), formatAstring(text)]) {
        const literal = /^\{(\d+)\}\r\n([\s\S]*)$/.exec(written);
        const read = literal ? parser(`{${literal[1]}}\u0001`, literal[2]!) : parser(written);
        expect(read.astring()).toBe(text);
      }
    }),
  );
});
