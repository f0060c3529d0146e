import { EngineError, parseEmailId } from "@restante/engine";
import { decodeOffsets, decodeTransfer, encodeOffsets, findPart, scan } from "@restante/mime";
import { beforeAll, describe, expect, test } from "vitest";
import { VALUE_FRAME_CHARS } from "./body-values.ts";
import { AnswerBudget } from "./budget.ts";
import { type Account, binary, blobsOf, corpus, openAccount, pace, pieces, type Told } from "./email-kit.ts";
import { type EmailSession, getEmails } from "./get.ts";
import { BODY_VALUE_BYTES_MAX } from "./limits.ts";
import { parseEmails } from "./parse.ts";
import { RequestTooLarge } from "./problems.ts";
import { planOfGet, planOfParse } from "./properties.ts";

const LIST = [
  ...["id", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "from", "to", "subject", "sentAt"],
  ...["hasAttachment", "preview"],
];

let account: Account;
beforeAll(async () => {
  account = await openAccount();
});

const MAIL = [
  "From: Ann <ann@x.test>",
  "To: bob@x.test",
  "Subject: Hello",
  "Message-ID: <1@x.test>",
  "Date: Thu, 30 Oct 2014 14:12:00 +0800",
  "MIME-Version: 1.0",
  'Content-Type: multipart/mixed; boundary="b"',
  "",
  "preamble",
  "--b",
  "Content-Type: multipart/alternative; boundary=c",
  "",
  "--c",
  "Content-Type: text/plain; charset=iso-8859-1",
  "Content-Transfer-Encoding: quoted-printable",
  "X-Part: a",
  "x-part:  b",
  "",
  "caf=E9",
  "two",
  "--c",
  "Content-Type: text/html; charset=utf-8",
  "",
  "<p>two</p>",
  "--c--",
  "--b",
  'Content-Type: image/png; name="=?utf-8?q?=C3=A9.png?="',
  "Content-Transfer-Encoding: base64",
  "Content-Disposition: ATTACHMENT",
  "Content-ID: <i@x.test>",
  "Content-Language: en, de-AT",
  "Content-Location: http://x.test/",
  " a",
  "",
  "AAEC",
  "--b",
  "Content-Type: message/rfc822",
  "",
  "Subject: inner",
  "",
  "text",
  "--b--",
  "",
].join("\r\n");

test("Email/get tells the default properties: RFC 8621 §4.2", async () => {
  const id = await account.add(MAIL, ["INBOX", "Archive"], ["\\Seen", "Work"]);
  const blob = id.replace("m", "b");
  const told = await account.get(id);
  const leaf = { language: null, location: null, cid: null, disposition: null, name: null };
  const plain = { ...leaf, partId: "1.1", blobId: `${blob}-1-1`, size: 9, type: "text/plain", charset: "iso-8859-1" };
  const html = { ...leaf, partId: "1.2", blobId: `${blob}-1-2`, size: 10, type: "text/html", charset: "utf-8" };
  expect(told).toEqual({
    id,
    blobId: blob,
    threadId: expect.stringMatching(/^t[0-9a-f]{16}$/),
    mailboxIds: { "p0000000000000000-0-0": true, "p0000000000000000-0-5": true },
    keywords: { $seen: true, work: true },
    size: MAIL.length,
    receivedAt: "2024-02-29T12:30:15Z",
    messageId: ["1@x.test"],
    inReplyTo: null,
    references: null,
    sender: null,
    from: [{ name: "Ann", email: "ann@x.test" }],
    to: [{ name: null, email: "bob@x.test" }],
    cc: null,
    bcc: null,
    replyTo: null,
    subject: "Hello",
    sentAt: "2014-10-30T14:12:00+08:00",
    hasAttachment: true,
    preview: "café two",
    bodyValues: {},
    textBody: [plain],
    htmlBody: [html],
    attachments: [
      {
        partId: "2",
        blobId: `${blob}-2`,
        size: 3,
        type: "image/png",
        charset: null,
        name: "é.png",
        disposition: "attachment",
        cid: "i@x.test",
        language: ["en", "de-AT"],
        location: "http://x.test/a",
      },
      { ...leaf, partId: "3", blobId: `${blob}-3`, size: 22, type: "message/rfc822", charset: null },
    ],
  });
});

