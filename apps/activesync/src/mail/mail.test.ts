import type { Problem } from "@restante/host";
import { HeaderBlock, stripHtml } from "@restante/mime";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { group, leaf } from "../protocol/elements.ts";
import { CommandError } from "../protocol/status.ts";
import { withoutQuote } from "./body.ts";
import { HtmlThread, isSmall } from "./html-thread.ts";
import { conversationIndex, importanceOf } from "./item.ts";
import { categoriesOf, flagElement, keywordOfCategory, readCategories, readFlag, verbElements } from "./marks.ts";
import { safeHtml } from "./safe-html.ts";
import { PAGE_END } from "./texts.ts";

describe("categories", () => {
  test("any name is a keyword that an atom can be, and comes back", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" }), (name) => {
        const keyword = keywordOfCategory(name);
        expect(keyword).toMatch(/^[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]+$/);
        if (!/^[$]|^(?:non)?junk$|^forwarded$|^notjunk$/i.test(keyword))
          expect(categoriesOf([keyword])).toEqual([name]);
      }),
    );
  });

  test("marks of mail programs are none, and can't be made of one", () => {
    expect(categoriesOf(["\\Seen", "$Forwarded", "Junk", "NonJunk", "Red=20one"])).toEqual(["Red one"]);
    const block = (name: string) => group("Email:Categories", leaf("Email:Category", name));
    expect(readCategories(block("$Forwarded"))).toBeUndefined();
    expect(readCategories(block("x".repeat(300)))).toBeUndefined();
    expect(readCategories(block("Red one"))).toEqual(["Red=20one"]);
  });
});

describe("flags", () => {
  const flag = (...children: ReturnType<typeof leaf>[]) => group("Email:Flag", ...children);
  const status = (value: number) => leaf("Email:Status", value);
  const date = (name: string, value: string) => leaf(`Tasks:${name}`, value);
  const dates = (due: string) => [
    date("StartDate", "2026-03-01T00:00:00.000Z"),
    date("DueDate", due),
    date("UtcStartDate", "2026-03-01T00:00:00.000Z"),
    date("UtcDueDate", due),
  ];

  test.each([
    [flag(), false],
    [flag(status(0)), false],
    [flag(status(2), leaf("Email:FlagType", "x")), true],
    [flag(status(2), ...dates("2026-03-02T00:00:00.000Z")), true],
  ])("%#: is taken", (block, isFlagged) => {
    expect(readFlag(block).isFlagged).toBe(isFlagged);
  });

  test.each([
    flag(status(3)),
    flag(leaf("Email:FlagType", "x")),
    flag(status(2), date("StartDate", "2026-03-01T00:00:00.000Z")),
    flag(status(2), ...dates("2026-02-02T00:00:00.000Z")),
    flag(status(2), leaf("Tasks:ReminderSet", "1")),
    flag(status(2), leaf("Tasks:ReminderSet", "1"), date("ReminderTime", "x")),
    flag(status(1)),
  ])("%#: contradicts itself", (block) => {
    expect(() => readFlag(block)).toThrow(CommandError);
  });

  test("the block is given back as it was given, as long as \\Flagged says the same", () => {
    const block = flag(status(2), leaf("Email:FlagType", "Call"));
    const marks = { flag: block, verb: 0, verbMs: 0 };
    expect(flagElement(true, marks)).toBe(block);
    expect(flagElement(false, marks).children).toEqual([]);
    expect(flagElement(true, { ...marks, flag: undefined }).children).toHaveLength(2);
  });

  test("what was done with a mail", () => {
    const told = (flags: readonly string[], verb = 0) =>
      verbElements(flags, { flag: undefined, verb, verbMs: verb && 1 }, 16.1).map((element) => element?.content);
    expect(told([])).toEqual([]);
    expect(told(["\\Answered"])).toEqual(["1", undefined]);
    expect(told(["\\Answered"], 2)).toEqual(["2", "1970-01-01T00:00:00.001Z"]);
    expect(told(["$Forwarded"], 3)).toEqual(["3", "1970-01-01T00:00:00.001Z"]);
    expect(told(["$forwarded"], 1)).toEqual(["3", undefined]);
  });
});

test.each([
  ["Importance: high", 2],
  ["X-Priority: 1 (Highest)", 2],
  ["Priority: non-urgent", 0],
  ["X-Priority: 5", 0],
  ["X-Priority: 3", 1],
  ["", 1],
])("%s is importance %d", (field, importance) => {
  expect(importanceOf(new HeaderBlock(Buffer.from(`${field}\r\n\r\n`)))).toBe(importance);
});

