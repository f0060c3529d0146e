import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  baseSubject,
  binaryBytes,
  binaryText,
  createTransferDecoder,
  decodeCharset,
  decodeParameter,
  decodeRaw,
  decodeText,
  decodeTransfer,
  decodeWords,
  encodeWords,
  HeaderBlock,
  messageText,
  parseAddresses,
  parseDate,
  parseHeaders,
  parseMessageIds,
  parseParameterized,
  preview,
  scan,
  stripHtml,
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

test("a message's text is its first plain text, else its first text", () => {
  const mail = (...parts: readonly string[]): Uint8Array =>
    bytes(
      `Content-Type: multipart/mixed; boundary=b\r\n\r\n${parts.map((part) => `--b\r\nContent-Type: text/${part}\r\n`).join("")}--b--`,
    );
  const [first, second, plain] = ["html\r\n\r\n<p>first", "html\r\n\r\n<p>second", "plain\r\n\r\nplain"] as const;
  const text = (...parts: readonly string[]): string => messageText(scan(mail(...parts))).start;
  expect(text(first, second)).toBe("first");
  expect(text(first, plain, second)).toBe("plain");
  expect(text(plain, first, plain.replace("\nplain", "\nother"))).toBe("plain");
  expect(messageText(scan(bytes("Content-Type: image/png\r\n\r\nx")))).toEqual({ start: "", isWhole: true, octets: 0 });
});

test("a message's text begins with its first 1,024 octets, line ends and all, cut at a character", () => {
  const charsets = fc.constantFrom("utf-8", "utf-16le");
  const pieces = fc.array(fc.tuple(fc.nat(2000), fc.string({ unit: "grapheme", maxLength: 300 })), { maxLength: 4 });
  fc.assert(
    fc.property(pieces, fc.boolean(), charsets, (drawn, isInside, charset) => {
      const text = drawn.map(([spaces, words]) => `${" ".repeat(spaces)}${words.toWellFormed()}\r\n`).join("");
      const encoded = Buffer.from(text, charset as BufferEncoding)
        .toString("base64")
        .replace(/.{76}/g, "$&\r\n");
      const part = `Content-Type: text/plain; charset=${charset}\r\nContent-Transfer-Encoding: base64\r\n\r\n${encoded}`;
      const mail = isInside ? `Content-Type: multipart/mixed; boundary=.\r\n\r\n--.\r\n${part}\r\n--.--` : part;
      const { start, isWhole, octets } = messageText(scan(bytes(mail)));
      const wanted = Buffer.from(text);
      const got = Buffer.from(start);
      expect(wanted.subarray(0, got.length).equals(got)).toBe(true);
      expect(got.length).toBeGreaterThan(Math.min(wanted.length, 1024) - 4);
      expect(got.length).toBeLessThanOrEqual(1024);
      const isKept = encoded.length <= 16 * 1024;
      expect(octets).toBe(isKept ? wanted.length : Buffer.from(text, charset as BufferEncoding).length);
      expect(isWhole).toBe(start === text);
    }),
  );
});

test("of a text that is longer than what the scanner keeps the decoded octets are told", () => {
  const text = "ü".repeat(20_000);
  const mail = `Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n`;
  expect(messageText(scan(bytes(mail + text.replaceAll("ü", "=FC"))))).toMatchObject({
    isWhole: false,
    octets: 20_000,
  });
  // Of what is cut no half of a character is shown.
  const cut = scan(bytes(`Content-Type: text/html; charset=utf-8\r\n\r\n<b>x${" ".repeat(16_379)}ü</b>`));
  expect(messageText(cut)).toEqual({ start: "x", isWhole: false, octets: 16_389 });
});

test("a preview counts characters, whatever they are made of", () => {
  expect(preview("🙂".repeat(300))).toBe("🙂".repeat(256));
  expect(preview(`${"🙂 ".repeat(127)}${"\ud83d ".repeat(5)}`)).toBe(`${"🙂 ".repeat(127)}\ud83d`);
  expect(preview(`${"a\u00a0\u3000\u2028".repeat(200)}`)).toBe("a ".repeat(128).trim());
});