test("bodyStructure is the tree of parts, none of which is looked into that is a message", async () => {
  const id = await account.add(MAIL);
  const { bodyStructure } = await account.get(id, {
    properties: ["bodyStructure"],
    bodyProperties: ["partId", "type", "blobId", "header:X-Part:asText:all", "header:Subject:asText", "headers"],
  });
  const tree = (part: Told): unknown => [
    part.partId,
    part.type,
    ...((part.subParts as Told[] | undefined) ?? []).map(tree),
  ];
  expect(tree(bodyStructure as Told)).toEqual([
    null,
    "multipart/mixed",
    [null, "multipart/alternative", ["1.1", "text/plain"], ["1.2", "text/html"]],
    ["2", "image/png"],
    ["3", "message/rfc822"],
  ]);
  const [alternative, image] = (bodyStructure as Told).subParts as Told[];
  expect(bodyStructure).toMatchObject({
    blobId: null,
    "header:Subject:asText": "Hello",
    "header:X-Part:asText:all": [],
  });
  expect((bodyStructure as Told).headers).toHaveLength(7);
  const [plain] = alternative!.subParts as Told[];
  expect(plain).toMatchObject({ "header:X-Part:asText:all": ["a", "b"], "header:Subject:asText": null });
  expect(plain!.headers).toEqual([
    { name: "Content-Type", value: " text/plain; charset=iso-8859-1" },
    { name: "Content-Transfer-Encoding", value: " quoted-printable" },
    { name: "X-Part", value: " a" },
    { name: "x-part", value: "  b" },
  ]);
  expect((image!.headers as Told[]).at(-1)).toEqual({ name: "Content-Location", value: " http://x.test/\r\n a" });
  expect("subParts" in plain!).toBe(false);
  const asked = await account.get(id, { properties: ["bodyStructure", "textBody"], bodyProperties: ["subParts"] });
  expect(asked.textBody).toEqual([{ subParts: [] }]);
});

test("a multipart has parts and nothing else, whatever is asked of parts", async () => {
  const id = await account.add(MAIL);
  const told = await account.get(id, { properties: ["bodyStructure"] });
  const { subParts, ...mixed } = told.bodyStructure as Told;
  const nothing = { name: null, charset: null, disposition: null, cid: null, language: null, location: null };
  expect(mixed).toEqual({ ...nothing, partId: null, blobId: null, size: 0, type: "multipart/mixed" });
  expect((subParts as Told[]).map((part) => "subParts" in part)).toEqual([true, false, false]);
});

test("a part of a digest is a message if it says nothing else: RFC 2046 §5.1.5", async () => {
  const parts = "--b\r\n\r\nSubject: in\r\n\r\ntext\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b--\r\n";
  const id = await account.add(`Content-Type: multipart/digest; boundary=b\r\n\r\n${parts}`);
  const told = await account.get(id, { properties: ["bodyStructure"], bodyProperties: ["partId", "type", "charset"] });
  expect((told.bodyStructure as Told).subParts).toEqual([
    { partId: "1", type: "message/rfc822", charset: null },
    { partId: "2", type: "text/plain", charset: "us-ascii" },
  ]);
});

test("a message of one part is that part", async () => {
  const id = await account.add("Subject: a\r\nX: y\r\n\r\nb\r\n");
  const { bodyStructure } = await account.get(id, {
    properties: ["bodyStructure"],
    bodyProperties: ["partId", "size", "charset", "type", "header:X:asText"],
  });
  expect(bodyStructure).toEqual({
    partId: "1",
    size: 3,
    charset: "us-ascii",
    type: "text/plain",
    "header:X:asText": "y",
  });
});

