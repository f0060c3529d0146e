import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { headerInAscii } from "./encoded-words.ts";
import {
  binaryBytes,
  binaryText,
  bodyFromBodyStructure,
  bodyStructureOfRev1,
  createScanner,
  createTextDecoder,
  decodeText,
  decodeTransfer,
  decodeWords,
  encodeWords,
  formatBodyStructure,
  formatEnvelope,
  HeaderBlock,
  type MessageStructure,
  parseHeaders,
  scan,
} from "./index.ts";

/** Mail of other programs, and its ENVELOPE and BODYSTRUCTURE. */
const utf8 = (text: string): string => binaryText(new TextEncoder().encode(text));
const envelope = (header: string): string => formatEnvelope(parseHeaders(binaryBytes(utf8(header))));
const structure = (message: string): string => formatBodyStructure(scan(binaryBytes(utf8(message))).root);

describe("header text in ASCII", () => {
  const word = fc.oneof(
    fc
      .string({ unit: "grapheme", minLength: 1 })
      .map((text) => encodeWords(text.replace(/[\u0000-\u001f\u007f]|=\?/g, ""))),
    fc
      .string({ unit: "grapheme" })
      .map((text) => `=?utf-8?Q?${utf8(text.replace(/[\s?=_\u0000-\u001f\u007f]/g, ""))}?=`),
    fc
      .string({ unit: "grapheme" })
      .map((text) => utf8(text.toWellFormed().replace(/[\u0000-\u001f\u007f]|=\?|\?=/g, ""))),
    fc.constantFrom(" ", "  ", "Re:"),
  );
  test("it reads the same", () => {
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (pieces) => {
        const text = pieces.join("");
        const ascii = headerInAscii(text);
        expect(ascii).toMatch(/^[\x00-\x7f]*$/);
        expect(decodeWords(ascii)).toBe(decodeWords(text));
      }),
    );
  });

  test.each([
    ["=?utf-8?Q?Gr\xc3\xbc=C3=9Fe?=", "=?utf-8?Q?Gr=C3=BC=C3=9Fe?="],
    ["=?utf-8?B?R3LD\xffvMOfZQ==?=", "=?utf-8?B?R3LDvMOfZQ==?="],
    ["=?utf-8?Q?a?= plain", "=?utf-8?Q?a?= plain"],
  ])("%j becomes %j", (text, ascii) => {
    expect(headerInAscii(text)).toBe(ascii);
  });
});

describe("ENVELOPE", () => {
  const address = (from: string): string => /\(\(.*?\)\)/.exec(envelope(`From: ${from}\r\n\r\n`))![0];

  test.each([
    ["Ada Lovelace", '(("Ada Lovelace" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))'],
    ['"Ada Lovelace"', '(("Ada Lovelace" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))'],
    ["root", '((NIL NIL "root" "MISSING_DOMAIN"))'],
    ["a.b", '((NIL NIL "a.b" "MISSING_DOMAIN"))'],
    ["Ada <>", '(("Ada" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))'],
    ["Ada <ada@bücher.example>", '(("Ada" NIL "ada" "xn--bcher-kva.example"))'],
    ["ada@bücher.example", '((NIL NIL "ada" "xn--bcher-kva.example"))'],
    ["Ada <ädä@example.org>", '(("Ada" NIL "invalid" "internationalized-address.invalid"))'],
    ["ädä@example.org", '(("=?utf-8?B?w6Rkw6RAZXhhbXBsZS5vcmc=?=" NIL "invalid" "internationalized-address.invalid"))'],
    ["Ada <ada@bü/cher>", '(("Ada" NIL "invalid" "internationalized-address.invalid"))'],
  ])("From: %s", (from, expected) => {
    expect(address(from)).toBe(expected);
  });

  test("raw 8-bit inside an encoded-word is not wrapped again", () => {
    expect(envelope("Subject: =?utf-8?Q?Grüße?= an =?utf-8?Q?alle?=\r\n\r\n")).toContain(
      '"=?utf-8?Q?Gr=C3=BC=C3=9Fe?= an =?utf-8?Q?alle?="',
    );
  });
});

