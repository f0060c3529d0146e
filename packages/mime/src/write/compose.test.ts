import fc from "fast-check";
import { simpleParser } from "mailparser";
import { describe, expect, test } from "vitest";
import { Random } from "../fuzz-kit.ts";
import {
  arrange,
  type ComposeOptions,
  compose,
  decodeTransfer,
  decodeWords,
  displayName,
  findHeader,
  formatAddress,
  look,
  type NewField,
  type NewMailbox,
  type NewMessage,
  type NewPart,
  parseAddresses,
  parseHeaders,
  quote,
  scan,
} from "../index.ts";
import { randomMessage } from "../message-kit.ts";
import { BASE64_BLOCK_BYTES, base64, base64Length, encodeBase64 } from "./base64.ts";
import { flow } from "./flow.ts";
import { quotedPrintable } from "./quoted-printable.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const OPTIONS: ComposeOptions = {
  now: () => ({ timeMs: Date.UTC(2026, 10, 3, 9, 5, 7), zoneMinutes: -210 }),
  random: (bytes) => new Uint8Array(bytes).fill(7),
  domain: "example.test",
};

async function written(message: NewMessage, options: Partial<ComposeOptions> = {}): Promise<string> {
  const composed = compose(message, { ...OPTIONS, ...options });
  let text = "";
  for await (const piece of composed.read()) text += Buffer.from(piece).toString("latin1");
  expect(text.length).toBe(composed.length);
  expect(text.endsWith("\r\n")).toBe(true);
  return text;
}

const BODY: NewPart = { kind: "text", text: "x\r\n" };
const header = async (field: NewField, options: Partial<ComposeOptions> = {}): Promise<string> =>
  (await written({ headers: [field], body: BODY }, options)).split("\r\nDate: ")[0]!;
const refused = (message: NewMessage, options: Partial<ComposeOptions> = {}): void =>
  void expect(() => compose(message, { ...OPTIONS, ...options })).toThrow(RangeError);

test("a plain mail is plain", async () => {
  const message: NewMessage = {
    headers: [
      { name: "From", form: "addresses", value: [{ name: "Ann Other", email: "ann@example.test" }] },
      { name: "To", form: "addresses", value: [{ name: "Q. Public", email: "q@example.test" }, { email: "b@c.test" }] },
      { name: "Subject", form: "text", value: "Grüße, and so on" },
    ],
    body: { kind: "text", text: "Hello.\n" },
  };
  expect(await written(message)).toBe(
    [
      'From: "Ann Other" <ann@example.test>',
      'To: "Q. Public" <q@example.test>, b@c.test',
      "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe=2C?= and so on",
      "Date: Tue, 3 Nov 2026 05:35:07 -0330",
      "Message-ID: <07070707070707070707070707070707@example.test>",
      "MIME-Version: 1.0",
      "Content-Type: text/plain; charset=us-ascii",
      "Content-Transfer-Encoding: 7bit",
      "",
      "Hello.",
      "",
    ].join("\r\n"),
  );
});

test("parts are arranged as programs expect them", async () => {
  const text = { kind: "text", text: "a" } as const;
  const html = { kind: "text", subtype: "html", text: "<p>a" } as const;
  const picture = { kind: "file", type: "image/png", content: utf8("p"), id: "p@x", disposition: "inline" } as const;
  const file = { kind: "file", type: "application/pdf", content: utf8("f"), disposition: "attachment" } as const;
  const shape = (part: NewPart): unknown =>
    part.kind === "multipart" ? [part.subtype, ...part.parts.map(shape)] : part.kind === "file" ? part.type : part.kind;
  expect(shape(arrange({ text, html, related: [picture], attachments: [file] }))).toEqual([
    "mixed",
    ["alternative", "text", ["related", "text", "image/png"]],
    "application/pdf",
  ]);
  expect(shape(arrange({ text }))).toBe("text");
  expect(shape(arrange({ attachments: [file] }))).toEqual(["mixed", "application/pdf"]);
  expect(shape(arrange({ text, related: [picture] }))).toEqual(["mixed", "text", "image/png"]);
  expect(shape(arrange({}))).toBe("text");
  const octets = await written({ headers: [], body: arrange({ text, html, related: [picture], attachments: [file] }) });
  expect(octets).toContain('multipart/related; type="text/html";\r\n boundary=');
});