test("ids are told in their order, each once, and what is none is not found, as it was written", async () => {
  const [one, two] = [await account.add("a: 1\r\n\r\n"), await account.add("a: 2\r\n\r\n")];
  const unknown = `m${"0".repeat(32)}`;
  const odd = ["", "x", "__proto__", one.toUpperCase(), `${one} `, "m", "1", unknown, "x".repeat(100_000), "\ud800"];
  const ids = [two, ...odd, one, two, "x", one];
  const { list, notFound } = await getEmails(account.session, ids, planOfGet({ properties: ["header:a:asText"] }), {
    pace,
  });
  expect(list).toEqual([
    { id: two, "header:a:asText": "2" },
    { id: one, "header:a:asText": "1" },
  ]);
  expect(notFound).toEqual(odd);
  expect(await getEmails(account.session, [], planOfGet({}), { pace })).toEqual({ list: [], notFound: [] });
});

test("an email that \\Deleted hides everywhere is not found, and in one mailbox it is not in that", async () => {
  const id = await account.add("a: hidden\r\n\r\n", ["INBOX", "Trash"], []);
  const mark = async (path: string, mode: "add" | "remove"): Promise<void> => {
    const view = account.session.openView(account.session.getMailbox(path).id, { readOnly: false });
    await view.setFlags([view.length - 1], { mode, flags: ["\\Deleted"] });
  };
  await mark("INBOX", "add");
  expect(Object.keys((await account.get(id)).mailboxIds as object)).toHaveLength(1);
  await mark("Trash", "add");
  await expect(account.get(id)).rejects.toThrow("not there");
  await mark("Trash", "remove");
  expect((await account.get(id)).id).toBe(id);
});

