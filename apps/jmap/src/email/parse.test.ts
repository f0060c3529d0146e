import { describe, expect, test } from "vitest";
import type { Blobs } from "./blobs.ts";
import { binary, blobsOf, corpus, openAccount, pace, pieces, type Told } from "./email-kit.ts";
import { parseEmails } from "./parse.ts";
import { planOfGet, planOfParse } from "./properties.ts";

const MAIL = "From: a@x.test\r\nSubject: =?utf-8?q?=C3=A9?=\r\nReferences: <1@x>\r\n\r\ntext\r\n";
const parse = (blobs: Blobs, ids: readonly string[], given = {}) =>
  parseEmails(blobs, ids, planOfParse(given), { pace });

test("a blob is told as an email: RFC 8621 §4.9", async () => {
  const answer = await parse(blobsOf({ b1: MAIL }), ["b1"]);
  const leaf = { disposition: null, cid: null, name: null, language: null, location: null };
  const part = { ...leaf, partId: "1", blobId: "b1-1", size: 6, type: "text/plain", charset: "us-ascii" };
  expect(answer).toEqual({
    parsed: {
      b1: {
        messageId: null,
        inReplyTo: null,
        references: ["1@x"],
        sender: null,
        from: [{ name: null, email: "a@x.test" }],
        to: null,
        cc: null,
        bcc: null,
        replyTo: null,
        subject: "é",
        sentAt: null,
        hasAttachment: false,
        preview: "text",
        bodyValues: {},
        textBody: [part],
        htmlBody: [part],
        attachments: [],
      },
    },
    notParsable: null,
    notFound: null,
  });
});

test("what only a stored email has is null", async () => {
  const properties = ["id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt"];
  const { parsed } = await parse(blobsOf({ b1: MAIL }), ["b1"], { properties });
  const nothing = { id: null, threadId: null, mailboxIds: null, keywords: null, receivedAt: null };
  expect(parsed).toEqual({ b1: { ...nothing, blobId: "b1", size: MAIL.length } });
});

test("each blob is told once, in one of three lists", async () => {
  const blobs = blobsOf({ a: MAIL, junk: "hello world\n", c: MAIL });
  const answer = await parse(blobs, ["c", "none", "junk", "a", "none", "c", "junk", "__proto__"], {
    properties: ["subject"],
  });
  expect(answer).toEqual({
    parsed: { c: { subject: "é" }, a: { subject: "é" } },
    notParsable: ["junk"],
    notFound: ["none", "__proto__"],
  });
  expect(await parse(blobs, [])).toEqual({ parsed: null, notParsable: null, notFound: null });
});

describe("junk is not parsable", () => {
  test.each([
    ["nothing", ""],
    ["an empty line", "\r\n\r\n"],
    ["prose", "Dear Sir,\r\nSubject: none\r\n\r\n"],
    ["octets", binary("\x89PNG\r\n\x1a\n\0\0\0\rIHDR: x\r\nSubject: x\r\n\r\n")],
    ["NUL in a header", binary("Subject: a\0b\r\n\r\n")],
    ["JSON", '{"Subject": "a"}\n'],
    ["HTML", "<html>\nSubject: a\n\n"],
    ["a list of words", "foo: bar\r\nbaz: qux\r\n\r\n"],
    ["a continuation", " Subject: a\r\n\r\n"],
  ])("%s", async (_, blob) => {
    expect(await parse(blobsOf({ b: blob }), ["b"])).toEqual({ parsed: null, notParsable: ["b"], notFound: null });
  });
});

describe("mail that is broken is parsed", () => {
  test.each([
    ["no body", "Subject: x"],
    ["bare line feeds", "Subject: x\n\nbody\n"],
    ["a line that is no field", "Received: a\r\nno field\r\nSubject: x\r\n\r\n"],
    ["an mbox's first line", "From me Mon Jan  1\nSubject: x\n\n"],
    ["space before a colon", "Subject : x\r\n\r\n"],
    ["names in other cases", "SUBJECT: x\r\n\r\n"],
    ["octets of no charset", binary("Subject: x\r\nX: \xff\r\n\r\n")],
  ])("%s", async (_, blob) => {
    const { parsed } = await parse(blobsOf({ b: blob }), ["b"], { properties: ["subject"] });
    expect(parsed).toEqual({ b: { subject: "x" } });
  });
});

