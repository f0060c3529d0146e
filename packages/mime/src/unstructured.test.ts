import fc from "fast-check";
import { expect, test } from "vitest";
import {
  binaryText,
  decodeCharset,
  decodeUnstructured,
  encodeWords,
  HeaderBlock,
  parseMessageIds,
  parseUrls,
} from "./index.ts";

const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

test.each([
  ["a word between spaces", "a =?utf-8?q?=C3=A9?= b", "a é b"],
  ["a word at both ends", "=?utf-8?q?a?=", "a"],
  ["two words: the space between them goes", "=?utf-8?q?a?= \t=?utf-8?q?b?=", "ab"],
  ["a character that two words share", "=?utf-8?q?=E2=82?= =?utf-8?b?rA==?=", "€"],
  ["two words of two charsets", "=?utf-8?q?=C3=A9?= =?iso-8859-1?q?=E9?=", "éé"],
  ["a language: RFC 2231 §5", "=?utf-8*en?q?a?=", "a"],
  ["no space before it", "x=?utf-8?q?a?=", "x=?utf-8?q?a?="],
  ["no space behind it", "=?utf-8?q?a?=.", "=?utf-8?q?a?=."],
  ["no space between two", "=?utf-8?q?a?==?utf-8?q?b?=", "=?utf-8?q?a?==?utf-8?q?b?="],
  ["a space in it", "=?utf-8?q?a b?=", "=?utf-8?q?a b?="],
  ["an unknown charset", "=?x-none?q?a?= =?utf-8?q?b?=", "=?x-none?q?a?= b"],
  ["controls in it", "=?utf-8?q?a=00=0D=0Ab=7F?= c\0", "ab c"],
  ["raw octets beside it", binaryText(octets("é =?utf-8?q?a?=")), "é a"],
  ["octets that are none of its charset", "=?utf-8?q?a=FF?=", "a\ufffd"],
])("unstructured text: %s", (_, text, wanted) => {
  expect(decodeUnstructured(text)).toBe(wanted);
});

test("what is encoded as words comes back", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", "é", "=", "?", " ", "日"), maxLength: 120 }), (text) => {
      if (/^[\x20-\x7e]*$/.test(text)) return;
      expect(decodeUnstructured(encodeWords(text))).toBe(text);
    }),
  );
});

test("a charset's malformed octets are told, and no character that only looks so", () => {
  expect(decodeCharset(octets("a\ufffd"), "utf-8")).toEqual({ text: "a\ufffd" });
  expect(decodeCharset(Uint8Array.of(0x61, 0xff), "utf-8")).toEqual({ text: "a\ufffd", isMalformed: true });
  expect(decodeCharset(Uint8Array.of(0x61, 0x81), "shift_jis").isMalformed).toBe(true);
  expect(decodeCharset(Uint8Array.of(0, 0, 0x11, 0), "utf-32le").isMalformed).toBe(true);
  expect(decodeCharset(Uint8Array.of(0xff), "x-none").unknownCharset).toBe("x-none");
});

test("raw values keep their folding and white space, and lose one line end", () => {
  const block = new HeaderBlock(octets("X: a \r\n\tb\r\nno field\r\nx :\tc\nY:\r\n d\r\r\nX:last"));
  expect(block.rawValues("x")).toEqual([" a \r\n\tb", "\tc", "last"]);
  expect(block.lastRawValue("x")).toBe("last");
  expect(block.lastRawValue("z")).toBeUndefined();
  expect(block.rawFields()).toEqual([
    { name: "X", value: " a \r\n\tb" },
    { name: "x", value: "\tc" },
    { name: "Y", value: "\r\n d" },
    { name: "X", value: "last" },
  ]);
});

test.each([
  ["<a@b> <c@d>", ["a@b", "c@d"]],
  ["<a@\r\n b>", ["a@b"]],
  ["(of <x@y>) <a@b>", ["a@b"]],
  ["((a) \\) <x@y>) <a@b>", ["a@b"]],
  ["<a(1)@b>", ["a(1)@b"]],
  ["( <a@b>", ["a@b"]],
  ["words <a@b> more (", ["a@b"]],
  ["<<a@b>", ["a@b"]],
  ["<> a@b", []],
  ["<a@b", []],
])("message ids of %j", (value, ids) => {
  expect(parseMessageIds(value)).toEqual(ids);
});

test("URLs of a list field", () => {
  expect(parseUrls(" <http://x/ y> (by <web>), <mailto:a@b?subject=c>")).toEqual([
    "http://x/y",
    "mailto:a@b?subject=c",
  ]);
  expect(parseUrls("NO (closed)")).toEqual([]);
});