describe("fields", () => {
  test.each<[NewField, string]>([
    [{ name: "Subject", form: "text", value: "a\r\nBcc: b@c" }, "Subject: a Bcc: b@c"],
    [{ name: "Subject", form: "text", value: "a\0b\x7f\tc" }, "Subject: a b c"],
    [
      { name: "Subject", form: "text", value: "=?utf-8?q?=0D=0ABcc:?=" },
      "Subject: =?utf-8?Q?=3D=3Futf-8=3Fq=3F=3D0D=3D0ABcc=3A=3F=3D?=",
    ],
    [{ name: "Subject", form: "text", value: "" }, "Subject:"],
    [{ name: "Subject", form: "text", value: " a  b" }, "Subject: =?utf-8?Q?_a__b?="],
    [{ name: "Subject", form: "raw", value: " a\r\n b" }, "Subject: a\r\n b"],
    [{ name: "Subject", form: "raw", value: " a\r\nBcc: b" }, "Subject: a Bcc: b"],
    [{ name: "Subject", form: "raw", value: " a\r\n \r\n b" }, "Subject: a =?utf-8?Q?___b?="],
    [{ name: "Subject", form: "raw", value: " ä" }, "Subject: =?utf-8?Q?=C3=A4?="],
    [{ name: "X", form: "addresses", value: [{ name: "a\r\nBcc: b", email: "c@d" }] }, 'X: "a Bcc: b" <c@d>'],
    [{ name: "X", form: "addresses", value: [{ name: 'say "\\"', email: "c@d" }] }, 'X: "say \\"\\\\\\"" <c@d>'],
    [{ name: "X", form: "addresses", value: [{ name: " ", email: '"a b"@d' }] }, 'X: "a b"@d'],
    [{ name: "X", form: "addresses", value: [{ email: "a..b@d" }] }, 'X: "a..b"@d'],
    [{ name: "X", form: "addresses", value: [{ email: "a@dömäin.test" }] }, "X: a@xn--dmin-moa0i.test"],
    [{ name: "X", form: "addresses", value: [] }, ""],
    [{ name: "X", form: "groupedAddresses", value: [{ name: "G", addresses: [] }] }, "X: G:;"],
    [
      {
        name: "X",
        form: "groupedAddresses",
        value: [
          { name: "Ä", addresses: [{ email: "a@b" }, { email: "c@d" }] },
          { name: undefined, addresses: [{ email: "e@f" }] },
        ],
      },
      "X: =?utf-8?Q?=C3=84?= : a@b, c@d;, e@f",
    ],
    [
      {
        name: "X",
        form: "groupedAddresses",
        value: [
          { name: undefined, addresses: [] },
          { name: undefined, addresses: [{ email: "a@b" }] },
        ],
      },
      "X: a@b",
    ],
    [{ name: "X", form: "messageIds", value: ["a@b", "c@d"] }, "X: <a@b> <c@d>"],
    [
      { name: "X", form: "urls", value: ["mailto:a@b", 'http://ä/ "<\r\n'] },
      "X: <mailto:a@b>, <http://%C3%A4/%20%22%3C%0D%0A>",
    ],
    [{ name: "X", form: "date", value: { timeMs: 0, zoneMinutes: 825 } }, "X: Thu, 1 Jan 1970 13:45:00 +1345"],
  ])("%j", async (field, expected) => {
    const text = await header(field);
    expect(text.startsWith("Date") ? "" : text.replace(/^Date[\s\S]*/, "")).toBe(expected);
  });

  test.each<NewField>([
    { name: "", form: "text", value: "" },
    { name: "a b", form: "text", value: "" },
    { name: "a\r\nBcc", form: "text", value: "" },
    { name: "a:b", form: "text", value: "" },
    { name: "--a", form: "text", value: "" },
    { name: "x".repeat(77), form: "text", value: "" },
    { name: "Content-Type", form: "text", value: "" },
    { name: "mime-version", form: "raw", value: "" },
    { name: "X", form: "addresses", value: [{ email: "a" }] },
    { name: "X", form: "addresses", value: [{ email: "@a" }] },
    { name: "X", form: "addresses", value: [{ email: "a@" }] },
    { name: "X", form: "addresses", value: [{ email: "a@b\r\nBcc: c" }] },
    { name: "X", form: "addresses", value: [{ email: "a b@c" }] },
    { name: "X", form: "addresses", value: [{ email: "a@b>, <c@d" }] },
    { name: "X", form: "addresses", value: [{ email: "ä@b" }] },
    { name: "X", form: "addresses", value: [{ email: "a@ä/b" }] },
    { name: "X", form: "addresses", value: [{ email: "a@ä%0ab" }] },
    { name: "X", form: "addresses", value: [{ email: "a@１.２" }] },
    { name: "X", form: "addresses", value: [{ email: `${"a".repeat(500)}@b` }] },
    { name: "X", form: "messageIds", value: ["a>\r\nBcc: b"] },
    { name: "X", form: "messageIds", value: ["a b"] },
    { name: "X", form: "messageIds", value: ["ä"] },
    { name: "X", form: "messageIds", value: ["a".repeat(901)] },
    { name: "X", form: "urls", value: ["a".repeat(901)] },
    { name: "X", form: "date", value: { timeMs: Number.NaN, zoneMinutes: 0 } },
    { name: "X", form: "date", value: { timeMs: 0, zoneMinutes: 1440 } },
    { name: "X", form: "date", value: { timeMs: -1e14, zoneMinutes: 0 } },
  ])("%j is refused", (field) => refused({ headers: [field], body: BODY }));

  test("UTF-8 stays where SMTPUTF8 is asked for", async () => {
    const field: NewField = { name: "To", form: "addresses", value: [{ name: "Jürgen", email: "jür@dömäin.test" }] };
    expect(Buffer.from(await header(field, { utf8: true }), "latin1").toString()).toBe(
      'To: "Jürgen" <jür@dömäin.test>',
    );
    const needs = (utf8: boolean): boolean =>
      compose({ headers: [{ name: "Subject", form: "text", value: "ä" }], body: BODY }, { ...OPTIONS, utf8 }).needsUtf8;
    expect([needs(true), needs(false)]).toEqual([true, false]);
  });

  test("a long piece stands on the first line, and a long word is folded", async () => {
    const id = `${"i".repeat(200)}@x`;
    expect(await header({ name: "References", form: "messageIds", value: [id, "a@b"] })).toBe(
      `References: <${id}>\r\n <a@b>`,
    );
    for (const line of (await header({ name: "Subject", form: "text", value: `a ${"x".repeat(500)}` })).split("\r\n"))
      expect(line.length).toBeLessThanOrEqual(78);
  });

  test("a raw value with a line that is too long is folded", async () => {
    const value = ` ${"word ".repeat(300)}end`;
    const lines = (await header({ name: "X", form: "raw", value })).split("\r\n");
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(78);
    expect(lines.join("")).toBe(`X:${value}`);
    const short = ` ${"word ".repeat(190)}end`;
    expect(await header({ name: "X", form: "raw", value: short })).toBe(`X:${short}`);
  });

  test("what stands once at most can't be asked for twice", () => {
    const twice = (name: string): NewMessage => ({
      headers: [name, name.toUpperCase()].map((one) => ({ name: one, form: "text", value: "a" })),
      body: BODY,
    });
    for (const name of [
      "Date",
      "From",
      "Sender",
      "Reply-To",
      "To",
      "Cc",
      "Bcc",
      "Message-ID",
      "In-Reply-To",
      "References",
      "Subject",
    ])
      refused(twice(name));
    expect(compose(twice("Comments"), OPTIONS).length).toBeGreaterThan(0);
  });

  test("several authors have a sender", async () => {
    const value = [{ email: "a@b" }, { email: "c@d" }];
    expect(await written({ headers: [{ name: "From", form: "addresses", value }], body: BODY })).toContain(
      "\r\nSender: a@b\r\n",
    );
    const sender: NewField = { name: "Sender", form: "addresses", value: [{ email: "c@d" }] };
    const own = await written({ headers: [{ name: "from", form: "addresses", value }, sender], body: BODY });
    expect(own.match(/^Sender: .*$/gm)).toEqual(["Sender: c@d"]);
  });

  test("a field is folded wherever it can be, and no line of it is empty", () => {
    const words = fc.string({
      unit: fc.constantFrom("a", "é", " ", "🙂", "=?", "\r\n", "\t", "bc", "x".repeat(30)),
      maxLength: 200,
      size: "max",
    });
    const name = fc.integer({ min: 1, max: 76 }).map((length) => "N".repeat(length));
    fc.assert(
      fc.asyncProperty(name, words, async (field, value) => {
        const block = (await header({ name: field, form: "text", value })).split("\r\n");
        expect(parseHeaders(utf8(block.join("\r\n"))).length).toBe(1);
        for (const line of block.slice(1)) expect(line).toMatch(/^ [^ ]/);
        for (const line of block) if (/ .* |=\?/.test(line)) expect(line.length).toBeLessThanOrEqual(78);
      }),
      { numRuns: 300 },
    );
  });
});

