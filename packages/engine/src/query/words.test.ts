import { decodeOffsets, encodeOffsets, formatBodyStructure, HeaderBlock, scan } from "@restante/mime";
import { expect, test } from "vitest";
import { HEADER_BYTES_MAX } from "../mail/contents/header.ts";
import type { Message } from "../mail/mailbox-view.ts";
import { FIRST_ROW } from "../mail/numbers.ts";
import type { Condition } from "./condition.ts";
import { type SearchTools, search } from "./filter.ts";
import { Scans } from "./scans.ts";

/** A search of one message, kept as the engine keeps it: true if it is found. Texts are binary: an octet a character. */
function finder(
  message: string,
  { state = {}, row = FIRST_ROW }: Partial<Pick<Message, "row">> & { state?: object } = {},
) {
  const octets = Uint8Array.from(message, (char) => char.charCodeAt(0));
  const { root, header } = scan(octets);
  const summary = {
    format: 1,
    bodyStructure: new TextEncoder().encode(formatBodyStructure(root)),
    offsets: encodeOffsets(root),
  };
  expect(decodeOffsets(summary.offsets).bodyStart).toBeGreaterThan(0);
  const reads: number[] = [];
  const contents = {
    readHeaders: async () => [new HeaderBlock(header.subarray(0, HEADER_BYTES_MAX))],
    readSummaries: async () => [summary],
    openBody: async () => ({
      size: octets.length,
      async *read(start: number, end: number) {
        reads.push(end);
        for (let at = start; at < Math.min(end, octets.length); at += 60_000)
          yield octets.subarray(at, Math.min(at + 60_000, end));
      },
    }),
  } as unknown as SearchTools["contents"];
  const list = { length: 1, message: () => ({ position: 0, row, state }) as unknown as Message };
  const tools = { contents, scans: new Scans(), pace: { isOver: () => false, take: async () => undefined } };
  const find = async (condition: Condition): Promise<boolean> => (await search(list, condition, tools)).length === 1;
  return Object.assign(find, { reads });
}
type TextKind = "text" | "body" | "subject" | "from" | "to" | "cc" | "bcc";
const of = (kind: TextKind, text: string): Condition => ({ kind, text });

const NESTED = [
  "Subject: outer",
  "Content-Type: multipart/mixed; boundary=b",
  "",
  "--b",
  "Content-Type: text/plain; charset=utf-8",
  "Content-Disposition: inline;",
  "\tfilename==?utf-8?q?sch=C3=B6n?=.txt",
  "",
  "the words of it",
  "--b",
  "Content-Type: image/png; name=picture.png",
  "",
  "not a text",
  "--b",
  "Content-Type: message/rfc822",
  "X-Around: carton",
  "",
  "Subject: =?utf-8?q?attached_th=C3=A9?=",
  "",
  "inner words",
  "--b",
  "Content-Type: message/delivery-status",
  "",
  "Final-Recipient: rfc822; nobody@example.org",
  "--b--",
  "",
].join("\r\n");

test("TEXT sees the headers of parts and of attached messages, BODY none of them; both see message/* text", async () => {
  const find = finder(NESTED);
  for (const text of ["outer", "picture.png", "schön.txt", "attached thé", "carton", "inline; filename=schön"])
    expect([text, await find(of("text", text)), await find(of("body", text))]).toEqual([text, true, false]);
  for (const text of ["words of it", "inner words", "NOBODY@example.org"])
    expect([text, await find(of("text", text)), await find(of("body", text))]).toEqual([text, true, true]);
  for (const text of ["not a text", "nowhere", "carton subject"])
    expect([text, await find(of("text", text)), await find(of("body", text))]).toEqual([text, false, false]);
});

test("addresses are searched as they are, not as they are written", async () => {
  const find = finder(
    [
      'From: =?utf-8?q?J=C3=BCrgen?= Klein (at home) <j.klein\r\n @example.org>, "Q. \\"Quote\\"" <q@x>',
      "To: friends: ada@example.org (Ada Lovelace), <bob@x>;",
      "Cc: =?iso-2022-jp?b?GyRCJCI=?= =?iso-2022-jp?b?JCQbKEI=?= <jp@x>",
      "Bcc: undisclosed-recipients:;",
      "",
      "",
    ].join("\r\n"),
  );
  for (const text of ["jürgen klein", "Klein <j.klein@example.org>", 'Q. "Quote" <q@x>', "klein@"])
    expect([text, await find(of("from", text))]).toEqual([text, true]);
  for (const text of ["utf-8", "at home", "jürgen klein <q"])
    expect([text, await find(of("from", text))]).toEqual([text, false]);
  for (const text of ["Ada Lovelace <ada@example.org>", "friends", "bob@x", ""])
    expect([text, await find(of("to", text))]).toEqual([text, true]);
  expect(await find(of("cc", "あい <jp@x>"))).toBe(true);
  expect(await find(of("bcc", "undisclosed"))).toBe(true);
  // The field as it is written, but for its encoded-words.
  expect(await find({ kind: "header", field: "from", text: "(at home)" })).toBe(true);
});

test("words that were cut in two, and lines that were folded with a tab, are one text", async () => {
  const find = finder(
    "Subject: =?ISO-2022-JP?B?GyRCJCI=?=\r\n\t=?iso-2022-jp?B?JCQbKEI=?=\r\n\tnext\tword\r\nX-Cut: gr\xc3\xbc\xc3\x9fe \xe2\x82\r\n\r\n",
  );
  expect(await find(of("subject", "あい next word"))).toBe(true);
  expect(await find(of("text", "あい next\tword"))).toBe(true);
  expect(await find({ kind: "header", field: "x-cut", text: "GRÜßE" })).toBe(true);
  expect(await find({ kind: "header", field: "x-cut", text: "Ã" })).toBe(false);
});

