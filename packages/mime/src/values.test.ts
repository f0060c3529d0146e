import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  baseSubject,
  binaryBytes,
  binaryText,
  createTransferDecoder,
  decodeCharset,
  decodeParameter,
  decodeTransfer,
  decodeWords,
  encodeWords,
  HeaderBlock,
  parseAddresses,
  parseDate,
  parseHeaders,
  parseMessageIds,
  parseParameterized,
  preview,
  scan,
} from "./index.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (from: Uint8Array): string => new TextDecoder().decode(from);

test("encoded-words come back as what was encoded", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (value) => {
      const wellFormed = value.toWellFormed().replace(/[\u0000-\u001f\u007f]|=\?/g, "");
      expect(decodeWords(encodeWords(wellFormed))).toBe(wellFormed);
    }),
  );
});

test.each([
  ["=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"],
  ["=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?= c", "ab c"],
  ["=?UTF-8?B?4oI=?= =?UTF-8?B?rA==?=", "€"],
  ["=?unknown?Q?x=80?=", "x€"],
  ["=?utf-8*en?q?a_b?=", "a b"],
  ["gr\xc3\xbc\xc3\x9fe", "grüße"],
  ["voil\xc3\xa0", "voilà"],
  ["=?broken", "=?broken"],
])("header text %j reads %j", (raw, expected) => {
  expect(decodeWords(raw)).toBe(expected);
});

test.each([
  ["utf-7", "Hi Mom -+Jjo--!", "Hi Mom -☺-!"],
  ["cp932", "\x82\xa0", "あ"],
  ["ks_c_5601-1987", "\xb0\xa1", "가"],
  ["windows-1252", "\x80", "€"],
  ["x-never-heard-of", "\x80", "€"],
])("%s is read", (label, raw, expected) => {
  const decoded = decodeCharset(
    Uint8Array.from(raw, (char) => char.charCodeAt(0)),
    label,
  );
  expect(decoded.text).toBe(expected);
  expect(decoded.unknownCharset !== undefined).toBe(label.startsWith("x-never"));
});

test("base64 and quoted-printable decode, in any pieces", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 9 }), (content, size) => {
      const base64 = bytes(Buffer.from(content).toString("base64").replace(/.{20}/g, "$&\r\n"));
      const quoted = bytes(
        [...content]
          .map((byte) => `=${byte.toString(16).padStart(2, "0")}`)
          .join("")
          .replace(/.{30}/g, "$&=\r\n"),
      );
      for (const [encoded, name] of [
        [base64, "base64"],
        [quoted, "quoted-printable"],
      ] as const) {
        const decoder = createTransferDecoder(name);
        const pieces: Uint8Array[] = [];
        for (let at = 0; at < encoded.length; at += size)
          pieces.push(decoder.push(encoded.subarray(at, at + size)).slice());
        pieces.push(decoder.end());
        expect(new Uint8Array(Buffer.concat(pieces))).toEqual(content);
      }
    }),
  );
});

test("quoted-printable takes soft breaks, trailing space and stray signs", () => {
  expect(text(decodeTransfer(bytes("a=\r\nb  \r\nc=3D =zz =\n"), "quoted-printable"))).toBe("ab\r\nc= =zz ");
});

test.each([
  ["Mary Smith <mary@x.test>, jdoe@example.org", ["Mary Smith|mary@x.test", "|jdoe@example.org"]],
  ['"Joe Q. Public" <john.q.public@example.com>', ["Joe Q. Public|john.q.public@example.com"]],
  ["jdoe@test   (John Doe)", ["John Doe|jdoe@test"]],
  ["<@a.test,@b.test:user@c.test>", ["|user@c.test"]],
  ['"much more"@example.org', ["|much more@example.org"]],
  ["a . b @ c . d", ["|a.b@c.d"]],
  ["", []],
  ["undisclosed-recipients:;", ["undisclosed-recipients:"]],
  ["A Group:Ed Jones <joe@where.test>,c@d;, x@y", ["A Group:Ed Jones|joe@where.test,|c@d", "|x@y"]],
])("addresses %j", (value, expected) => {
  const show = (address: ReturnType<typeof parseAddresses>[number]): string =>
    address.kind === "group"
      ? `${address.name}:${address.members.map(show).join(",")}`
      : `${address.name ?? ""}|${address.local}@${address.domain}`;
  expect(parseAddresses(value).map(show)).toEqual(expected);
});