describe("parts", () => {
  const file = (fields: object): NewPart => ({ kind: "file", type: "a/b", content: utf8("c"), ...fields });
  test.each<[string, NewPart]>([
    ["a type that is none", file({ type: "a" })],
    ["a type that no line holds", file({ type: `a/${"b".repeat(1000)}` })],
    ["a type with a line end", file({ type: "a/b\r\nBcc: c" })],
    ["a multipart as a file", file({ type: "Multipart/mixed" })],
    ["a message as a file", file({ type: "message/rfc822" })],
    ["a disposition with a parameter", file({ disposition: "a; b=c" })],
    ["an id with a line end", file({ id: "a\r\nb" })],
    ["a language that is none", file({ language: ["a b"] })],
    ["a parameter's name that is none", file({ parameters: { "a b": "c" } })],
    ["a parameter's name with a sign of RFC 2231", file({ parameters: { "a*0": "c" } })],
    ["a parameter twice", file({ parameters: { a: "b", A: "c" } })],
    ["a boundary of one's own", { kind: "multipart", subtype: "x", parameters: { Boundary: "a" }, parts: [BODY] }],
    ["a charset of one's own", { kind: "text", text: "a", parameters: { Charset: "utf-7" } }],
    ["a parameter that is too long", file({ fileName: "a".repeat(2049), disposition: "attachment" })],
    ["a field that is made", file({ headers: [{ name: "Content-TYPE", form: "text", value: "a/b" }] })],
    ["HTML that is flowed", { kind: "text", subtype: "html", text: "a", flowed: true }],
    ["a multipart without parts", { kind: "multipart", subtype: "mixed", parts: [] }],
    ["a part of one's own as the message", { kind: "verbatim", content: utf8("Bcc: a@b\r\n\r\n") }],
    [
      "a part of one's own that is no lines",
      { kind: "multipart", subtype: "x", parts: [{ kind: "verbatim", content: utf8("a\n") }] },
    ],
    [
      "a stream of which nothing is known",
      { kind: "multipart", subtype: "x", parts: [{ kind: "message", content: { length: 1, read: () => [] } }] },
    ],
    ["parts that nobody would read", { kind: "multipart", subtype: "x", parts: Array<NewPart>(1000).fill(BODY) }],
    [
      "headers that nobody would read",
      {
        kind: "multipart",
        subtype: "x",
        parts: Array<NewPart>(900).fill({ ...BODY, description: "d".repeat(700) } as NewPart),
      },
    ],
  ])("%s is refused", (_name, body) => refused({ headers: [], body }));

  test("a type that is none is refused, not guessed at", () => {
    for (const type of ["octet", "text", "", "/x", "x/", "a/b/c", "a/b; c=d", "message/rfc822", "multipart/mixed"])
      refused({ headers: [], body: { kind: "file", type, content: new Uint8Array(3) } });
  });

  test("parts within one another that nobody would read are refused", () => {
    let body: NewPart = BODY;
    for (let depth = 0; depth < 100; depth++) body = { kind: "multipart", subtype: "mixed", parts: [body] };
    refused({ headers: [], body });
  });

  test.each<[string, Partial<ComposeOptions>, string]>([
    ["short lines", {}, "7bit"],
    ["x".repeat(79), {}, "quoted-printable"],
    ["From me", {}, "quoted-printable"],
    ["a\nFrom me", {}, "quoted-printable"],
    ["nul \0", {}, "quoted-printable"],
    ["größer", {}, "quoted-printable"],
    ["größer", { eightBit: true }, "8bit"],
    [`ä${"x".repeat(997)}`, { eightBit: true }, "quoted-printable"],
    [`ä${"x".repeat(996)}`, { eightBit: true }, "8bit"],
    ["日本語の文", {}, "base64"],
    [`--=${"_".repeat(21)}`, {}, "quoted-printable"],
    [`--=${"_".repeat(20)}`, {}, "7bit"],
  ])("the encoding of %j with %j is %s", async (text, options, encoding) => {
    const octets = Buffer.from(
      await written(
        { headers: [], body: { kind: "multipart", subtype: "mixed", parts: [{ kind: "text", text }] } },
        options,
      ),
      "latin1",
    );
    const [part] = scan(octets).root.children;
    expect(part!.encoding).toBe(encoding);
    expect(Buffer.from(decodeTransfer(octets.subarray(part!.bodyStart, part!.bodyEnd), encoding)).toString()).toBe(
      text.replaceAll("\n", "\r\n"),
    );
  });

  test("no boundary stands in a part, whatever the randomness is", async () => {
    const original = `Subject: a\r\n\r\n--=_${"07".repeat(16)}00001\r\n--=__${"07".repeat(16)}00001--\r\n`;
    const inner: NewPart = { kind: "message", content: utf8(original) };
    const body: NewPart = {
      kind: "multipart",
      subtype: "mixed",
      parts: [inner, { kind: "multipart", subtype: "mixed", parts: [inner, BODY] }],
    };
    const octets = utf8(await written({ headers: [], body }));
    const { root } = scan(octets);
    const parts = [root.children[0]!, root.children[1]!.children[0]!];
    for (const part of parts)
      expect(Buffer.from(octets.subarray(part.bodyStart, part.bodyEnd)).toString()).toBe(original);
    expect(root.children).toHaveLength(2);
    const [outer, within] = [root, root.children[1]!].map(
      ({ parameters }) => parameters.find(({ name }) => name === "boundary")!.value,
    );
    expect(outer).not.toBe(within);
    expect(outer!.length).toBe(within!.length);
    expect(outer).toMatch(/^=___0707/);
  });

  test("an original is attached octet by octet, and a multipart says that it holds 8bit", async () => {
    const original = utf8("Subject: ä\r\n\r\nFrom the beginning\r\n.\r\n");
    const stream = {
      length: original.length,
      facts: await look(original),
      read: () => [original.subarray(0, 9), original.subarray(9)],
    };
    const message: NewMessage = {
      headers: [],
      body: { kind: "multipart", subtype: "mixed", parts: [BODY, { kind: "message", content: stream }] },
    };
    const octets = Buffer.from(await written(message), "latin1");
    const { root } = scan(octets);
    expect(root.encoding).toBe("8bit");
    expect(compose(message, OPTIONS).needsEightBit).toBe(true);
    const part = root.children[1]!;
    expect(part).toMatchObject({ kind: "message", encoding: "8bit" });
    expect(octets.subarray(part.bodyStart, part.bodyEnd)).toEqual(Buffer.from(original));
  });

  test.each(["a\nb", "a\0", "a\rb", "a\r", `${"x".repeat(999)}\r\n`, `--=${"_".repeat(21)}\r\n`])(
    "an original of %j, which is no lines, is a file",
    async (original) => {
      const body: NewPart = {
        kind: "multipart",
        subtype: "mixed",
        parts: [{ kind: "message", content: utf8(original) }],
      };
      const octets = utf8(await written({ headers: [], body }));
      const [part] = scan(octets).root.children;
      expect(part).toMatchObject({ type: "application", subtype: "octet-stream", encoding: "base64" });
      expect(Buffer.from(decodeTransfer(octets.subarray(part!.bodyStart, part!.bodyEnd), "base64")).toString()).toBe(
        original,
      );
    },
  );

  test("a part of another message stands as it stood", async () => {
    const part = 'Content-Type: text/html;\r\n\tcharset="x"\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n';
    const text = await written({
      headers: [],
      body: { kind: "multipart", subtype: "mixed", parts: [BODY, { kind: "verbatim", content: utf8(part) }] },
    });
    expect(text).toContain(`00001\r\n${part}\r\n--=_`);
  });

  test("a stream that is not as long as it said fails", async () => {
    for (const read of [() => [utf8("a")], () => [utf8("abc")]]) {
      const body: NewPart = { kind: "file", type: "a/b", content: { length: 2, read } };
      await expect(async () => {
        for await (const _ of compose({ headers: [], body }, OPTIONS).read());
      }).rejects.toThrow(RangeError);
    }
  });

  test("a stream is asked for as it is written, and again for each reading", async () => {
    const piece = utf8("x".repeat(10_000));
    let given = 0;
    const content = {
      length: 100 * piece.length,
      *read() {
        for (let i = 0; i < 100; i++) {
          given += piece.length;
          yield piece;
        }
      },
    };
    const body: NewPart = {
      kind: "multipart",
      subtype: "mixed",
      parts: [BODY, { kind: "file", type: "a/b", content }],
    };
    const composed = compose({ headers: [], body }, OPTIONS);
    expect(given).toBe(0);
    for (let round = 1; round <= 2; round++) {
      let written = 0;
      for await (const bytes of composed.read()) {
        expect(given - (round - 1) * content.length - (written * 3) / 4).toBeLessThan(3 * BASE64_BLOCK_BYTES);
        written += bytes.length;
      }
      expect(written).toBe(composed.length);
      expect(given).toBe(round * content.length);
    }
  });

  test("a multipart says that fields in it are UTF-8", async () => {
    const body: NewPart = {
      kind: "multipart",
      subtype: "mixed",
      parts: [{ kind: "text", text: "a", description: "ä" }],
    };
    const root = async (isUtf8: boolean) =>
      scan(Buffer.from(await written({ headers: [], body }, { utf8: isUtf8 }), "latin1")).root;
    expect([(await root(true)).encoding, (await root(false)).encoding]).toEqual(["8bit", "7bit"]);
  });

  test.each([
    ["a.pdf", "filename=a.pdf"],
    ["two words", 'filename="two words"'],
    ["it's*", 'filename="it\'s*"'],
    ["ä", "filename*=utf-8''%C3%A4"],
    ["a\r\nb", 'filename="a b"'],
    ["=?x?=", "filename*=utf-8''%3D%3Fx%3F%3D"],
  ])("the file name %j is written %s", async (fileName, expected) => {
    const text = await written({ headers: [], body: file({ fileName, disposition: "attachment" }) });
    expect(text).toContain(`\r\nContent-Disposition: attachment; ${expected}\r\n`);
  });

  test("a file that is the whole message comes back as it is", async () => {
    for (const content of ["", "a", "a\r\n", "a\n", "ä", "a=\r\nb"]) {
      const octets = utf8(
        await written({ headers: [], body: { kind: "file", type: "text/csv", content: utf8(content) } }),
      );
      const { root } = scan(octets);
      expect(Buffer.from(decodeTransfer(octets.subarray(root.bodyStart), root.encoding)).toString()).toBe(content);
    }
  });
});

