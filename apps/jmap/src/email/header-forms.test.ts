import { HeaderBlock, parseHeaders } from "@restante/mime";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allHeaders, headerValue } from "./header-forms.ts";
import { CONVENIENCE, parseHeaderProperty } from "./header-property.ts";

const octets = (text: string): Uint8Array => new TextEncoder().encode(text);
const binary = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const block = (text: string): HeaderBlock => new HeaderBlock(octets(text));
const told = (header: HeaderBlock, property: string): unknown =>
  headerValue(header, CONVENIENCE.get(property) ?? parseHeaderProperty(property)!);

describe("header forms on a Map", () => {
  const header = block("X: one\r\nSubject: s\r\nx: two\r\n three\r\nX-Y: no\r\nx : last \r\n\r\n");

  test("of duplicate fields the last is told, and with :all each in order, whatever their case", () => {
    expect(told(header, "header:X")).toBe(" last ");
    expect(told(header, "header:x:all")).toEqual([" one", " two\r\n three", " last "]);
    expect(told(header, "header:X:asText:all")).toEqual(["one", "two three", "last "]);
    expect(told(header, "header:Z")).toBeNull();
    expect(told(header, "header:Z:all")).toEqual([]);
  });

  test("properties with a name of their own tell the last field too, each time", () => {
    const header = block("Subject: a\r\nFrom: a@x\r\nsubject: b\r\nFrom: b@x\r\n");
    for (let time = 0; time < 2; time++) {
      expect(told(header, "subject")).toBe("b");
      expect(told(header, "from")).toEqual([{ name: null, email: "b@x" }]);
      expect(told(header, "to")).toBeNull();
      expect(told(header, "header:Subject:asText:all")).toEqual(["a", "b"]);
    }
  });

  test("`headers` has all of them in order, as they are written", () => {
    expect(allHeaders(header)).toEqual([
      { name: "X", value: " one" },
      { name: "Subject", value: " s" },
      { name: "x", value: " two\r\n three" },
      { name: "X-Y", value: " no" },
      { name: "x", value: " last " },
    ]);
  });

  test("raw values keep their leading space and folding, lose NUL, and what is no UTF-8 becomes U+FFFD", () => {
    expect(told(block("A:  b\r\n\tc\r\n"), "header:a")).toBe("  b\r\n\tc");
    expect(told(new HeaderBlock(binary("A: x\0\xff\xc3\xa9\xe2\x82 y")), "header:a")).toBe(" x\ufffdé\ufffd y");
    expect(told(block("A:\r\n é\r\n ü\r\n"), "header:a")).toBe("\r\n é\r\n ü");
  });

  test("names that are properties of every object are names of fields like others", () => {
    const header = block("__proto__: a\r\nconstructor: b\r\ntoString: c\r\n");
    expect(told(header, "header:__proto__:asText")).toBe("a");
    expect(told(header, "header:CONSTRUCTOR:asText:all")).toEqual(["b"]);
    expect(told(block("a: b\r\n"), "header:toString")).toBeNull();
    expect(told(block("a: b\r\n"), "header:hasOwnProperty:all")).toEqual([]);
  });
});

describe("asText", () => {
  test.each([
    ["is unfolded", "a\r\n b\r\n\tc", "a b\tc"],
    ["begins behind its spaces, and keeps those at its end", "   a  ", "a  "],
    ["is decoded", "=?utf-8?q?=C3=A9?= x", "é x"],
    ["is decoded over folds", "=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"],
    ["has characters that two words share", "=?utf-8?q?=E2=82?=\r\n =?utf-8?q?=AC?=", "€"],
    ["is composed", "e\u0301", "é"],
    ["is composed behind decoding", "=?utf-8?q?e=CC=81?=", "é"],
    ["is not decoded where words are misplaced", "a=?utf-8?q?b?=", "a=?utf-8?q?b?="],
    ["has no controls that were encoded", "=?utf-8?q?a=00=0D=0ABcc:_x?=", "aBcc: x"],
    ["has no noncharacters", "=?utf-8?q?a=EF=BF=BF?=", "a\ufffd"],
    ["has no lone surrogates", "=?utf-7?q?+2AA-?=", "\ufffd"],
    ["may be nothing", "", ""],
  ])("%s", (_, value, wanted) => {
    expect(told(block(`Subject: ${value}\r\n`), "subject")).toBe(wanted);
  });

  test("raw octets that are no UTF-8 are a Western text", () => {
    expect(told(new HeaderBlock(binary("Subject: caf\xe9\r\n")), "subject")).toBe("café");
  });
});

