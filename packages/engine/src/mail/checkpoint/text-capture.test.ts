import { expect, test } from "vitest";
import { position } from "../../bay/position.ts";
import { ready } from "../../crypto/index.ts";
import { captureSource, memoryPages } from "../../testing/checkpoint-kit.ts";
import { Written } from "../../testing/written-kit.ts";
import { HEADER_BYTES_MAX } from "../contents/header.ts";
import { ABSENT, decodeTextPage, encodeTextPage, NOT_KNOWN } from "../contents/list-text.ts";
import { MailState } from "../state/state.ts";
import { captureMail, loadMail } from "./snapshot.ts";

await ready;

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

test("a checkpoint writes the texts of all, and of each page that nothing came to nothing", async () => {
  const written = new Written();
  written.headers.set(
    1,
    "From: =?utf-8?q?J=C3=BCrgen?= <J@X>\r\nTo: a@x, B@x\r\nSubject: =?utf-8?q?Gr=C3=9C=C3=9Fe?=\r\n\r\n",
  );
  written.add(5000);
  await written.checkpoint();
  expect((await written.subjects(0)).slice(0, 3)).toEqual(["mail 0", "grüße", "mail 2"]);
  expect([await written.run(0, 0), await written.run(0, 1)].map((run) => run.slice(0, 2))).toEqual([
    [ABSENT, "jürgen <j@x>"],
    [ABSENT, " <a@x>\n <b@x>"],
  ]);
  expect((await written.subjects(1)).length).toBe(904);
  expect(written.writes.texts).toBe(2);
  // Others have their turn while very many are made.
  expect(written.breaths).toBe(256 + 56);
  written.add(1);
  written.reads = 0;
  await written.checkpoint();
  // Once for its header page, with eight that were there, and once for its texts.
  expect([written.writes.texts, written.reads]).toEqual([3, 9 + 1]);
  expect((await written.subjects(1)).slice(-2)).toEqual(["mail 4999", "mail 5000"]);
  await written.checkpoint();
  expect(written.writes.texts).toBe(3);
});

test("what can't be told by one short text is left to the header", async () => {
  const written = new Written();
  const long = "x".repeat(4097);
  written.headers.set(0, `Subject: ${long}\r\n\r\n`);
  written.headers.set(1, "Subject: a\r\nSubject: b\r\nCc: c\r\n\r\n");
  written.headers.set(2, "Subject: =?utf-8?q?a=00b?=\r\n\r\n");
  written.headers.set(3, Uint8Array.of(77));
  written.headers.set(4, `Subject: a\r\nX: ${"x".repeat(HEADER_BYTES_MAX)}\r\n\r\n`);
  written.headers.set(5, "Subject:\r\n\r\n");
  // Half of a character of UTF-16.
  written.headers.set(6, "Subject: =?utf-7?q?+2AA-?=\r\n\r\n");
  written.add(8);
  await written.checkpoint();
  expect(await written.subjects(0)).toEqual([...new Array(5).fill(NOT_KNOWN), "", NOT_KNOWN, "mail 7"]);
  expect((await written.run(0, 2)).slice(0, 3)).toEqual([ABSENT, " <c>", ABSENT]);
  const before = await Promise.all([0, 1, 2, 3].map((field) => written.run(0, field)));
  // And is so when others come into the page.
  written.add(1);
  await written.checkpoint();
  const after = await Promise.all([0, 1, 2, 3].map((field) => written.run(0, field)));
  expect(after).toEqual(before.map((run, field) => [...run, field === 3 ? "mail 8" : ABSENT]));
});