describe("encodings", () => {
  test("base64 in lines, in any pieces, is as long as was said", async () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(pieces, async (drawn) => {
        const whole = Buffer.concat(drawn);
        const expected = whole.toString("base64").replace(/.{76}(?=.)/g, "$&\r\n");
        expect(Buffer.from(base64(whole)).toString()).toBe(expected);
        let streamed = "";
        for await (const piece of encodeBase64(drawn)) streamed += Buffer.from(piece).toString();
        expect(streamed).toBe(expected);
        expect(base64Length(whole.length)).toBe(expected.length);
      }),
    );
  });

  test("a stream of many blocks has its line ends", async () => {
    const piece = Buffer.alloc(10_007, "abc\xff", "latin1");
    const pieces = Array<Uint8Array>(20).fill(piece);
    let streamed = "";
    for await (const block of encodeBase64(pieces)) streamed += Buffer.from(block).toString();
    expect(streamed).toBe(
      Buffer.concat(pieces)
        .toString("base64")
        .replace(/.{76}(?=.)/g, "$&\r\n"),
    );
  });

  test("quoted-printable is in short lines, of safe octets, and comes back", () => {
    const octets = fc.array(
      fc.constantFrom(...["a", " ", "\t", "\r\n", "\n", "\r", "=", ".", "From ", "é", "\0", "x".repeat(74)]),
      { maxLength: 40, size: "max" },
    );
    fc.assert(
      fc.property(octets, (drawn) => {
        const content = utf8(drawn.join(""));
        const text = Buffer.from(quotedPrintable(content)).toString("latin1");
        expect(text).toMatch(/^[\x20-\x7e\t\r\n]*$/);
        for (const line of text.split("\r\n")) {
          expect(line.length).toBeLessThanOrEqual(76);
          expect(line).not.toMatch(/[ \t]$|^\.|^From |[\r\n]/);
        }
        expect(decodeTransfer(utf8(text), "quoted-printable")).toEqual(content);
      }),
      { numRuns: 500 },
    );
  });
});