describe("structure", () => {
  test.each(['boundary*0="a"; boundary*1="b"', "boundary*0*=us-ascii''a; boundary*1*=%62", "boundary*=us-ascii''%61b"])(
    "a boundary by RFC 2231: %s",
    (boundary) => {
      const mail = `Content-Type: multipart/mixed; ${boundary}\r\n\r\n--ab\r\n\r\none\r\n--ab\r\n\r\ntwo\r\n--ab--\r\n`;
      expect(structure(mail)).toMatch(/^\(\("text" "plain" .*\)\("text" "plain" .*\) "mixed"/);
    },
  );

  test("message/global is no message for IMAP4rev1, whatever is in it and around it", () => {
    const inner =
      "Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\nContent-Type: message/rfc822\r\n\r\nTo: a@b\r\n\r\nx\r\n--i--\r\n";
    const mail = `Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/global\r\nContent-Language: de\r\n\r\n${inner}\r\n--b\r\n\r\nend\r\n--b--\r\n`;
    const whole = structure(mail);
    expect(whole).toContain('"message" "global" NIL NIL NIL "7bit" ');
    const size = /"message" "global" NIL NIL NIL "7bit" (\d+)/.exec(whole)![1];
    const text = '("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0';
    expect(bodyStructureOfRev1(whole)).toBe(
      `(("message" "global" NIL NIL NIL "7bit" ${size} NIL NIL ("de") NIL)${text} NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL)`,
    );
    expect(bodyFromBodyStructure(whole)).toBe(`(("message" "global" NIL NIL NIL "7bit" ${size})${text}) "mixed")`);
    const plain = structure(mail.replace("global", "rfc822"));
    expect(bodyStructureOfRev1(plain)).toBe(plain);
  });

  test("CR CR LF ends a line: the header block ends where its empty line does, in any pieces", () => {
    const mail = "Subject: a\r\r\n folded\r\r\nTo: b@c\r\r\n\r\r\nbody: x\r\r\n";
    const { root, fields } = scan(binaryBytes(mail));
    expect(root.bodyStart).toBe(mail.indexOf("body"));
    expect(fields.map(({ key, value }) => [key, value])).toEqual([
      ["subject", "a folded"],
      ["to", "b@c"],
    ]);
  });

  const DOUBLED =
    "Content-Type: multipart/mixed; boundary=b\n\npre\n--b\nContent-Transfer-Encoding: quoted-printable\n\none =\nx  \ny=41\n--b\n\n\n--b\nContent-Transfer-Encoding: base64\n\nYWJj\n--b--\nepi\n";

  test("CR CR LF before a delimiter is the delimiter's, whole, in any pieces", () => {
    const mail = binaryBytes(DOUBLED.replaceAll("\n", "\r\r\n"));
    const text = binaryText(mail);
    const bodies = ({ root }: MessageStructure): unknown[] =>
      root.children.map(({ bodyStart, bodyEnd, lines, octets }) => [text.slice(bodyStart, bodyEnd), lines, octets]);
    const whole = scan(mail);
    expect(bodies(whole)).toEqual([
      ["one =\r\r\nx  \r\r\ny=41", 2, 16],
      ["", 0, 0],
      ["YWJj", 0, 3],
    ]);
    const plain = scan(binaryBytes(DOUBLED.replaceAll("\n", "\r\n")));
    expect(whole.root.children.map(({ lines }) => lines)).toEqual(plain.root.children.map(({ lines }) => lines));
    for (let size = 1; size < 12; size++) {
      const scanner = createScanner();
      for (let at = 0; at < mail.length; at += size) scanner.push(mail.slice(at, at + size));
      expect([size, bodies(scanner.finish())]).toEqual([size, bodies(whole)]);
    }
    // As many as there are, two of them belong to the line end.
    const more = scan(binaryBytes(DOUBLED.replace("=41\n--b", "=41\r\r\r\n--b")));
    expect(more.root.children[0]!.bodyEnd - more.root.children[0]!.bodyStart).toBe("one =\nx  \ny=41\r".length);
  });

  test("CR CR LF within quoted-printable ends a line of what is shown; octets that are counted are decoded by the letter", () => {
    const mail = binaryBytes(DOUBLED.replaceAll("\n", "\r\r\n"));
    const part = scan(mail).root.children[0]!;
    const body = mail.subarray(part.bodyStart, part.bodyEnd);
    expect(binaryText(decodeTransfer(body, part.encoding, true))).toBe("one x\r\nyA");
    expect(decodeTransfer(body, part.encoding).length).toBe(part.octets);
    expect(decodeText(part, body)).toBe("one x\r\nyA");
    for (const text of ["a\r\r\nb", "a\r\r\r\nb", "a\r", "a\r\r", "a=\r\r\nb", "\r\rb", "a\rb\r\n"])
      for (let size = 1; size < 5; size++) {
        const decoder = createTextDecoder("quoted-printable");
        let out = "";
        for (let at = 0; at < text.length; at += size)
          out += binaryText(decoder.push(binaryBytes(text.slice(at, at + size))));
        out += binaryText(decoder.end());
        const expected = text.replaceAll("\r\r\n", "\r\n").replaceAll("=\r\n", "");
        expect([text, size, out]).toEqual([text, size, expected]);
      }
  });
});

describe("sections of a header block", () => {
  const select = (header: string, not: boolean): string =>
    new HeaderBlock(binaryBytes(header)).select(new Set(["a"]), not);
  test("HEADER.FIELDS.NOT ends as the block does", () => {
    expect(select("A: 1\r\nB: 2\r\n\r\n", true)).toBe("B: 2\r\n\r\n");
    expect(select("A: 1\r\nB: 2\r\n", true)).toBe("B: 2\r\n");
    expect(select("A: 1\n\n", true)).toBe("\n");
    expect(select("\r\n", true)).toBe("\r\n");
    expect(select("A: 1\r\n", true)).toBe("");
  });
  test("stray lines are what is no field and goes on none, up to the empty line", () => {
    const stray = (header: string): string[] => new HeaderBlock(binaryBytes(header)).strayLines();
    expect(stray("one\r\nA: 1\r\n 2\r\ntwo\r\r\nB: 3\r\n\r\nthree")).toEqual(["one", "two"]);
    expect(stray("A: 1\r\none\n\ttwo\nthree")).toEqual(["one", "two", "three"]);
    expect(stray("\r\none: 1\r\ntwo")).toEqual([]);
    expect(stray("one\n\r\ntwo\nA: 1")).toEqual(["one"]);
    expect(stray("")).toEqual([]);
  });
  test("HEADER.FIELDS ends with an empty line", () => {
    expect(select("A: 1\r\nB: 2\r\n", false)).toBe("A: 1\r\n\r\n");
  });
});