describe("bodyStructure opens bodies", () => {
  test("list properties, bodyStructure and headers of 50 warm mails read nothing from the store", async () => {
    const fresh = await openAccount();
    const large = `${"x".repeat(70)}\r\n`.repeat(4000);
    const ids: string[] = [];
    for (let n = 0; n < 50; n++) ids.push(await fresh.add(MAIL.replace("1@", `${n}@`) + (n % 10 === 0 ? large : "")));
    const reads = async (given: Parameters<typeof planOfGet>[0]): Promise<number> => {
      const before = fresh.reads();
      const { list } = await getEmails(fresh.session, ids, planOfGet(given), { pace });
      expect(list).toHaveLength(50);
      return fresh.reads() - before;
    };
    expect(await reads({ properties: LIST })).toBe(0);
    expect(await reads({})).toBe(0);
    expect(await reads({ properties: [...LIST, "bodyStructure", "headers", "header:X-Y:asText:all"] })).toBe(0);
    expect(await reads({ properties: ["textBody"], fetchAllBodyValues: true })).toBe(0);
    const single = await fresh.add("Subject: a\r\nX: b\r\n\r\nc");
    const before = fresh.reads();
    const given = { properties: ["bodyStructure", "textBody"], bodyProperties: ["header:X:asText", "headers"] };
    expect((await fresh.get(single, given)).textBody).toMatchObject([{ "header:X:asText": "b" }]);
    expect(fresh.reads() - before).toBe(0);
    // The values lie in bodies.
    expect(await reads({ properties: ["bodyValues"], fetchTextBodyValues: true })).toBeGreaterThan(0);
    expect(await reads({ properties: ["textBody"], bodyProperties: ["header:X"] })).toBeGreaterThan(0);
  });

  test("of parts that are not told of nothing is read", async () => {
    const part = (text: string, more = ""): string => `--b\r\nX: ${text}\r\n${more}\r\n${text}\r\n`;
    const file = part("z".repeat(500), "Content-Type: application/x\r\n");
    const id = await account.add(
      `Content-Type: multipart/mixed; boundary=b\r\n\r\n${part("one")}${file.repeat(500)}--b--\r\n`,
    );
    const { session } = account;
    const spans: number[][] = [];
    const watched: EmailSession = {
      findEmails: (...of) => session.findEmails(...of),
      readFullSummaries: (of) => session.readFullSummaries(of),
      readHeaders: (of) => session.readHeaders(of),
      async openBody(of) {
        const body = await session.openBody(of);
        return {
          size: body.size,
          read: (start, end) => {
            spans.push([start, end]);
            return body.read(start, end);
          },
        };
      },
    };
    const given = { properties: ["textBody"], bodyProperties: ["header:X:asText"] };
    const { list } = await getEmails(watched, [id], planOfGet(given), { pace });
    expect(list[0]!.textBody).toEqual([{ "header:X:asText": "one" }]);
    expect(spans).toHaveLength(1);
    expect(spans[0]![1]).toBeLessThan(200);
  });

  test("who leaves while a body is read is answered no more, and no more of it is read", async () => {
    const parts = "--b\r\n\r\ntext\r\n".repeat(500);
    const id = await account.add(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${parts}--b--\r\n`);
    const { session } = account;
    const aborter = new AbortController();
    let read = 0;
    const leaving: EmailSession = {
      findEmails: (...of) => session.findEmails(...of),
      readFullSummaries: (of) => session.readFullSummaries(of),
      readHeaders: (of) => session.readHeaders(of),
      async openBody(of) {
        const body = await session.openBody(of);
        const all: Uint8Array[] = [];
        for await (const piece of body.read(0, body.size)) all.push(piece.slice());
        const bytes = Uint8Array.from(all.flatMap((piece) => [...piece]));
        return {
          size: body.size,
          async *read(start, end) {
            for await (const piece of pieces(bytes.subarray(start, end), 16)) {
              if (++read === 10) aborter.abort(new Error("left"));
              yield piece;
            }
          },
        };
      },
    };
    const getting = getEmails(leaving, [id], planOfGet({ fetchAllBodyValues: true }), { pace, signal: aborter.signal });
    await expect(getting).rejects.toThrow("left");
    expect(read).toBeLessThan(20);
  });

  test("a body is read once, whatever is asked of its parts", async () => {
    const fresh = await openAccount();
    const parts = Array.from({ length: 300 }, (_, n) => `--b\r\nX-N: ${n}\r\n\r\n${`text ${n}\r\n`.repeat(50)}`).join(
      "",
    );
    const id = await fresh.add(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${parts}--b--\r\n`);
    const before = fresh.reads();
    const told = await fresh.get(id, {
      properties: ["bodyValues", "bodyStructure"],
      bodyProperties: ["header:X-N:asText"],
      fetchAllBodyValues: true,
    });
    expect(fresh.reads() - before).toBeLessThanOrEqual(3);
    expect(Object.keys(told.bodyValues as object)).toHaveLength(300);
    expect(((told.bodyStructure as Told).subParts as Told[])[299]).toEqual({ "header:X-N:asText": "299" });
  });
});

test("decoded size guessed: a part's size is the length of its download, for all mails of the corpus", async () => {
  for (const [name, bytes] of corpus) {
    const id = await account.add(bytes);
    const { bodyStructure } = await account.get(id, {
      properties: ["bodyStructure"],
      bodyProperties: ["partId", "size", "blobId"],
    });
    const { root } = scan(bytes);
    const offsets = decodeOffsets(encodeOffsets(root));
    const encodings = new Map<number, string>();
    const note = (part: typeof root): void => {
      encodings.set(part.headerStart, part.kind === "leaf" ? part.encoding : "8bit");
      part.children.forEach(note);
    };
    note(root);
    const look = (part: Told): void => {
      for (const sub of (part.subParts as Told[] | undefined) ?? []) look(sub);
      if (part.partId === null) return;
      const path = String(part.partId).split(".").map(Number);
      const { headerStart, bodyStart, bodyEnd } = findPart(offsets, path)!;
      const download = decodeTransfer(bytes.subarray(bodyStart, bodyEnd), encodings.get(headerStart)!);
      expect(part.size, `${name} ${part.partId}`).toBe(download.length);
      expect(part.blobId).toBe(`${id.replace("m", "b")}-${path.join("-")}`);
    };
    look(bodyStructure as Told);
  }
});