/** RFC 3676 §4.1 to §4.5: lines of a flowed text, joined; quotes as `>` for each level. */
function unflow(text: string): string[] {
  const paragraphs: string[] = [];
  let open: { readonly depth: string; text: string } | undefined;
  for (const line of text.split("\r\n")) {
    const [depth] = /^>*/.exec(line)!;
    const content = line.slice(depth.length).replace(/^ /, "");
    const isSoft = content.endsWith(" ") && content !== "-- ";
    if (open && open.depth !== depth) throw new Error("a paragraph ends with a soft break");
    open = open ? { depth, text: open.text + content } : { depth, text: content };
    if (isSoft) continue;
    paragraphs.push(open.depth + open.text);
    open = undefined;
  }
  if (open) throw new Error("the text ends with a soft break");
  return paragraphs;
}

test("a flowed text has short lines, and comes back", () => {
  const words = fc.array(fc.constantFrom("a", "word ", "From ", ">", "> ", " ", "-- ", "--", "x".repeat(90), "\r\n"), {
    maxLength: 60,
    size: "max",
  });
  fc.assert(
    fc.property(words, (drawn) => {
      const text = drawn.join("");
      const flowed = flow(text);
      const meant = text.split("\r\n").map((line) => {
        const [depth] = /^>*/.exec(line)!;
        const content = depth === "" ? line : line.slice(depth.length).replace(/^ /, "");
        return depth + (content === "-- " ? content : content.replace(/ +$/, ""));
      });
      expect(unflow(flowed)).toEqual(meant);
      // Longer lines have no place to be broken at.
      for (const line of flowed.split("\r\n"))
        if (!/^>* *(?:-- )? *[^ ]+ *$/.test(line)) expect(line.length, line).toBeLessThanOrEqual(78);
      for (const line of flowed.split("\r\n")) expect(line).not.toMatch(/^From /);
    }),
    { numRuns: 1000 },
  );
  expect(
    flow(`${"word ".repeat(40)}end`)
      .split("\r\n")
      .every((line) => line.length <= 78),
  ).toBe(true);
  expect(flow(`>> ${"word ".repeat(40)}end`)).toMatch(/^>> word .* \r\n>> word/);
});