test("a message within a message is parsed by its own numbers", async () => {
  const inner =
    "Content-Type: multipart/mixed; boundary=c\r\nSubject: in\r\n\r\n--c\r\n\r\none\r\n--c\r\n\r\ntwo\r\n--c--\r\n";
  const { parsed } = await parse(blobsOf({ "b1-2": inner }), ["b1-2"], {
    properties: ["bodyStructure", "bodyValues"],
    bodyProperties: ["partId", "blobId"],
    fetchAllBodyValues: true,
  });
  const sound = { isEncodingProblem: false, isTruncated: false };
  expect(parsed).toEqual({
    "b1-2": {
      bodyStructure: {
        partId: null,
        blobId: null,
        subParts: [
          { partId: "1", blobId: "b1-2-1" },
          { partId: "2", blobId: "b1-2-2" },
        ],
      },
      bodyValues: { 1: { value: "one", ...sound }, 2: { value: "two", ...sound } },
    },
  });
});

test("a blob and the same mail in the store are told alike, for all mails of the corpus", async () => {
  const account = await openAccount();
  const given = {
    properties: [
      ...["subject", "from", "to", "cc", "sentAt", "messageId", "references", "headers", "preview", "hasAttachment"],
      ...["bodyStructure", "textBody", "htmlBody", "attachments", "bodyValues", "size", "header:Received:all"],
    ],
    bodyProperties: [
      ...["partId", "size", "name", "type", "charset", "disposition", "cid", "language", "location", "headers"],
      "header:Content-Type:asText",
    ],
    fetchAllBodyValues: true,
    maxBodyValueBytes: 5000,
  };
  // The summary of a stored email has no Content-ID of a multipart.
  const known = (told: unknown): unknown =>
    JSON.parse(JSON.stringify(told), (_, value) => (value?.partId === null ? { ...value, cid: null } : value));
  let count = 0;
  for (const [name, bytes] of corpus) {
    const id = await account.add(bytes);
    const { id: _, ...stored } = await account.get(id, given);
    const { parsed } = await parse(blobsOf({ b: bytes }), ["b"], given);
    if (!parsed) continue;
    count++;
    expect(known(parsed.b), name).toEqual(known(stored));
  }
  expect(count).toBeGreaterThan(30);
});

test("a blob of 10^5 parts is told in bounds", async () => {
  const part = "--b\r\nX: y\r\n\r\nz\r\n";
  const blob = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${part.repeat(100_000)}--b--\r\n`;
  const deep = Array.from(
    { length: 5000 },
    (_, n) => `Content-Type: multipart/x; boundary=b${n}\r\n\r\n--b${n}\r\n`,
  ).join("");
  const given = { properties: ["bodyStructure", "attachments"], bodyProperties: ["headers", "partId", "subParts"] };
  for (const of of [blob, deep]) {
    const { parsed } = await parse(blobsOf({ b: of }), ["b"], { ...given, fetchAllBodyValues: true });
    expect(JSON.stringify(parsed).length).toBeLessThan(1_000_000);
    expect(((parsed!.b as Told).bodyStructure as Told).subParts).toBeDefined();
  }
});

test("who leaves is answered no more, in the midst of a blob", async () => {
  const aborter = new AbortController();
  let read = 0;
  const blobs: Blobs = {
    open: async () => ({
      size: 10_000_000,
      async *read() {
        for await (const piece of pieces(new Uint8Array(10_000_000), 1000)) {
          if (++read === 10) aborter.abort(new Error("left"));
          yield piece;
        }
      },
    }),
  };
  await expect(parseEmails(blobs, ["b"], planOfGet({}), { pace, signal: aborter.signal })).rejects.toThrow("left");
  expect(read).toBeLessThan(20);
});