test("a header that was not kept whole is read from the body", async () => {
  const filler = `X-Filler: ${"x".repeat(500)}\r\n`.repeat(200);
  const id = await account.add(binary(`Subject: a\r\n${filler}X-Last: end\r\n\r\nbody`));
  const given = { properties: ["header:X-Last:asText", "subject"] };
  expect(await account.get(id, given)).toEqual({ id, "header:X-Last:asText": "end", subject: "a" });
  const { bodyStructure } = await account.get(id, {
    properties: ["bodyStructure"],
    bodyProperties: ["header:X-Last:asText"],
  });
  expect(bodyStructure).toEqual({ "header:X-Last:asText": "end" });
});

test("of a part's header so much is read, and its disposition is told as it is meant", async () => {
  const filler = `X-Filler: ${"x".repeat(900)}\r\n`.repeat(400);
  const part = `--b\r\nX-First: a\r\nContent-Disposition: \xe9t\xe9\r\n${filler}X-Last: z\r\n\r\ntext\r\n`;
  const id = await account.add(binary(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${part}--b--\r\n`));
  const bodyProperties = ["disposition", "header:X-First:asText", "header:X-Last:asText"];
  const { bodyStructure } = await account.get(id, { properties: ["bodyStructure"], bodyProperties });
  expect((bodyStructure as Told).subParts).toEqual([
    { disposition: "été", "header:X-First:asText": "a", "header:X-Last:asText": null },
  ]);
});

describe("others have their turn", () => {
  /** Counts turns; it is always time for one. */
  const counting = () => {
    const turns = { count: 0, isOver: () => true, take: async (): Promise<void> => void turns.count++ };
    return turns;
  };

  test("between emails, and between batches of ids that are none", async () => {
    const turns = counting();
    const ids = Array.from({ length: 640 }, (_, n) => `x${n}`);
    await getEmails(account.session, ids, planOfGet({}), { pace: turns });
    expect(turns.count).toBeGreaterThanOrEqual(10);
    const mails = await Promise.all(Array.from({ length: 20 }, () => account.add("Subject: a\r\n\r\n")));
    turns.count = 0;
    await getEmails(account.session, mails, planOfGet({ properties: ["preview"] }), { pace: turns });
    expect(turns.count).toBeGreaterThanOrEqual(20);
  });

  test("between parts, and between header fields of each", async () => {
    const parts = "--b\r\nX: y\r\n\r\n".repeat(50);
    const id = await account.add(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${parts}--b--`);
    const turns = counting();
    const given = { properties: ["bodyStructure"], bodyProperties: ["partId", "size"] };
    await getEmails(account.session, [id], planOfGet(given), { pace: turns });
    expect(turns.count).toBeGreaterThanOrEqual(50);
    turns.count = 0;
    const fields = Array.from({ length: 60 }, (_, n) => `header:X${n}`);
    await getEmails(account.session, [id], planOfGet({ ...given, bodyProperties: fields }), { pace: turns });
    expect(turns.count).toBeGreaterThanOrEqual(50 * 60);
  });

  test("while a blob is scanned", async () => {
    const turns = counting();
    const blob = `Subject: a\r\n\r\n${"text\r\n".repeat(50_000)}`;
    await parseEmails(blobsOf({ b: blob }), ["b"], planOfParse({ properties: ["size"] }), { pace: turns });
    expect(turns.count).toBeGreaterThanOrEqual(4);
  });
});