test("a conversation's index is the time of its header, or that and the levels of the mail's own", () => {
  const block = (fields: string): HeaderBlock => new HeaderBlock(Buffer.from(`${fields}\r\n`));
  const sentMs = Date.parse("2026-03-01T09:30:00Z");
  const time = [0xdc, 0xa9, 0x5d, 0xf9, 0xaa];
  expect([...conversationIndex(block(""), sentMs)]).toEqual(time);
  const level = [1, 2, 3, 4, 5];
  const given = Buffer.from([1, ...time, ...new Array<number>(16).fill(7), ...level]).toString("base64");
  expect([...conversationIndex(block(`Thread-Index: ${given}\r\n`), 0)]).toEqual([...time, ...level]);
  expect(conversationIndex(block("Thread-Index: AAAA\r\n"), 0)).toHaveLength(5);
});

describe("HTML", () => {
  test.each([
    ['<a href="javascript:x()">a</a>', "<a>a</a>"],
    ["<img src=x onerror=alert(1)>", /^<img(?: src="x")? \/>$/],
    ["<svg><script>x</script></svg>b", "b"],
    ["<iframe src='http://x'></iframe>b", "b"],
    ["<form action=x><input></form>b", "b"],
    ["<object data=x>c</object>b", "b"],
    ['<p style="color:red">b</p>', '<p style="color:red">b</p>'],
    ["<style>p{color:red}</style>b", "<style>p{color:red}</style>b"],
    ['<img src="cid:a@b">', '<img src="cid:a@b" />'],
    ["<!-- x --><base href='http://x'><meta http-equiv=refresh content=0>b", "b"],
    ["<scr<script>ipt>alert(1)</scr</script>ipt>", /^(?!.*<script)/],
  ])("%s", (html, expected) => {
    if (typeof expected === "string") expect(safeHtml(html)).toBe(expected);
    else expect(safeHtml(html)).toMatch(expected);
  });

  test.each(["<div>", "<table><tr><td>", "<b><br>", "</p><i></b><i>", "<td><i><p><b>"])(
    "%s without end takes no longer than its length",
    (tags) => {
      const begun = performance.now();
      expect(safeHtml(`<p>begin</p>${tags.repeat(200_000)}`)).toContain("begin");
      expect(performance.now() - begun).toBeLessThan(3_000);
    },
  );

  test("what is never deep goes on for ever, closed or not, and so does what is closed by what it lies in", () => {
    for (const row of ["<p>x<br></p>", "<p>x", "<tr><td><div><font>x</div>", "<table><tr><td>x</table>"])
      expect(safeHtml(`${row.repeat(10_000)}<b>end</b>`)).toContain("<b>end</b>");
  });

  test("large ones are made safe in a thread, one after the other, and the thread outlives its failures", async () => {
    const thread = new HtmlThread();
    const large = `${"<p>x</p>".repeat(20_000)}<script>y</script>`;
    const [one, two] = await Promise.all([thread.clean(large), thread.clean(large)]);
    expect(one).toBe(two);
    expect(one).not.toContain("script");
    expect(await thread.clean("<b>small</b>")).toBe("<b>small</b>");
    await thread.dispose();
    expect(await thread.clean(large)).toBe(one);
    await thread.dispose();
  });

  test("there is a bound of what waits", async () => {
    const thread = new HtmlThread();
    const large = "<p>x</p>".repeat(20_000);
    const all = await Promise.allSettled(Array.from({ length: 80 }, () => thread.clean(large)));
    const failed = all.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
    expect(failed.length).toBeGreaterThan(0);
    expect(failed.map(({ reason }) => (reason as Problem).status)).toEqual(failed.map(() => 503));
    await thread.dispose();
  });

  test("the text of a large one is taken in the thread too; small ones of very many tags are large", async () => {
    const thread = new HtmlThread();
    expect(await thread.strip("<p>words</p>".repeat(20_000))).toBe(stripHtml("<p>words</p>".repeat(20_000)));
    expect(["<b>".repeat(3_999), "<b>".repeat(4_000), "x".repeat(65_535), "x".repeat(65_536)].map(isSmall)).toEqual([
      ...[true, false, true, false],
    ]);
    await thread.dispose();
  });

  test("what an answer quotes at its end is left out, and a style sheet of tags without end is read at once", () => {
    expect(withoutQuote('<p>own</p><blockquote type="cite">theirs</blockquote>')).toBe(`<p>own</p>${PAGE_END}`);
    expect(withoutQuote('<p>own</p><div dir="ltr" class="gmail_quote">theirs</div>')).toBe(`<p>own</p>${PAGE_END}`);
    for (const tag of ["<blockquote", "<div"]) {
      const page = `<style>${tag.repeat(200_000)}</style>`;
      const begun = performance.now();
      expect(withoutQuote(page)).toBe(page);
      expect(performance.now() - begun).toBeLessThan(1_000);
    }
  });
});