test("no text makes the field readers fail or hang", () => {
  const nasty = fc
    .array(fc.constantFrom(..."<>@,;:()[]\"\\ .=?*'%aé\u0000"), { maxLength: 80 })
    .map((chars) => chars.join(""));
  fc.assert(
    fc.property(nasty, (value) => {
      parseAddresses(value);
      parseParameterized(value);
      parseDate(value);
      parseMessageIds(value);
      baseSubject(value);
      decodeWords(value);
    }),
    { numRuns: 2000 },
  );
  for (const hostile of [
    "(".repeat(100_000),
    '"'.repeat(100_001),
    "a,".repeat(100_000),
    "re:".repeat(50_000),
    "[x]".repeat(50_000),
  ]) {
    parseAddresses(hostile);
    parseParameterized(hostile);
    baseSubject(hostile);
  }
});

test.each([
  ["Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T15:55:06.000Z", -360],
  ["21 Nov 97 09:55 GMT", "1997-11-21T09:55:00.000Z", 0],
  ["Thu,\t13 Feb 1969 23:32 -0330 (Newfoundland Time)", "1969-02-14T03:02:00.000Z", -210],
  ["Tue, 1 Jul 2003 10:52:37 EDT", "2003-07-01T14:52:37.000Z", -240],
])("the date %j", (value, iso, zone) => {
  const date = parseDate(value);
  expect(date && new Date(date.timeMs).toISOString()).toBe(iso);
  expect(date?.zoneMinutes).toBe(zone);
});

test.each(["", "whenever", "32 Foo 2020", "99 Jan 2020 00:00:00 +0000"])("%j is no date", (value) => {
  expect(parseDate(value)).toBeUndefined();
});

test.each([
  ["Re: [list] Re: Hello  World (fwd)", "Hello World", true],
  ["[fwd: Re: hi]", "hi", true],
  ["[only blob]", "[only blob]", false],
  ["Re[2]: x", "Re[2]: x".slice(7), true],
  ["=?utf-8?q?Re:_=C3=A9t=C3=A9?=", "été", true],
])("the base subject of %j", (value, base, isReplyOrForward) => {
  expect(baseSubject(value)).toEqual({ base, isReplyOrForward });
});

test.each([
  ["attachment; filename*=UTF-8''na%C3%AFve.txt; filename=x", "naïve.txt"],
  ["attachment; filename*0*=us-ascii'en'This%20is; filename*1=\" not\"; filename*2*=%20fun", "This is not fun"],
  ['attachment; filename="=?UTF-8?Q?caf=C3=A9.pdf?="', "café.pdf"],
  ["attachment; filename=two words.txt", "two"],
  ['attachment; filename="a\\"b"', 'a"b'],
])("the file name in %j", (value, expected) => {
  expect(decodeParameter(parseParameterized(value).parameters, "filename")).toBe(expected);
});

test("header fields are chosen in order, with their folding", () => {
  const block = new HeaderBlock(bytes("From: a\r\nSubject: b\r\n c\r\nTo: d\r\nfrom: e\r\n\r\n"));
  expect(block.select(new Set(["from", "x"]), false)).toBe("From: a\r\nfrom: e\r\n\r\n");
  expect(block.select(new Set(["from"]), true)).toBe("Subject: b\r\n c\r\nTo: d\r\n\r\n");
});

test("choosing fields sees the fields that parsing sees, in any block", () => {
  const block = fc.string({ unit: fc.constantFrom(..."aA:\r\n \tb\xa0\0") });
  fc.assert(
    fc.property(block, (source) => {
      const octets = binaryBytes(source);
      const chosen = parseHeaders(octets).filter(({ name }) => name.toLowerCase() === "a");
      const expected = chosen.map(({ start, end }) => source.slice(start, end)).join("");
      expect(new HeaderBlock(octets).select(new Set(["a"]), false)).toBe(`${expected}\r\n`);
      expect(new HeaderBlock(octets).values("a")).toEqual(chosen.map(({ value }) => value));
    }),
    { numRuns: 2000 },
  );
});