test("a preview is text on one line, 256 characters at most", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme", maxLength: 300 }), { maxLength: 4 }), (drawn) => {
      const line = drawn
        .join("\r\n\t")
        .replace(/[\s\u0000-\u001f\u007f]+/g, " ")
        .trim();
      expect(preview(drawn.join("\r\n\t"))).toBe([...line].slice(0, 256).join("").trimEnd());
    }),
  );
});

test.each([
  ["<p>one</p><p>two<br>three<br><br>four</p>", "one\r\n\r\ntwo\r\nthree\r\n\r\nfour"],
  ["<div>a</div>\n<div>b <b>c</b>d</div>", "a\r\nb cd"],
  ["<table><tr><td>a</td><td>b</td></tr><tr><td>c", "a b\r\nc"],
  ["  a \r\n b&nbsp;&nbsp;c ", "a b c"],
  ["a<!-- <p> x > y -->b<!-- never ends <p>c", "ab"],
  ["<head><title>t</title></head><STYLE>p > q {}</STYLE>a<script>1 < 2</script >b", "ab"],
  ["a &lt;b&gt; &#228;&#xe4; &amp;&unknown; <", "a <b> ää &&unknown;"],
  ["a<header>b</header><headline>c", "a\r\nb\r\nc"],
])("the text of %j is %j", (html, text) => {
  expect(stripHtml(html)).toBe(text);
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

describe("charsets that TextDecoder has not", () => {
  test.each([
    ["utf-32", [0xff, 0xfe, 0, 0, 0xfc, 0, 0, 0], "ü"],
    ["UTF-32LE", [0xfc, 0, 0, 0], "ü"],
    ["cp437", [0x81], "ü"],
    ["IBM850", [0x81], "ü"],
    ["cp865", [0x9b], "ø"],
    ["850", [0x81], "ü"],
    ["dos-862", [0x80], "א"],
    ["csPC850Multilingual", [0x81], "ü"],
    ["latin-1", [0xfc], "ü"],
    ["iso8859_2", [0xb3], "ł"],
    ["iso-2022-jp-2", [0x1b, 0x24, 0x42, 0x24, 0x22, 0x1b, 0x28, 0x42], "あ"],
    ["utf-16", [0xfe, 0xff, 0, 0xfc], "ü"],
    ["utf-16", [0xff, 0xfe, 0xfc, 0], "ü"],
  ])("%s is read", (label, octets, text) => {
    expect(decodeCharset(Uint8Array.from(octets), label)).toEqual({ text });
  });

  test.each(["hex", "base64", "binary", "cp999", "utf-32x", "h-e-x"])("%s is none", (label) => {
    expect(decodeCharset(Uint8Array.from([0x61]), label)).toEqual({ text: "a", unknownCharset: label });
  });
});

test("a text is decoded by the charset of RFC 2231's parameter too", () => {
  const { parameters } = parseParameterized("text/plain; charset*=us-ascii'en'koi8-r");
  expect(decodeText({ encoding: "8bit", parameters }, Uint8Array.from([0xc7, 0xcf]))).toBe("го");
});

test("raw text that was cut in the midst of a character is UTF-8 all the same", () => {
  const raw = (text: string): string => binaryText(new TextEncoder().encode(text));
  for (const char of ["é", "€", "😀"])
    for (let cut = 1; cut < raw(char).length; cut++)
      expect(decodeRaw(raw(`grün ${char}`).slice(0, -cut))).toBe("grün \ufffd");
  expect(decodeRaw("caf\xe9")).toBe("café");
  expect(decodeRaw("\xc3")).toBe("Ã");
  expect(decodeRaw("gr\xfcn \xe2\x82")).toBe("grün â‚");
});
