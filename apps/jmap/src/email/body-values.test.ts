import { cutText } from "@restante/mime";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readBodyValue } from "./body-values.ts";
import { AnswerBudget } from "./budget.ts";
import { type Account, binary, encode, openAccount, pieces } from "./email-kit.ts";
import { RequestTooLarge } from "./problems.ts";

const part = (charset?: string, encoding = "8bit", subtype = "plain") => ({
  type: "text",
  subtype,
  encoding,
  parameters: charset === undefined ? [] : [{ name: "charset", value: charset }],
});
const read = (octets: Uint8Array, of = part("utf-8"), bytesMax = 0) =>
  readBodyValue(of, pieces(octets, 3), bytesMax, new AnswerBudget());

describe("bodyValues cut in bytes", () => {
  test("a value is cut in whole characters, inside no surrogate pair", () => {
    const texts = fc.string({ unit: fc.constantFrom("a", "é", "€", "🙂", "\n", "e\u0301"), maxLength: 30 });
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 80 }), (text, bytesMax) => {
        const cut = cutText(text, bytesMax, false);
        const bytes = encode(cut).length;
        expect(text.startsWith(cut)).toBe(true);
        expect(cut.isWellFormed()).toBe(true);
        expect(bytes).toBeLessThanOrEqual(bytesMax);
        const [next = ""] = text.slice(cut.length);
        const more = [...text.slice(cut.length)][0] ?? next;
        if (more !== "") expect(bytes + encode(more).length).toBeGreaterThan(bytesMax);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['a <a href="https://x.test/">b</a>', 10, "a "],
    ['a <a href="https://x.test/">b</a>', 29, 'a <a href="https://x.test/">b'],
    ['a <a href="https://x.test/">b</a>', 28, 'a <a href="https://x.test/">'],
    ['a <a href="https://x.test/">b</a>', 31, 'a <a href="https://x.test/">b'],
    ["a <", 2, "a "],
    ["a <b>", 3, "a "],
    ['<a title="x > y">b</a>', 14, ""],
    ["<a title = 'x > y'>b</a>", 17, ""],
    ['<a title="it\'s">b <i>', 18, '<a title="it\'s">b '],
    ['it\'s a <b>"bold"</b> thing', 19, 'it\'s a <b>"bold"'],
    ["a <!-- <b> > --> c", 14, "a "],
    ["a < b and c > d", 7, "a < b a"],
    ["</it's> more <i>", 12, "</it's> more"],
    ['<a b="unclosed', 12, ""],
    ["é<b>", 2, "é"],
  ])("HTML %j in %i octets", (html, bytesMax, wanted) => {
    expect(cutText(html, bytesMax, true)).toBe(wanted);
  });

  test("a text is cut where it is, whatever looks like a tag in it", () => {
    expect(cutText("a <b> c", 4, false)).toBe("a <b");
  });

  test("a tag that begins far before the end is seen, and one look is enough for many", () => {
    const image = `a <img src="data:image/png;base64,${"A".repeat(300_000)}">b`;
    expect(cutText(image, 300_000, true).length).toBe(2);
    expect(cutText(image, image.length - 1, true).length).toBe(image.length - 1);
    const begun = performance.now();
    for (const unit of ['<a b="', "<", "<a ", "<!--", "= ", "<a b='>", "<x>"]) {
      const html = `<a ${unit.repeat(200_000)}x`;
      expect(cutText(html, html.length - 1, true).length).toBeLessThanOrEqual(html.length);
    }
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  test.each([1, 2, 3, 5, 8, 13, 1000])("a long text is read as far as is needed: %i octets of it", async (bytesMax) => {
    for (const [charset, octets] of [
      ["utf-8", encode("é€🙂\r\n".repeat(10_000))],
      ["utf-16le", binary("\xe9\0\xac\x20\x3d\xd8\x42\xde\r\0\n\0".repeat(10_000))],
      ["utf-16le", binary("a\0b\0c\0\r\0\n\0".repeat(10_000))],
      ["utf-32le", binary("a\0\0\0b\0\0\0\r\0\0\0\n\0\0\0".repeat(10_000))],
      ["shift_jis", binary("\x83\x41\r\n".repeat(10_000))],
    ] as const) {
      let taken = 0;
      const source = async function* (): AsyncGenerator<Uint8Array> {
        for await (const piece of pieces(octets, 5)) {
          taken += piece.length;
          yield piece;
        }
      };
      const value = await readBodyValue(part(charset), source(), bytesMax, new AnswerBudget());
      const whole = await read(octets, part(charset));
      expect(value).toEqual({
        value: cutText(whole.value, bytesMax, false),
        isEncodingProblem: false,
        isTruncated: true,
      });
      expect(taken).toBeLessThan(500 + 6 * bytesMax);
    }
  });

  test("of a text that no answer can hold no more is read than shows it", async () => {
    let taken = 0;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for await (const piece of pieces(new Uint8Array(1_000_000), 100)) {
        taken += piece.length;
        yield piece;
      }
    };
    await expect(readBodyValue(part("utf-8"), source(), 0, new AnswerBudget(1000))).rejects.toThrow(RequestTooLarge);
    expect(taken).toBeLessThan(1500);
  });

  test("what was not read to its end is cut, however little became of it", async () => {
    // Noncharacters of four octets are told in three.
    const value = await read(binary("\xf0\x9f\xbf\xbf".repeat(4000)), part("utf-8"), 3000);
    expect(value.isTruncated).toBe(true);
    expect(encode(value.value).length).toBeLessThan(3000);
    expect(value.value).toMatch(/^\ufffd+$/);
  });

  test("what is as long as is allowed is whole", async () => {
    expect(await read(encode("é\r\n"), part("utf-8"), 3)).toEqual({
      value: "é\n",
      isEncodingProblem: false,
      isTruncated: false,
    });
    expect((await read(encode("é\r\n"), part("utf-8"), 2)).isTruncated).toBe(true);
    const lines = "\r\n".repeat(100);
    expect(await read(encode(lines), part("utf-8"), 100)).toMatchObject({
      value: "\n".repeat(100),
      isTruncated: false,
    });
    expect(await read(encode(lines), part("utf-8"), 10)).toMatchObject({ value: "\n".repeat(10), isTruncated: true });
  });
});