test("octets are text of one character each, whatever they are", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (octets, plain) => {
      const source = plain ? octets.map((octet) => octet & 127) : octets;
      expect([...binaryText(source)].map((char) => char.codePointAt(0))).toEqual([...source]);
    }),
  );
});

test("a preview is of the first plain text, else of the first text", () => {
  const mail = (...parts: readonly string[]): Uint8Array =>
    bytes(
      `Content-Type: multipart/mixed; boundary=b\r\n\r\n${parts.map((part) => `--b\r\nContent-Type: text/${part}\r\n`).join("")}--b--`,
    );
  const [first, second, plain] = ["html\r\n\r\n<p>first", "html\r\n\r\n<p>second", "plain\r\n\r\nplain"] as const;
  expect(preview(scan(mail(first, second)))).toBe("first");
  expect(preview(scan(mail(first, plain, second)))).toBe("plain");
  expect(preview(scan(mail(plain, first, plain.replace("\nplain", "\nother"))))).toBe("plain");
});

test("a preview is the text's first 512 octets on one line, however much white space there is", () => {
  const pieces = fc.array(fc.tuple(fc.nat(2000), fc.string({ unit: "grapheme", maxLength: 300 })), { maxLength: 4 });
  fc.assert(
    fc.property(pieces, (drawn) => {
      const body = drawn
        .map(([spaces, words]) => " ".repeat(spaces) + words.toWellFormed().replace(/[\r\n]/g, ""))
        .join("");
      const line = body.replace(/[\s\u0000-\u001f\u007f]+/g, " ").trim();
      const made = preview(scan(bytes(`Content-Type: text/plain; charset=utf-8\r\n\r\n${body}\r\n`)));
      const octets = bytes(line);
      expect(line.startsWith(made)).toBe(true);
      expect(bytes(made).length).toBeGreaterThan(Math.min(octets.length, 512) - 4);
    }),
  );
});

test.each([
  ["Re: [x] Fwd: a (fwd) (FWD)", "a", true],
  ["[fwd: [fwd: re [7]: a]]", "a", true],
  ["[a][b]", "[b]", false],
  ["[a](fwd)(fwd)", "[a]", true],
  ["re a: b", "re a: b", false],
  ["Re:", "", true],
  ["[fwd: a", "[fwd: a", false],
  ["  a\t b  ", "a b", false],
  ["=?utf-8?q?RE=3A_=C3=A4?=", "ä", true],
])("the base of the subject %j", (value, base, isReplyOrForward) => {
  expect(baseSubject(value)).toEqual({ base, isReplyOrForward });
});

test("quoted-printable ends with what stood open", () => {
  for (const [encoded, decoded] of [
    ["a=4", "a=4"],
    ["a=", "a"],
    ["a=\r", "a=\r"],
    ["a= \t", "a"],
    ["a \r", "a \r"],
    ["a  \rb", "a  \rb"],
    ["a=  b", "a=  b"],
    ["a=\rb", "a=\rb"],
  ] as const)
    expect(text(decodeTransfer(bytes(encoded), "quoted-printable")), JSON.stringify(encoded)).toBe(decoded);
});

test("long names that strangers choose are not kept", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const used = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = used();
  for (let number = 0; number < 300; number++) {
    const long = `${"y".repeat(100_000)}${number}`;
    expect(new HeaderBlock(bytes(`${long}: a\r\n\r\n`)).values(long)).toEqual(["a"]);
    expect(decodeCharset(bytes("a"), long).unknownCharset).toBe(long);
  }
  expect(used() - before).toBeLessThan(10_000_000);
});

test("a letter whose last octet is 0xA0 is no white space", () => {
  const [subject, from] = parseHeaders(bytes("Subject: voilà\r\nFrom: a@b (voilà)\r\n\r\n"));
  expect(decodeWords(subject!.value)).toBe("voilà");
  expect(decodeWords((parseAddresses(from!.value)[0] as { name: string }).name)).toBe("voilà");
  const { parameters } = parseParameterized(binaryText(bytes("attachment; filename=voilà.txt")));
  expect(decodeParameter(parameters, "filename")).toBe("voilà.txt");
});
