import { HeaderBlock } from "@restante/mime";
import { expect, test } from "vitest";
import type { Message } from "../mail/mailbox-view.ts";
import { MailState } from "../mail/state/state.ts";
import { bytes, scanned } from "../testing/scanned-body.ts";
import { CONDITION_DEPTH_MAX, CONDITIONS_MAX, type Condition } from "./condition.ts";
import { Filter, type Reader } from "./filter.ts";
import { ALONE } from "./pace.ts";
import { memberships } from "./verdict.ts";

/** How often each is asked for. */
class CountedReader implements Reader {
  readonly counts = { fields: 0, openBody: 0 };
  readonly header: HeaderBlock;
  readonly mail: ReturnType<typeof scanned>;

  constructor(header: string, message: string) {
    const { counts } = this;
    this.header = new (class extends HeaderBlock {
      override fields() {
        counts.fields++;
        return super.fields();
      }
    })(bytes(header));
    this.mail = scanned(bytes(message));
  }

  readHeaders = async (messages: readonly Message[]) => messages.map(() => this.header);
  readSummaries = async (messages: readonly Message[]) => messages.map(() => this.mail.summary);
  readFullSummaries = this.readSummaries;
  openBody = async () => {
    this.counts.openBody++;
    return this.mail.body;
  };

  async finds(condition: Condition): Promise<boolean> {
    const filter = new Filter(condition, { reader: this, world: memberships, pace: ALONE });
    return (await filter.select({ state: new MailState(), rows: [0] })).length === 1;
  }
}

const not = (of: Condition): Condition => ({ kind: "not", of });
const and = (...of: readonly Condition[]): Condition => ({ kind: "and", of });
const or = (...of: readonly Condition[]): Condition => ({ kind: "or", of });
const text = (wanted: string): Condition => ({ kind: "text", text: wanted });
const body = (wanted: string): Condition => ({ kind: "body", text: wanted });
const field = (name: string, wanted: string): Condition => ({ kind: "header", field: name, text: wanted });
const from = (wanted: string): Condition => ({ kind: "address", field: "from", text: wanted });
const many = (count: number, make: (n: number) => Condition): Condition[] =>
  Array.from({ length: count }, (_, n) => make(n));

test("however many conditions there are, a header and a body are made text once, and a body only where it is needed", async () => {
  const message = "Subject: s\r\n\r\nlast words\r\n";
  const reader = new CountedReader("Subject: =?utf-8?q?sch=C3=B6n?=\r\nFrom: a@x\r\n\r\n", message);
  const { counts } = reader;
  expect(await reader.finds(and(...many(120, (n) => not(text(`x${n}`))), text("words")))).toBe(true);
  expect([counts.fields, counts.openBody, reader.mail.reads.length]).toEqual([1, 1, 1]);
  // What the header tells needs no body, also where others would.
  expect(await reader.finds(text("schon"))).toBe(false);
  expect(counts.openBody).toBe(2);
  expect(await reader.finds(field("subject", "SCHO\u0308N"))).toBe(true);
  expect(await reader.finds(or(from("a@x"), body("words")))).toBe(true);
  expect(await reader.finds(and(not(from("a@x")), body("words")))).toBe(false);
  // Nor is all of the header looked through where some of its fields decide.
  counts.fields = 0;
  expect(await reader.finds(and(from("nobody"), text("words")))).toBe(false);
  expect(counts.fields).toBe(0);
  expect(await reader.finds(and(field("from", ""), not(field("cc", ""))))).toBe(true);
  expect(counts.openBody).toBe(2);
});

test("fields are looked through alike, whether they are small or large", async () => {
  for (const size of [10, 200_000]) {
    const header = `Subject: ${"x ".repeat(size / 2)}Last Words\r\nCc: a@x\r\nCc: b@x\r\n\r\n`;
    const reader = new CountedReader(header, header);
    const subject = (wanted: string): Condition => field("subject", wanted);
    const cc = (wanted: string): Condition => ({ kind: "address", field: "cc", text: wanted });
    expect(
      await reader.finds(and(subject("last"), subject("words"), not(subject("nowhere")), cc("b@x"), not(cc("c@x")))),
    ).toBe(true);
    expect(await reader.finds(and(field("cc", ""), subject("x last"), not(field("bcc", ""))))).toBe(true);
    expect(await reader.finds(subject("nowhere"))).toBe(false);
  }
});

test("addresses are searched as people write them", async () => {
  const header =
    'From: =?iso-8859-1?q?J=F6rg?= (a comment)\r\n\t<jo.(x)rg@example.org>,\r\n "a, b" <c@d>\r\nSubject: a\r\n\tb\r\n\r\n';
  const reader = new CountedReader(header, header);
  for (const wanted of ["jörg <jo", "JO.RG@EXAMPLE.ORG", "a, b <c@d>"])
    expect(await reader.finds(from(wanted)), wanted).toBe(true);
  for (const wanted of ["comment", "(x)", "=?iso", "org, a"])
    expect(await reader.finds(from(wanted)), wanted).toBe(false);
  expect(await reader.finds(field("subject", "a b"))).toBe(true);
  expect(await reader.finds(text("subject: a b"))).toBe(true);
});

test("a long header is searched further than what is kept of it", async () => {
  const long = `Subject: s\r\n${`X-Filler: ${"x".repeat(900)}\r\n`.repeat(400)}X-Last: found\r\n\r\n`;
  const reader = new CountedReader(long.slice(0, 64 * 1024), `${long}text\r\n`);
  Object.assign(reader.mail.summary, { headerWhole: false });
  expect(await reader.finds(field("x-last", "found"))).toBe(true);
  expect(await reader.finds(text("x-last: found"))).toBe(true);
});

test("a tree that is too large or too deep is refused, and what is not is walked without a fault", async () => {
  const reader = new CountedReader("\r\n", "\r\n");
  const deep = (depth: number): Condition => {
    let condition: Condition = { kind: "all" };
    for (let at = 1; at < depth; at++) condition = not(condition);
    return condition;
  };
  expect(await reader.finds(deep(CONDITION_DEPTH_MAX))).toBe(CONDITION_DEPTH_MAX % 2 === 1);
  await expect(reader.finds(deep(CONDITION_DEPTH_MAX + 1))).rejects.toThrow("too many conditions");
  await expect(reader.finds(and(...many(CONDITIONS_MAX, () => ({ kind: "all" }))))).rejects.toThrow("too many");
  expect(await reader.finds(and(...many(CONDITIONS_MAX - 1, () => ({ kind: "all" }))))).toBe(true);
});