describe("what can't be read of a value is told", () => {
  const problem = (value: string) => ({ value, isEncodingProblem: true, isTruncated: false });
  const sound = (value: string) => ({ value, isEncodingProblem: false, isTruncated: false });

  test.each([
    ["an unknown charset", binary("a\xe9"), part("x-none"), problem("aé")],
    ["octets that are none of its charset", binary("a\xffb"), part("utf-8"), problem("a\ufffdb")],
    ["octets above 127 of ASCII that are no UTF-8", binary("a\xff"), part("us-ascii"), problem("a\ufffd")],
    ["an unknown transfer encoding", encode("a=41"), part("utf-8", "x-uuencode"), problem("a=41")],
    ["UTF-8 that says that it is ASCII", encode("é"), part("US-ASCII"), sound("é")],
    ["UTF-8 of no charset", encode("é"), part(undefined), sound("é")],
    ["a replacement character that was written", encode("a\ufffd"), part("utf-8"), sound("a\ufffd")],
    ["a charset that is known", binary("a\xe9"), part("iso-8859-1"), sound("aé")],
    ["quoted-printable in capitals", encode("caf=C3=A9=\r\n!"), part("utf-8", "QUOTED-PRINTABLE"), sound("café!")],
    ["quoted-printable that ends early", encode("caf=C3=A9=4"), part("utf-8", "quoted-printable"), sound("café=4")],
    ["base64", encode("Y2Fmw6k="), part("utf-8", "base64"), sound("café")],
    ["line ends", encode("a\r\nb\nc\rd\r\r\n"), part("utf-8"), sound("a\nb\nc\rd\r\n")],
    ["lone surrogates", encode("+2AA-"), part("utf-7"), sound("\ufffd")],
    ["noncharacters", encode("a\uffff"), part("utf-8"), sound("a\ufffd")],
    ["nothing", encode(""), part("utf-8", ""), sound("")],
  ])("%s", async (_, octets, of, wanted) => {
    expect(await read(octets, of)).toEqual(wanted);
  });
});

describe("which parts have values: RFC 8621 §4.2", () => {
  const mail = [
    "Content-Type: multipart/mixed; boundary=b",
    "",
    "--b",
    "Content-Type: multipart/alternative; boundary=c",
    "",
    "--c",
    "",
    "plain",
    "--c",
    "Content-Type: text/html",
    "",
    "<p>html</p>",
    "--c--",
    "--b",
    "Content-Type: text/csv",
    "Content-Disposition: attachment",
    "",
    "c,s,v",
    "--b",
    "Content-Type: image/png",
    "",
    "png",
    "--b--",
    "",
  ].join("\r\n");

  test.each([
    [{}, []],
    [{ fetchTextBodyValues: true }, ["1.1"]],
    [{ fetchHTMLBodyValues: true }, ["1.2"]],
    [{ fetchTextBodyValues: true, fetchHTMLBodyValues: true }, ["1.1", "1.2"]],
    [{ fetchAllBodyValues: true }, ["1.1", "1.2", "2"]],
  ])("%j", async (given, ids) => {
    const account: Account = await openAccount();
    const id = await account.add(mail);
    const told = await account.get(id, { properties: ["bodyValues"], ...given });
    expect(Object.keys(told.bodyValues as object).sort()).toEqual(ids);
    // Without the property nothing is told of them.
    expect(await account.get(id, { properties: ["id"], ...given })).toEqual({ id });
  });

  test("an image that is shown in the text has none", async () => {
    const account = await openAccount();
    const id = await account.add(
      "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\na\r\n--b\r\nContent-Type: image/png\r\n\r\np\r\n--b--\r\n",
    );
    const given = { properties: ["bodyValues", "textBody"], bodyProperties: ["partId"], fetchTextBodyValues: true };
    const value = { value: "a", isEncodingProblem: false, isTruncated: false };
    expect(await account.get(id, given)).toEqual({
      id,
      bodyValues: { 1: value },
      textBody: [{ partId: "1" }, { partId: "2" }],
    });
  });
});