test("texts of what no mailbox has are swept, and stay with their numbers when rows get others", async () => {
  const written = new Written();
  written.add(4100);
  await written.checkpoint();
  written.expunge(0, 1);
  await written.checkpoint();
  expect((await written.subjects(0)).slice(0, 3)).toEqual(["mail 0", "mail 1", "mail 2"]);
  written.writes.texts = 0;
  await written.checkpoint("sweep");
  expect((await written.subjects(0)).slice(0, 3)).toEqual([NOT_KNOWN, NOT_KNOWN, "mail 2"]);
  expect(written.writes.texts).toBe(1);
  written.add(1);
  await written.checkpoint("anew");
  expect((await written.subjects(0)).slice(0, 3)).toEqual([NOT_KNOWN, NOT_KNOWN, "mail 2"]);
  expect((await written.subjects(1)).slice(-2)).toEqual(["mail 4099", "mail 4100"]);
  expect(written.writes.texts).toBe(2);
});

test("pages that are to be swept are, however many they are, and one that can't be made up for goes", async () => {
  const written = new Written();
  written.add(5000);
  await written.checkpoint();
  written.expunge(5, 5);
  written.expunge(4998, 4999);
  await written.checkpoint("sweep");
  expect((await written.subjects(0)).slice(4, 7)).toEqual(["mail 4", NOT_KNOWN, "mail 6"]);
  expect((await written.subjects(1)).slice(-3)).toEqual(["mail 4997", NOT_KNOWN, NOT_KNOWN]);
  written.expunge(6, 6);
  written.expunge(4996, 4997);
  written.damage("texts");
  await written.checkpoint("sweep");
  expect((await written.subjects(0)).slice(4, 8)).toEqual(["mail 4", NOT_KNOWN, NOT_KNOWN, "mail 7"]);
  expect(written.world.state.pages.texts[1]).toBe("");
  written.expunge(0, 4999);
  await written.checkpoint("sweep");
  expect(written.world.state.pages.texts).toEqual(["", ""]);
});

test("what an older checkpoint left without texts is made up for a page at a time, and so is a damaged page", async () => {
  const written = new Written();
  written.add(9000);
  await written.checkpoint();
  const all = await Promise.all([0, 1, 2].map((page) => written.subjects(page)));
  written.forget("texts");
  written.reads = 0;
  await written.checkpoint();
  expect(written.reads).toBe(4096);
  expect(await Promise.all([0, 1, 2].map((page) => written.subjects(page)))).toEqual([all[0], [], []]);
  await written.checkpoint();
  written.add(1);
  await written.checkpoint();
  const later = await Promise.all([0, 1, 2].map((page) => written.subjects(page)));
  expect(later).toEqual([all[0], all[1], [...all[2]!, "mail 9000"]]);
  written.damage("texts");
  written.add(1);
  await written.checkpoint();
  expect(await written.subjects(2)).toEqual([...all[2]!, "mail 9000", "mail 9001"]);
});

test("a page of texts that is none is refused", () => {
  const run = { status: Uint8Array.of(2, 0), texts: utf8("a\0") };
  const good = [run, run, run, run];
  expect(decodeTextPage(encodeTextPage(good))).toEqual(good);
  const bad = [
    [],
    [run, run, run],
    [run, run, run, { ...run, status: Uint8Array.of(2) }],
    [run, run, run, { ...run, texts: utf8("a") }],
    [run, run, run, { ...run, texts: utf8("a\0b\0") }],
    new Array(4).fill({ status: new Uint8Array(0), texts: new Uint8Array(0) }),
  ];
  for (const runs of bad) expect(() => decodeTextPage(encodeTextPage(runs))).toThrow(RangeError);
  const page = encodeTextPage(good);
  expect(() => decodeTextPage(page.with(1, 2))).toThrow(RangeError);
  expect(() => decodeTextPage(Uint8Array.of(0x83, ...page.subarray(1), 0))).toThrow(RangeError);
});

test("a state without emails has no texts", async () => {
  const state = new MailState();
  const pages = memoryPages();
  const body = await captureMail(state, captureSource).write(pages);
  expect((await loadMail(body, pages, position(1))).pages.texts).toEqual([]);
});