describe("an answer is bounded", () => {
  test("by what its values come to", async () => {
    const id = await account.add(`Subject: a\r\n\r\n${"x".repeat(5000)}`);
    const given = { properties: ["bodyValues"], fetchAllBodyValues: true };
    const get = (charsMax: number, more = {}) =>
      getEmails(account.session, [id], planOfGet({ ...given, ...more }), { pace, budget: new AnswerBudget(charsMax) });
    await expect(get(5000 + VALUE_FRAME_CHARS - 1)).rejects.toThrow(RequestTooLarge);
    expect((await get(5000 + VALUE_FRAME_CHARS)).list).toHaveLength(1);
    expect((await get(100 + VALUE_FRAME_CHARS, { maxBodyValueBytes: 100 })).list).toHaveLength(1);
    await expect(get(100 + VALUE_FRAME_CHARS, { maxBodyValueBytes: 101 })).rejects.toThrow(RequestTooLarge);
  });

  test("by what all of them come to, and by octets that are never told", async () => {
    const ids = [await account.add(`\r\n${"x".repeat(3000)}`), await account.add(`\r\n${"y".repeat(3000)}`)];
    const get = (charsMax: number, given = {}) =>
      getEmails(account.session, ids, planOfGet({ properties: ["bodyValues"], fetchAllBodyValues: true, ...given }), {
        pace,
        budget: new AnswerBudget(charsMax),
      });
    await expect(get(6000 + 2 * VALUE_FRAME_CHARS - 1)).rejects.toThrow(RequestTooLarge);
    expect((await get(6000 + 2 * VALUE_FRAME_CHARS)).list).toHaveLength(2);
    expect((await get(200 + 2 * VALUE_FRAME_CHARS, { maxBodyValueBytes: 100 })).list).toHaveLength(2);
    await expect(get(199 + 2 * VALUE_FRAME_CHARS, { maxBodyValueBytes: 100 })).rejects.toThrow(RequestTooLarge);
  });

  test("by a length that no value exceeds, which is told", async () => {
    const id = await account.add(`\r\n${"é".repeat(BODY_VALUE_BYTES_MAX / 2)}`);
    const more = await account.add(`\r\n${"é".repeat(BODY_VALUE_BYTES_MAX / 2)}x`);
    for (const maxBodyValueBytes of [0, 2 ** 40]) {
      const given = { properties: ["bodyValues"], fetchAllBodyValues: true, maxBodyValueBytes };
      const values = await Promise.all(
        [id, more].map(async (one) => (await account.get(one, given)).bodyValues as Told),
      );
      const [whole, cut] = values.map((value) => value[1] as { value: string; isTruncated: boolean });
      expect([whole!.value.length, whole!.isTruncated]).toEqual([BODY_VALUE_BYTES_MAX / 2, false]);
      expect([cut!.value.length, cut!.isTruncated]).toEqual([BODY_VALUE_BYTES_MAX / 2, true]);
    }
  });

  test("by how many there are, however short each is", async () => {
    const id = await account.add(
      `Content-Type: multipart/mixed; boundary=b\r\n\r\n${"--b\r\n\r\nx\r\n".repeat(900)}--b--`,
    );
    const given = { properties: ["bodyValues"], fetchAllBodyValues: true, maxBodyValueBytes: 1 };
    const plan = planOfGet(given);
    const budget = new AnswerBudget(50_000);
    await expect(getEmails(account.session, [id], plan, { pace, budget })).rejects.toThrow(RequestTooLarge);
  });

  test("by what is told of parts and headers", async () => {
    const parts = `--b\r\nX: ${"y".repeat(100)}\r\n\r\n`.repeat(900);
    const id = await account.add(`Content-Type: multipart/mixed; boundary=b\r\n\r\n${parts}--b--\r\n`);
    const get = (charsMax: number, given: Parameters<typeof planOfGet>[0]) =>
      getEmails(account.session, [id], planOfGet(given), { pace, budget: new AnswerBudget(charsMax) });
    await expect(get(100_000, { properties: ["bodyStructure"] })).rejects.toThrow(RequestTooLarge);
    const given = { properties: ["bodyStructure"], bodyProperties: ["headers", "header:X", "header:X:all"] };
    await expect(get(300_000, given)).rejects.toThrow(RequestTooLarge);
    await expect(get(50_000, { properties: ["header:Content-Type"] })).resolves.toBeDefined();
    const lists = { properties: ["bodyStructure", "attachments", "textBody", "htmlBody"], bodyProperties: ["name"] };
    await expect(get(460_000, lists)).rejects.toThrow(RequestTooLarge);
    await expect(get(460_000, { ...lists, properties: ["bodyStructure"] })).resolves.toBeDefined();
    const long = await account.add(`X: ${"y".repeat(30_000)}\r\n\r\n`);
    const header = (charsMax: number): Promise<unknown> =>
      getEmails(account.session, [long], planOfGet({ properties: ["headers"] }), {
        pace,
        budget: new AnswerBudget(charsMax),
      });
    await expect(header(30_000)).rejects.toThrow(RequestTooLarge);
    await expect(header(31_000)).resolves.toBeDefined();
  });
});

