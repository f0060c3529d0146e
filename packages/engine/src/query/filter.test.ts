import { encodeOffsets, formatBodyStructure, HeaderBlock, scan } from "@restante/mime";
import { expect, test } from "vitest";
import type { Body } from "../mail/contents/contents.ts";
import type { Message } from "../mail/mailbox-view.ts";
import type { Condition } from "./condition.ts";
import { type SearchTools, search } from "./filter.ts";
import type { KeptHeaders } from "./kept-headers.ts";
import { Scans } from "./scans.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const pace = { isOver: () => false, take: async () => undefined };
const one = { length: 1, message: (position: number) => ({ position }) as Message };
const all = (...of: readonly Condition[]): Condition => ({ kind: "and", of });
const any = (...of: readonly Condition[]): Condition => ({ kind: "or", of });
const not = (of: Condition): Condition => ({ kind: "not", of });
const header = (field: string, text: string): Condition => ({ kind: "header", field, text });
const text = (value: string): Condition => ({ kind: "text", text: value });
const body = (value: string): Condition => ({ kind: "body", text: value });
const from = (value: string): Condition => ({ kind: "from", text: value });
const subject = (value: string): Condition => ({ kind: "subject", text: value });

/** One message, which counts how it is looked at. */
function counted(message: string, shown = message) {
  const counts = { headers: 0, fields: 0, bodies: 0 };
  const octets = bytes(message);
  class CountedBlock extends HeaderBlock {
    override fields() {
      counts.fields++;
      return super.fields();
    }
  }
  const { root } = scan(octets);
  const summary = { format: 1, bodyStructure: bytes(formatBodyStructure(root)), offsets: encodeOffsets(root) };
  const contents = {
    readHeaders: async (messages: readonly Message[]) => {
      counts.headers += messages.length;
      return messages.map(() => new CountedBlock(bytes(shown)));
    },
    readSummaries: async (messages: readonly Message[]) => messages.map(() => summary),
    async openBody(): Promise<Body> {
      counts.bodies++;
      return {
        size: octets.length,
        async *read(start, end) {
          yield octets.subarray(start, end);
        },
      };
    },
  } as unknown as SearchTools["contents"];
  const tools = { contents, scans: new Scans(), pace };
  return { counts, tools, find: async (condition: Condition) => (await search(one, condition, tools)).length };
}

test("however many conditions there are, a header and a body are made text once, and a body only where it is needed", async () => {
  const { counts, find } = counted("Subject: =?utf-8?q?sch=C3=B6n?=\r\nFrom: a@x\r\n\r\nlast words\r\n");
  const many = Array.from({ length: 120 }, (_, n) => not(text(`x${n}`)));
  expect(await find(all(...many, text("words")))).toBe(1);
  expect(counts).toEqual({ headers: 1, fields: 1, bodies: 1 });
  expect(await find(text("schon"))).toBe(0);
  expect(counts.bodies).toBe(2);
  // A text in the header needs no body, also where others would.
  expect(await find(subject("SCHO\u0308N"))).toBe(1);
  expect(await find(any(from("a@x"), body("words")))).toBe(1);
  expect(await find(all(not(from("a@x")), body("words")))).toBe(0);
  // Nor is all of the header looked through where some of its fields decide.
  counts.fields = 0;
  expect(await find(all(from("nobody"), text("words")))).toBe(0);
  expect(counts.fields).toBe(0);
  expect(await find(all(header("from", ""), not(header("cc", ""))))).toBe(1);
  expect(counts.bodies).toBe(2);
  // And no header where the state decides.
  counts.headers = 0;
  expect(await find(any({ kind: "all" }, subject("x")))).toBe(1);
  expect(counts.headers).toBe(0);
  // All of nothing, and any of nothing.
  expect(await find(all())).toBe(1);
  expect(await find(any())).toBe(0);
});

test("fields are looked through alike, whether they are small or large", async () => {
  for (const size of [10, 40_000]) {
    const { find } = counted(`Subject: ${"x ".repeat(size / 2)}Last Words\r\nCc: a@x\r\nCc: b@x\r\n\r\n`);
    const cc = (value: string): Condition => ({ kind: "cc", text: value });
    const found = all(subject("last"), subject("words"), not(subject("nowhere")), cc("b@x"), not(cc("c@x")));
    expect(await find(found)).toBe(1);
    expect(await find(all(header("cc", ""), subject("x last"), not(header("bcc", ""))))).toBe(1);
    expect(await find(subject("nowhere"))).toBe(0);
  }
});

test("one scan at a time: the next begins when it ends, however it ends", async () => {
  const { tools, find, counts } = counted("Subject: s\r\n\r\n");
  const end = await tools.scans.begin();
  const waiting = find(subject("s"));
  const ended = new AbortController();
  const left = search(one, subject("s"), { ...tools, signal: ended.signal });
  // A search that the state answers waits for nobody.
  expect(await find({ kind: "all" })).toBe(1);
  expect(counts.headers).toBe(0);
  ended.abort(new Error("gone"));
  await expect(left).rejects.toThrow("gone");
  end();
  end();
  expect(await waiting).toBe(1);
  const broken = { ...tools, contents: { ...tools.contents, readHeaders: () => Promise.reject(new Error("away")) } };
  await expect(search(one, subject("s"), broken)).rejects.toThrow("away");
  expect(await find(subject("s"))).toBe(1);
});

test("an aborted search goes no further", async () => {
  const { tools, counts } = counted("Subject: s\r\n\r\nlast words");
  const ended = new AbortController();
  const many = { length: 600, message: (position: number) => ({ position }) as Message };
  const contents = {
    ...tools.contents,
    readHeaders(messages: readonly Message[]) {
      ended.abort(new Error("gone"));
      return tools.contents.readHeaders(messages);
    },
  };
  await expect(search(many, text("words"), { ...tools, contents, signal: ended.signal })).rejects.toThrow("gone");
  expect(counts).toEqual({ headers: 256, fields: 0, bodies: 0 });
});

test("a search that leaves most of a long list to headers goes over to texts at once, one that leaves few does not", async () => {
  const { tools, counts } = counted("Subject: s\r\n\r\n");
  const looked: number[] = [];
  const found = () => () => false;
  const texts = {
    isWorth(headers: number) {
      looked.push(headers);
      return headers > 900;
    },
    isOpen: () => true,
    find: async () => found,
    learn: () => undefined,
    settle: () => undefined,
  };
  const kept = { listTexts: () => texts } as unknown as KeptHeaders;
  const state = { sizeOf: (row: number) => row };
  const many = {
    length: 1000,
    message: (position: number) => ({ position, row: position, state }) as unknown as Message,
  };
  await search(many, subject("s"), { ...tools, kept });
  expect([looked, counts.headers]).toEqual([[1000], 0]);
  looked.length = 0;
  // Of the first 256 are 100 left, which may be all.
  await search(many, all({ kind: "size", before: 100 }, subject("s")), { ...tools, kept });
  expect([looked, counts.headers]).toEqual([[100, 100, 100, 100], 100]);
});