test("a flowed part says so", async () => {
  const text = await written({
    headers: [],
    body: { kind: "text", text: `${"word ".repeat(40)}\n-- \nme`, flowed: true },
  });
  expect(text).toContain("Content-Type: text/plain; charset=us-ascii; format=flowed");
  expect(text).toContain("\r\n-- \r\nme");
});

test("text is labelled with the least charset that says it: RFC 2046 §4.1.2", async () => {
  const of = (text: string) => written({ headers: [], body: { kind: "text", text } });
  expect(await of("plain\n")).toContain("charset=us-ascii\r\n");
  expect(await of("plain")).toContain("charset=us-ascii\r\n");
  expect(await of("caf\u00e9")).toContain("charset=utf-8\r\n");
  expect(await of("\ud800")).toContain("charset=utf-8\r\n");
});

test.each(["a", "a\r\n", "", "é", "From a\nb", "\0"])("an exact text %j ends where it ends", async (text) => {
  const { read } = compose({ headers: [], body: { kind: "text", text, isExact: true } }, OPTIONS);
  const octets: number[] = [];
  for await (const piece of read()) octets.push(...piece);
  const { root } = scan(Uint8Array.from(octets));
  const content = decodeTransfer(Uint8Array.from(octets.slice(root.bodyStart, root.bodyEnd)), root.encoding);
  expect(new TextDecoder().decode(content)).toBe(text.replace(/\r?\n/g, "\r\n"));
});