describe("what the store no longer has", () => {
  const given = {
    properties: ["subject", "preview", "hasAttachment", "bodyStructure"],
    bodyProperties: ["partId", "size"],
  };

  test("an email whose history was taken back meanwhile is not found, and the others are", async () => {
    const ids = [
      await account.add("Subject: 1\r\n\r\n"),
      await account.add("Subject: 2\r\n\r\n"),
      await account.add("Subject: 3\r\n\r\n"),
    ];
    const { session } = account;
    const gone = (await session.findEmails([parseEmailId(ids[1]!)!], { pace }))[0]!.message.row;
    const without: EmailSession = {
      findEmails: (...of) => session.findEmails(...of),
      async readFullSummaries(messages) {
        if (messages.some(({ row }) => row === gone)) throw new EngineError("expunged", "gone");
        return session.readFullSummaries(messages);
      },
      readHeaders: (of) => session.readHeaders(of),
      openBody: (of) => session.openBody(of),
    };
    const answer = await getEmails(without, ids, planOfGet({ properties: ["subject"] }), { pace });
    expect(answer).toEqual({
      list: [
        { id: ids[0], subject: "1" },
        { id: ids[2], subject: "3" },
      ],
      notFound: [ids[1]],
    });
    const damaged = { ...without, readFullSummaries: () => Promise.reject(new EngineError("corrupt", "damaged")) };
    await expect(getEmails(damaged, ids, planOfGet(given), { pace })).rejects.toMatchObject({ code: "corrupt" });
  });

  test("a summary of the first format, of which no fuller one can be made, is told as far as it goes", async () => {
    const id = await account.add(MAIL);
    const full = await account.get(id, given);
    const { session } = account;
    const first: EmailSession = {
      findEmails: (...of) => session.findEmails(...of),
      async readFullSummaries(messages) {
        const summaries = await session.readSummaries(messages);
        return summaries.map((summary) => ({
          format: 1,
          envelope: summary.envelope,
          bodyStructure: summary.bodyStructure,
          offsets: summary.offsets,
          headerWhole: true,
          preview: "café two",
        }));
      },
      readHeaders: (of) => session.readHeaders(of),
      openBody: () => Promise.reject(new EngineError("corrupt", "damaged")),
    };
    const { list } = await getEmails(first, [id], planOfGet(given), { pace });
    const parts = ({ subParts, ...part }: Told): unknown[] => [part, ...((subParts ?? []) as Told[]).flatMap(parts)];
    expect({ ...list[0], bodyStructure: undefined }).toEqual({ ...full, bodyStructure: undefined });
    // Sizes are those of bodies as they lie.
    expect(parts(list[0]!.bodyStructure as Told).slice(2)).toEqual([
      { partId: "1.1", size: 11 },
      { partId: "1.2", size: 10 },
      { partId: "2", size: 4 },
      { partId: "3", size: 22 },
    ]);
  });
});

test("who leaves is answered no more", async () => {
  const id = await account.add(MAIL);
  const aborter = new AbortController();
  aborter.abort(new Error("left"));
  const getting = getEmails(account.session, [id], planOfGet({}), { pace, signal: aborter.signal });
  await expect(getting).rejects.toThrow("left");
});