test("raw octets of one field say nothing of another's charset", async () => {
  const find = finder(
    [
      "X-Latin: caf\xe9",
      "X-Cut: gr\xc3\xbc\xc3\x9fe \xe2\x82",
      "X-Utf: \xc3\xa4pfel",
      "Content-Type: multipart/mixed; boundary=b",
      "",
      "--b",
      "Content-Description: \xc3\xb6rtlich \xc3",
      "Content-Location: \xe9t\xe9",
      "",
      "x",
      "--b--",
      "",
    ].join("\r\n"),
  );
  for (const text of ["café", "grüße", "äpfel", "örtlich", "été"])
    expect([text, await find(of("text", text))]).toEqual([text, true]);
  expect(await find(of("text", "Ã"))).toBe(false);
});

test("TEXT sees lines of headers that are no fields: some mails have their text there", async () => {
  const find = finder(
    [
      "Message lost",
      "Subject: s",
      "gone astray",
      "Content-Type: multipart/mixed; boundary=b",
      "in between",
      "",
      "--b",
      "Content-Type: message/rfc822",
      "",
      "Message removed",
      "-----=_NextPart--",
      "",
      "--b",
      "Content-Type: image/png",
      "misplaced",
      "",
      "not a text",
      "--b--",
      "",
    ].join("\r\n"),
  );
  for (const text of ["message lost", "gone astray", "in between", "message removed", "nextpart", "misplaced"])
    expect([text, await find(of("text", text)), await find(of("body", text))]).toEqual([text, true, false]);
  for (const text of ["not a text", "lost subject", "astray content"])
    expect([text, await find(of("text", text))]).toEqual([text, false]);
});

test("headers are searched up to a mebibyte", async () => {
  const fill = (octets: number): string => `X-Fill: ${"x".repeat(70)}\r\n`.repeat(octets / 80);
  const near = finder(`${fill(70_000)}Subject: far off\r\n\r\nwords`);
  expect(await near(of("subject", "far off"))).toBe(true);
  expect(await near(of("text", "far off"))).toBe(true);
  expect(await near({ kind: "header", field: "subject", text: "" })).toBe(true);
  // The body is no header.
  expect(await near({ kind: "header", field: "words", text: "" })).toBe(false);
  const beyond = finder(`${fill(1_100_000)}Subject: far off\r\n\r\nwords`);
  expect(await beyond(of("subject", "far off"))).toBe(false);
  expect(Math.max(...beyond.reads)).toBe(2 ** 20);
  const small = finder("Subject: near\r\n\r\nwords");
  expect(await small(of("subject", "far off"))).toBe(false);
  expect(small.reads).toEqual([]);
});

test.each([
  'name=charset; charset="koi8-r"',
  "charset=koi8-r; name=charset; x=y",
  "charset*=us-ascii'en'koi8-r",
  "charset*0=koi8; charset*1=-r",
  "x=y; CHARSET=KOI8-R",
])("a part's charset is read as any parameter is: %s", async (parameters) => {
  const find = finder(`Content-Type: text/plain; ${parameters}\r\n\r\n\xc7\xcf\xd2\xc1\r\n`);
  expect(await find(of("body", "гора"))).toBe(true);
});

test.each([
  ["utf-32be", "\0\0\0g\0\0\0r\0\0\0\xfc\0\0\0n"],
  ["cp437", "gr\x81n"],
  ["ibm850", "gr\x81n"],
  ["cp852", "gr\x81n"],
])("texts of %s are read, in headers and bodies", async (charset, octets) => {
  const base64 = Buffer.from(octets, "latin1").toString("base64");
  const find = finder(
    `Subject: =?${charset}?b?${base64}?=\r\nContent-Type: text/plain; charset=${charset}\r\nContent-Transfer-Encoding: base64\r\n\r\n${base64}\r\n`,
  );
  expect(await find(of("subject", "grün"))).toBe(true);
  expect(await find(of("body", "grün"))).toBe(true);
});

test("without a Date field nothing was sent before, on or since a day", async () => {
  const receivedMs = Date.UTC(2026, 0, 10, 12);
  const state = (sentMs: number, zoneMinutes = 0): object => ({
    receivedOf: () => ({ timeMs: receivedMs, zoneMinutes: 0 }),
    sentOf: () => ({ timeMs: sentMs, zoneMinutes }),
  });
  const since: Condition = { kind: "date", of: "sent", isLocal: true, from: 0 };
  const before: Condition = { kind: "date", of: "sent", isLocal: true, before: receivedMs + 1 };
  for (const field of ["", "Date: soon\r\n"]) {
    const find = finder(`${field}Subject: s\r\n\r\n`, { state: state(receivedMs) });
    expect([await find(since), await find(before), await find({ kind: "not", of: since })]).toEqual([
      false,
      false,
      true,
    ]);
    expect(await find({ ...since, of: "received" })).toBe(true);
  }
  const same = finder("Date: Sat, 10 Jan 2026 12:00:00 +0000\r\n\r\n", { state: state(receivedMs) });
  expect([await same(since), await same(before)]).toEqual([true, true]);
  // A sent time that differs from the time of receipt came from a Date field: no header is read.
  const other = finder("Subject: not looked at\r\n\r\n", { state: state(receivedMs - 1000) });
  expect([await other(since), await other(before)]).toEqual([true, true]);
});