describe("drafts: RFC 8621 §4.6", () => {
  const told = async (mailboxes: readonly NewMailbox[], options: Partial<ComposeOptions> = {}): Promise<unknown> => {
    const text = await written({ headers: [{ name: "To", form: "addresses", value: mailboxes }], body: BODY }, options);
    const { fields } = scan(Uint8Array.from(text, (char) => char.charCodeAt(0)));
    expect(fields.map(({ key }) => key)).not.toContain("bcc");
    return parseAddresses(findHeader(fields, "to")!).map((address) =>
      address.kind === "group" ? address : [displayName(address.name ?? ""), decodeWords(formatAddress(address))],
    );
  };
  const odd = [
    "joe",
    "",
    "joe doe",
    "a b@x",
    "@x",
    "x@",
    "a@b, c@d",
    "<a@b>",
    'a"b\\c',
    "a@b\u00e9 c",
    "日本",
    "=?utf-8?q?a?=",
    "x".repeat(600),
    "y z ".repeat(600).trim(),
  ];

  test.each(odd)("what is no address is told as it was written: %j", async (email) => {
    refused({ headers: [{ name: "To", form: "addresses", value: [{ email }] }], body: BODY });
    for (const utf8 of [false, true]) {
      const mailboxes = [{ email: "first@x.test" }, { email }, { name: "A, B", email }, { email: "last@x.test" }];
      const wanted = [
        ["", "first@x.test"],
        ["", email],
        ["A, B", email],
        ["", "last@x.test"],
      ];
      expect(await told(mailboxes, { draft: true, utf8 })).toEqual(wanted);
    }
  });

  test("addresses are written as ever, and line ends go", async () => {
    const mailboxes = [{ name: "A", email: "a@x.test" }, { email: "b\r\nBcc: c@x.test" }];
    expect(await told(mailboxes, { draft: true })).toEqual([
      ["A", "a@x.test"],
      ["", "b Bcc: c@x.test"],
    ]);
    const text = await written(
      { headers: [{ name: "To", form: "addresses", value: mailboxes }], body: BODY },
      { draft: true },
    );
    expect(text).toMatch(/^To: A <a@x\.test>, <"b Bcc: c@x\.test">\r\n/);
  });
});