describe("asAddresses", () => {
  const example =
    '  "  James Smythe" <james@example.com>, Friends:\r\n jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=\r\n <john@example.com>;';

  test("the example of RFC 8621 §4.1.2.3", () => {
    expect(told(block(`From: ${example}\r\n`), "from")).toEqual([
      { name: "James Smythe", email: "james@example.com" },
      { name: null, email: "jane@example.com" },
      { name: "John Smîth", email: "john@example.com" },
    ]);
  });

  test("the example of RFC 8621 §4.1.2.4", () => {
    expect(told(block(`To: ${example}\r\n`), "header:To:asGroupedAddresses")).toEqual([
      { name: null, addresses: [{ name: "James Smythe", email: "james@example.com" }] },
      {
        name: "Friends",
        addresses: [
          { name: null, email: "jane@example.com" },
          { name: "John Smîth", email: "john@example.com" },
        ],
      },
    ]);
  });

  test("neighbours outside of groups are one group, and so are those behind a group", () => {
    const groups = told(block("To: a@x, b@x, Empty:;, c@x, d@x, G: e@x;\r\n"), "header:To:asGroupedAddresses");
    expect(
      (groups as { name: string; addresses: { email: string }[] }[]).map(({ name, addresses }) => [
        name,
        ...addresses.map(({ email }) => email),
      ]),
    ).toEqual([[null, "a@x", "b@x"], ["Empty"], [null, "c@x", "d@x"], ["G", "e@x"]]);
  });

  test.each([
    ["a quoted local part stays quoted", '"a b"@x', { name: null, email: '"a b"@x' }],
    ["a sign in it stays escaped", '"a\\"\\\\@"@x', { name: null, email: '"a\\"\\\\@"@x' }],
    ["quotes that are not needed go", '"ab"@x', { name: null, email: "ab@x" }],
    ["a comment stands in for a name", "a@x (Joe)", { name: "Joe", email: "a@x" }],
    ["a name wins over it", "Ann <a@x> (Joe)", { name: "Ann", email: "a@x" }],
    ["a word without a domain", "joe", { name: null, email: "joe" }],
    ["a name alone", "Joe Doe", { name: "Joe Doe", email: "" }],
    ["an encoded address", "=?utf-8?q?joe?=@x", { name: null, email: "joe@x" }],
    ["an encoded name in quotes", '"=?utf-8?q?J=C3=B6?=" <a@x>', { name: "Jö", email: "a@x" }],
    ["encoded line ends", "=?utf-8?q?a=0D=0Ab?= <a@x>", { name: "ab", email: "a@x" }],
    ["a name of spaces", '" " <a@x>', { name: null, email: "a@x" }],
    ["a name in two forms", "e\u0301 <a@x>", { name: "é", email: "a@x" }],
  ])("%s", (_, value, wanted) => {
    expect(told(block(`From: ${value}\r\n`), "from")).toEqual([wanted]);
  });

  test("a field of nothing has no addresses", () => {
    expect(told(block("To:\r\n"), "to")).toEqual([]);
  });
});

describe("asMessageIds, asURLs and asDate", () => {
  test.each([
    ["messageId", "<a@b>", ["a@b"]],
    ["references", "<a@b>\r\n <c@d>", ["a@b", "c@d"]],
    ["inReplyTo", "Your mail of (<x@y>) Friday <a@b>", ["a@b"]],
    ["references", "<123\r\n\t456@lo cal>", ["123456@local"]],
    ["messageId", "a@b", null],
    ["messageId", "", null],
    ["header:List-Post:asURLs", "<mailto:a@b> (moderated)", ["mailto:a@b"]],
    ["header:List-Help:asURLs", "<http://x/a\r\n b>, <mailto:c@d>", ["http://x/ab", "mailto:c@d"]],
    ["header:List-Post:asURLs", "NO", null],
    ["sentAt", "Thu, 30 Oct 2014 14:12:00 +0800", "2014-10-30T14:12:00+08:00"],
    ["sentAt", "Thu, 30 Oct 2014 14:12:00 -0330 (X)", "2014-10-30T14:12:00-03:30"],
    ["sentAt", "Thu, 30 Oct 2014 14:12:00 GMT", "2014-10-30T14:12:00Z"],
    ["sentAt", "Thu, 30 Oct 2014 14:12:00 +2400", "2014-10-29T14:12:00Z"],
    ["sentAt", "yesterday", null],
    ["header:X-Date:asDate", "31 Dec 9999 24:00 +0000", null],
  ])("%s of %j", (property, value, wanted) => {
    const name = CONVENIENCE.get(property)?.name ?? property.split(":")[1];
    expect(told(block(`${name}: ${value}\r\n`), property)).toEqual(wanted);
  });
});

test("whatever a header is, each form is told of each of its fields, as JSON that is read back as itself", () => {
  const piece = fc.constantFrom(
    ...'\r\n|\n|\r| |\t|:|a|é|ü|<|>|@|,|;|(|)|"|\\|=?utf-8?q?=C3=A9?=|=?utf-7?q?+2AA-?=|=?x?b?a?=|1 Jan 2020|\0|\xff|X|Subject: '.split(
      "|",
    ),
  );
  const forms = ["", ":asText", ":asAddresses", ":asGroupedAddresses", ":asMessageIds", ":asDate", ":asURLs"];
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const bytes = binary(`X: ${pieces.join("")}`);
      const header = new HeaderBlock(bytes);
      expect(allHeaders(header)).toHaveLength(parseHeaders(bytes).length);
      for (const { key } of parseHeaders(bytes))
        for (const form of forms) {
          const property = parseHeaderProperty(`header:${key}${form}`);
          if (!property) continue;
          const all = headerValue(header, { ...property, isAll: true }) as unknown[];
          const text = JSON.stringify(all);
          expect(text.isWellFormed()).toBe(true);
          expect(JSON.parse(text)).toEqual(all);
          expect(headerValue(header, property)).toEqual(all.at(-1));
        }
    }),
    { numRuns: 2000 },
  );
});