test("a quote is deeper by one level", () => {
  expect(quote("a\n> b\r\n>> c\r\n\r\nd\n")).toBe("> a\n>> b\n>>> c\n> \n> d");
});

test("mailparser reads the same subject, sender and files", async () => {
  const seed = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 1_000_000);
  const random = new Random(seed);
  const squeeze = (text: string | undefined): string => (text ?? "").replace(/\s+/g, "");
  for (let run = 0; run < 100; run++) {
    const { message, utf8: isUtf8, eightBit, expected } = randomMessage(random);
    const text = await written(message, { utf8: isUtf8, eightBit });
    const theirs = await simpleParser(Buffer.from(text, "latin1"), { skipHtmlToText: true, skipTextToHtml: true });
    const from = theirs.from?.value[0];
    // It takes the octet 0xA0 for white space where a header is not encoded.
    if (!isUtf8) {
      expect(squeeze(theirs.subject), `seed=${seed}`).toBe(squeeze(expected.texts.Subject));
      const [asked] = expected.addresses.From ?? [];
      // Names with addresses in them are guessed at.
      if (asked && from && !from.group && !/[@<>"']/.test(asked[0])) {
        expect(squeeze(from.name), `seed=${seed}`).toBe(squeeze(asked[0]));
        if (/^[\w.+/=]+@[a-z.]+$/.test(asked[1])) expect(from.address, `seed=${seed}`).toBe(asked[1]);
      }
    }
    expect(theirs.headers.has("bcc")).toBe(false);
    const files = expected.parts
      .filter(({ kind }) => kind === "file")
      .map(({ content }) => Buffer.from(content, "latin1"));
    for (const { content } of theirs.attachments.filter(({ contentType }) => /pdf|png|thing/.test(contentType)))
      expect(files.some((file) => file.equals(content))).toBe(true);
  }
});
