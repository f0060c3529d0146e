import { describe, expect, test } from "vitest";
import { ARCHIVE, blobsOf, composed, create, INBOX, openAccount, pieces, type Told } from "./email-kit.ts";
import { parseJmapDate } from "./new-fields.ts";

const mailboxIds = { [INBOX]: true };
const textOf = (octets: unknown): string => {
  expect(octets).toBeInstanceOf(Uint8Array);
  return Array.from(octets as Uint8Array, (octet) => String.fromCharCode(octet)).join("");
};
const BODY = { textBody: [{ partId: "1", type: "text/plain" }], bodyValues: { 1: { value: "hello" } } };
const blobs = blobsOf({
  png: Uint8Array.of(1, 2, 3),
  mail: "Subject: inner\r\n\r\ntext\r\n",
  odd: "no line end\n",
  html: "<p>é</p>",
});
const written = async (given: object): Promise<string> => textOf(await composed({ mailboxIds, ...given }, blobs));
const wrong = async (given: object): Promise<unknown> => {
  const error = await composed({ mailboxIds, ...given }, blobs);
  expect(error).not.toBeInstanceOf(Uint8Array);
  const { type, properties } = error as { type: string; properties?: readonly string[] };
  return type === "invalidProperties" ? [...(properties ?? [])].sort() : type;
};

test("an email of nothing is one, with a Date and a Message-ID: RFC 8621 §4.6", async () => {
  const text = await written({});
  expect(text).toMatch(
    /^Date: Tue, 2 Jan 2024 03:04:05 \+0000\r\nMessage-ID: <[0-9a-f]{32}@x\.test>\r\nMIME-Version: 1\.0\r\n/,
  );
  const own = { messageId: ["a@b"], sentAt: "2020-02-29T01:02:03+05:30" };
  expect(await written(own)).toMatch(/^Message-ID: <a@b>\r\nDate: Sat, 29 Feb 2020 01:02:03 \+0530\r\nMIME-Version/);
});

test("an email as clients write it", async () => {
  const text = await written({
    from: [{ name: "Joe", email: "joe@x.test" }],
    to: [{ email: "a@x.test" }, { name: null, email: "b@x.test" }],
    cc: null,
    subject: "Grüße",
    "header:X-Own:asText": "yes",
    "header:x-two:all": [" 1", " 2"],
    ...BODY,
    htmlBody: [{ partId: "2", type: "text/html" }],
    bodyValues: { 1: { value: "hello", isTruncated: false }, 2: { value: "<p>é", isEncodingProblem: false } },
    attachments: [
      { blobId: "png", type: "image/png", name: "é.png", size: 99 },
      { blobId: "png", type: "image/png", cid: "i@x", disposition: "inline" },
      { blobId: "mail", type: "message/rfc822" },
    ],
  });
  expect(text).toContain("From: Joe <joe@x.test>\r\nTo: a@x.test, b@x.test\r\n");
  expect(text).toContain("X-Own: yes\r\nx-two: 1\r\nx-two: 2\r\n");
  expect(text).not.toMatch(/^Cc:/m);
  expect(text.match(/^Content-Type: [^;\r]*/gm)).toEqual([
    "Content-Type: multipart/mixed",
    "Content-Type: multipart/alternative",
    "Content-Type: text/plain",
    "Content-Type: multipart/related",
    "Content-Type: text/html",
    "Content-Type: image/png",
    "Content-Type: image/png",
    "Content-Type: message/rfc822",
  ]);
  expect(text.match(/^Content-Disposition: [^;\r]*/gm)).toEqual([
    "Content-Disposition: inline",
    "Content-Disposition: attachment",
    "Content-Disposition: attachment",
  ]);
  expect(text).toContain("\r\n\r\nSubject: inner\r\n\r\ntext\r\n\r\n--");
});

describe("header fields: RFC 8621 §4.6", () => {
  test.each([
    ["`headers`", { headers: [] }, ["headers"]],
    ["two properties for one field", { from: [], "header:From": "x" }, ["header:From"]],
    ["two in one case or another", { "header:X:asText": "a", "header:x:all": [] }, ["header:x:all"]],
    ["a form that the field may not have", { "header:From:asText": "x" }, ["header:From:asText"]],
    ["a field of content", { "header:Content-Type": "text/plain" }, ["header:Content-Type"]],
    ["any field of content", { "header:CONTENT-x:asText": "x" }, ["header:CONTENT-x:asText"]],
    [
      "a name that none may have",
      { "header:X Y": "a", "header:X\r\nBcc": "a", "header:": "" },
      ["header:", "header:X\r\nBcc", "header:X Y"],
    ],
    ["a name that begins as a delimiter", { "header:--b": "a" }, ["header:--b"]],
    [
      "what is the server's",
      { id: "m1", blobId: null, size: 1, preview: "", hasAttachment: false, threadId: "t" },
      ["blobId", "hasAttachment", "id", "preview", "size", "threadId"],
    ],
    ["what nobody knows", { foo: 1, __proto__x: 1, constructor: 1 }, ["__proto__x", "constructor", "foo"]],
    ["two of a field that stands once", { "header:Subject:asText:all": ["a", "b"] }, ["header:Subject:asText:all"]],
    [
      "a value of another type",
      { subject: 1, from: "a@b", messageId: "x", sentAt: 0, "header:X": [], "header:Y:all": "a" },
      ["from", "header:X", "header:Y:all", "messageId", "sentAt", "subject"],
    ],
    [
      "addresses that are none",
      { to: [{ name: "a" }], cc: [null], bcc: [{ email: 1 }], from: [{ email: "a@b", name: 1 }] },
      ["bcc", "cc", "from", "to"],
    ],
    ["groups that are none", { "header:To:asGroupedAddresses": [{ name: "a" }] }, ["header:To:asGroupedAddresses"]],
    [
      "ids that can't be",
      { messageId: ["a b"], references: ["<a@b>"], inReplyTo: [""] },
      ["inReplyTo", "messageId", "references"],
    ],
    ["a day that is none", { sentAt: "2023-02-29T00:00:00Z" }, ["sentAt"]],
    ["a date that is none", { sentAt: "2023-02-28 00:00:00Z" }, ["sentAt"]],
    ["a zone that is none", { sentAt: "2023-02-28T00:00:00+24:00" }, ["sentAt"]],
    ["a year that no field has", { sentAt: "1899-02-28T00:00:00Z" }, ["sentAt"]],
    ["null in a list", { "header:X:asText:all": ["a", null] }, ["header:X:asText:all"]],
  ])("%s is refused", async (_, given, properties) => {
    expect(await wrong({ ...given, ...BODY })).toEqual(properties);
  });

  test("a name of JSON that is none of objects is refused, and does nothing", async () => {
    const given = JSON.parse(`{"mailboxIds": {"${INBOX}": true}, "__proto__": {"subject": "x"}}`);
    expect(await composed(given)).toEqual({ type: "invalidProperties", properties: ["__proto__"] });
  });

  test.each([
    ["header:foo:all", ["cat", " dog", "\tmouse"], [" cat", " dog", "\tmouse"]],
    ["header:Cc:asAddresses", [{ name: "Foo bar", email: "f@x.test" }], [' "Foo bar" <f@x.test>']],
    [
      "header:Cc:asAddresses",
      [{ name: "Foo", email: "f@x.test" }, { email: "g@x.test" }],
      [" Foo <f@x.test>, g@x.test"],
    ],
    ["header:Resent-Message-ID:asMessageIds", ["foo@x.test"], [" <foo@x.test>"]],
    ["header:X-Foo:asText", "howdy", [" howdy"]],
    ["header:Resent-Date:asDate", "1969-02-14T12:02:00Z", [" Fri, 14 Feb 1969 12:02:00 +0000"]],
    [
      "header:List-Help:asURLs",
      ["http://example.net", `http://example.org/${"a".repeat(35)}`],
      [` <http://example.net>,\r\n <http://example.org/${"a".repeat(35)}>`],
    ],
  ])("%s is written as programs expect it: %j", async (key, value, raw) => {
    const account = await openAccount();
    const { id } = await create(account, { mailboxIds, [key]: value, ...BODY });
    const wanted = `header:${key.split(":")[1]}:asRaw:all`;
    expect((await account.get(id as string, { properties: [wanted] }))[wanted]).toEqual(raw);
  });

  test("null is as good as nothing, for other properties of the same field too", async () => {
    const text = await written({ subject: null, "header:Subject": " raw", from: [], to: null, "header:X": null });
    expect(text).toMatch(/^Subject: raw\r\nDate/);
  });

  test("no string becomes another field or part", async () => {
    const evil = "x\r\nBcc: victim@x.test\r\n\r\nbody\0";
    const text = await written({
      subject: evil,
      from: [{ name: evil, email: "a@x.test" }],
      to: [{ name: evil, email: evil }],
      "header:X": evil,
      "header:Y:asText": evil,
      "header:Z:asURLs": [evil],
      "header:W:asGroupedAddresses": [{ name: evil, addresses: [{ email: evil }] }],
      attachments: [{ blobId: "png", type: "image/png", name: evil, location: evil }],
    });
    expect(text).not.toMatch(/^Bcc|\0|\r(?!\n)|(?<!\r)\n/m);
  });

  test("the version of MIME is the writer's to tell", async () => {
    const text = await written({ "header:MIME-Version": "7.0", ...BODY });
    expect(text.match(/^mime-version.*$/gim)).toEqual(["MIME-Version: 1.0"]);
  });

  test("addresses that are none stand in drafts, and those of other letters need SMTPUTF8", async () => {
    expect(await written({ to: [{ email: "joe" }, { name: "A", email: "" }] })).toContain('To: <"joe">, A <>\r\n');
    const utf8 = await composed({ mailboxIds, to: [{ email: "用户@x.test" }, { email: "joe" }] });
    expect(new TextDecoder().decode(utf8 as Uint8Array)).toContain('To: 用户@x.test, <"joe">\r\n');
  });
});

describe("bodies: RFC 8621 §4.6", () => {
  const part = { partId: "1", type: "text/plain" };
  const one = { bodyValues: { 1: { value: "x" } } };
  test.each([
    [
      "a structure and lists",
      { bodyStructure: part, textBody: [part], htmlBody: [], attachments: [] },
      ["attachments", "htmlBody", "textBody"],
    ],
    [
      "a structure with a field that the email has",
      { subject: "a", bodyStructure: { ...part, "header:SUBJECT:asText": "b" } },
      ["bodyStructure/header:SUBJECT:asText"],
    ],
    [
      "a text that is one with such a field",
      { subject: "a", textBody: [{ ...part, "header:Subject": "b" }] },
      ["textBody/0/header:Subject"],
    ],
    ["two texts", { textBody: [part, part] }, ["textBody"]],
    ["no text", { textBody: [] }, ["textBody"]],
    ["a text of another type", { textBody: [{ ...part, type: "text/html" }] }, ["textBody/0/type"]],
    ["an HTML of another type", { htmlBody: [part] }, ["htmlBody/0/type"]],
    ["two HTMLs", { htmlBody: [{ ...part, type: "text/html" }, part] }, ["htmlBody"]],
    [
      "lists that are none",
      { textBody: part, htmlBody: "x", attachments: {} },
      ["attachments", "htmlBody", "textBody"],
    ],
    ["a part that is none", { bodyStructure: [part] }, ["bodyStructure"]],
    ["partId and blobId", { textBody: [{ ...part, blobId: "png" }] }, ["textBody/0/blobId", "textBody/0/partId"]],
    ["neither", { textBody: [{ type: "text/plain" }] }, ["textBody/0/partId"]],
    ["a partId without a value", { textBody: [{ ...part, partId: "2" }] }, ["textBody/0/partId"]],
    ["a partId that all objects have", { textBody: [{ ...part, partId: "constructor" }] }, ["textBody/0/partId"]],
    ["a partId that is none", { textBody: [{ ...part, partId: 1 }] }, ["textBody/0/partId"]],
    ["a blobId that is none", { textBody: [{ type: "text/plain", blobId: "a/b" }] }, ["textBody/0/blobId"]],
    ["a charset with a partId", { textBody: [{ ...part, charset: "utf-8" }] }, ["textBody/0/charset"]],
    ["a size with a partId", { textBody: [{ ...part, size: 1 }] }, ["textBody/0/size"]],
    ["a size that is none", { textBody: [{ type: "text/plain", blobId: "html", size: -1 }] }, ["textBody/0/size"]],
    [
      "a transfer encoding",
      { textBody: [{ ...part, "header:content-transfer-encoding": "8bit" }] },
      ["textBody/0/header:content-transfer-encoding"],
    ],
    ["headers of a part", { textBody: [{ ...part, headers: [] }] }, ["textBody/0/headers"]],
    [
      "two properties for one field of a part",
      { textBody: [{ ...part, "header:Content-Type": "text/plain" }] },
      ["textBody/0/header:Content-Type", "textBody/0/type"],
    ],
    [
      "two in the other order",
      { textBody: [{ "header:Content-Id": "<a@b>", partId: "1", cid: "a@b" }] },
      ["textBody/0/cid", "textBody/0/header:Content-Id"],
    ],
    [
      "two header properties for one field",
      { textBody: [{ ...part, "header:X": "a", "header:x:asText": "b" }] },
      ["textBody/0/header:x:asText"],
    ],
    [
      "properties of an email in a part",
      { textBody: [{ ...part, from: [], subject: "x" }] },
      ["textBody/0/from", "textBody/0/subject"],
    ],
    [
      "a form that is none of a part's field",
      { textBody: [{ ...part, "header:From:asText": "a" }] },
      ["textBody/0/header:From:asText"],
    ],
    [
      "a multipart of nothing",
      { bodyStructure: { type: "multipart/mixed", subParts: [] } },
      ["bodyStructure/subParts"],
    ],
    ["a multipart without subParts", { bodyStructure: { type: "multipart/mixed" } }, ["bodyStructure/subParts"]],
    [
      "a multipart with content",
      { bodyStructure: { type: "multipart/mixed", subParts: [part], partId: "1" } },
      ["bodyStructure/partId"],
    ],
    ["subParts of another part", { bodyStructure: { ...part, subParts: [part] } }, ["bodyStructure/subParts"]],
    [
      "a mistake deep within",
      { bodyStructure: { subParts: [part, { type: "multipart/x", subParts: [{ ...part, type: "x" }] }] } },
      ["bodyStructure/subParts/1/subParts/0/type"],
    ],
    [
      "types and tokens that are none",
      {
        attachments: [
          {
            blobId: "png",
            type: "image",
            disposition: "a b",
            cid: "a b",
            language: ["e n"],
            charset: "a b",
            name: 1,
            location: 1,
          },
        ],
      },
      ["charset", "cid", "disposition", "language", "location", "name", "type"].map((name) => `attachments/0/${name}`),
    ],
    ["a name that is too long", { attachments: [{ blobId: "png", name: "x".repeat(3000) }] }, ["attachments/0/name"]],
    [
      "values that are none",
      {
        bodyValues: {
          1: { value: 1 },
          "a/b": "x",
          c: { value: "x", isTruncated: true },
          d: { value: "x", isEncodingProblem: true },
        },
        textBody: [part],
      },
      ["bodyValues/1", "bodyValues/a~1b", "bodyValues/c/isTruncated", "bodyValues/d/isEncodingProblem"],
    ],
    ["values that are no object", { bodyValues: [], textBody: undefined }, ["bodyValues"]],
  ])("%s is refused", async (_, given, properties) => {
    expect(await wrong({ ...one, ...given })).toEqual(properties);
  });

  test.each([
    ["Content-Type", "image"],
    ["Content-Disposition", "a b"],
    ["Content-ID", "<a b>"],
    ["Content-Language", "e n"],
    ["content-location", "x".repeat(1000)],
  ])("a field %s that can't be is refused", async (name, value) => {
    for (const form of ["", ":asText"])
      expect(await wrong({ ...one, attachments: [{ blobId: "png", [`header:${name}${form}`]: value }] })).toEqual([
        `attachments/0/header:${name}${form}`,
      ]);
    expect(await wrong({ attachments: [{ blobId: "png", [`header:${name}:asURLs`]: ["x"] }] })).toHaveLength(1);
    expect(await wrong({ attachments: [{ blobId: "png", [`header:${name}:all`]: [" a/b", " a/b"] }] })).toHaveLength(1);
  });

  test("parts that are too deep are refused", async () => {
    let bodyStructure: object = part;
    for (let depth = 0; depth < 20_000; depth++) bodyStructure = { type: "multipart/mixed", subParts: [bodyStructure] };
    expect(await wrong({ ...one, bodyStructure })).toEqual([`bodyStructure${"/subParts/0".repeat(100)}`]);
  });

  test("what a value says of itself may be null", async () => {
    const bodyValues = { 1: { value: "x", isTruncated: null, isEncodingProblem: null } };
    expect(await written({ bodyValues, textBody: [part] })).toContain("\r\n\r\nx");
  });

  test("too many parts are refused, in a list and in a tree", async () => {
    const many = Array.from({ length: 2000 }, () => part);
    expect(await wrong({ ...one, attachments: many })).toContain("attachments/990");
    expect(await wrong({ ...one, bodyStructure: { type: "multipart/mixed", subParts: many } })).toEqual([
      "bodyStructure/subParts",
    ]);
    const wide = { type: "multipart/mixed", subParts: many.slice(0, 40) };
    expect(await wrong({ ...one, bodyStructure: { subParts: Array(40).fill(wide) } })).toContain(
      "bodyStructure/subParts/39",
    );
  });

  test("what is small and comes to much is refused", async () => {
    const value = "x".repeat(100_000);
    const attachments = Array.from({ length: 200 }, () => ({ partId: "1", type: "text/plain" }));
    expect(await wrong({ attachments, bodyValues: { 1: { value } } })).toBe("tooLarge");
    const large = { open: async () => ({ size: 2 ** 27, read: () => pieces(new Uint8Array(0)) }) };
    const twice = { mailboxIds, attachments: [{ blobId: "a" }, { blobId: "a" }] };
    expect(await composed(twice, large)).toEqual({ type: "tooLarge" });
    const names = [...attachments, ...attachments].map((part) => ({ ...part, name: "é".repeat(1000) }));
    expect(await wrong({ attachments: names, bodyValues: { 1: { value: "x" } } })).toHaveLength(100);
  });

  test.each([
    ["properties", Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`header:x${n}`, "a"])), []],
    ["octets of one field", { subject: "x".repeat(300_000) }, ["subject"]],
    ["octets of several", { subject: "x".repeat(150_000), "header:X": "y".repeat(150_000) }, ["header:X"]],
    ["addresses", { to: Array.from({ length: 5001 }, () => ({ email: "a@b" })) }, ["to"]],
    [
      "octets of addresses",
      { to: Array.from({ length: 4000 }, () => ({ name: "n".repeat(80), email: "a@b" })) },
      ["to"],
    ],
    ["octets of ids", { references: Array.from({ length: 4000 }, () => `${"i".repeat(80)}@x`) }, ["references"]],
    [
      "groups",
      { "header:To:asGroupedAddresses": [{ name: "n".repeat(300_000), addresses: [] }] },
      ["header:To:asGroupedAddresses"],
    ],
    ["fields of one name", { "header:X:all": Array.from({ length: 1001 }, () => "a") }, ["header:X:all"]],
    [
      "properties of a part",
      { attachments: [Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`x${n}`, 1]))] },
      ["attachments/0"],
    ],
    [
      "values",
      { bodyValues: Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [n, { value: "" }])) },
      ["bodyValues"],
    ],
  ])("too many %s are refused", async (_, given, properties) => {
    expect(await wrong(given)).toEqual(properties);
  });

  test("blobs that are missing are told, each once", async () => {
    const attachments = [{ blobId: "x" }, { blobId: "png" }, { blobId: "y" }, { blobId: "x" }];
    const given = { mailboxIds, attachments };
    expect(await composed(given, blobs)).toEqual({ type: "blobNotFound", notFound: ["x", "y"] });
  });

  test("the outermost part's header fields are the message's", async () => {
    const text = await written({
      ...one,
      subject: "s",
      bodyStructure: { ...part, "header:From:asAddresses": [{ email: "a@b.test" }], "header:X:asText:all": ["1", "2"] },
    });
    expect(text).toMatch(/^Subject: s\r\nFrom: a@b\.test\r\nX: 1\r\nX: 2\r\nDate: /);
    expect(text.match(/^(?:From|X): /gm)).toHaveLength(3);
    const inner = await written({
      ...one,
      subject: "s",
      bodyStructure: { subParts: [{ ...part, "header:Subject": " t", "header:X": " 1" }] },
    });
    expect(inner.match(/^(?:Subject|X): .*$/gm)).toEqual(["Subject: s", "Subject: t", "X: 1"]);
  });

  test("a type's parameters come from its header field", async () => {
    const bodyStructure = {
      partId: "1",
      "header:content-type:asText": 'text/calendar; method=REQUEST; charset=x; boundary=b; name="a.ics"',
      "header:Content-Disposition": " attachment;\r\n filename=b.ics",
      "header:Content-Description:asText": "dé",
    };
    const text = await written({ ...one, bodyStructure });
    expect(text).toContain("Content-Type: text/calendar; method=REQUEST; charset=us-ascii\r\n");
    expect(text).toContain("Content-Disposition: attachment; filename=b.ics\r\n");
    expect(text).toContain("Content-Description: =?utf-8?B?ZMOp?=\r\n");
    expect(text).not.toContain("boundary");
  });

  test("names that all objects have are names of fields, parameters and values like others", async () => {
    const bodyStructure = {
      partId: "__proto__",
      type: "text/plain",
      "header:constructor": " a",
      "header:__proto__": " b",
      "header:Content-constructor": " c",
    };
    const bodyValues = JSON.parse('{"__proto__": {"value": "text"}, "toString": {"value": "x"}}');
    const text = await written({ bodyValues, bodyStructure, "header:hasOwnProperty": " d" });
    expect(text).toMatch(/^hasOwnProperty: d\r\nconstructor: a\r\n__proto__: b\r\nDate/);
    expect(text).toContain("Content-constructor: c\r\n\r\ntext");
    const attachments = [{ blobId: "png", "header:Content-Type": " image/png; __proto__=1; constructor=2" }];
    expect(await written({ attachments })).toMatch(/image\/png; __proto__=1; constructor=2\r\n/);
  });

  test("a name that a field says in RFC 2231's way is read", async () => {
    const attachments = [{ blobId: "png", "header:Content-Disposition": " inline; filename*=utf-8''%C3%A9" }];
    expect(await written({ attachments })).toContain("inline; filename*=utf-8''%C3%A9\r\n");
  });

  test("a text is a part of its own type, whatever that is", async () => {
    const of = (type: string) => written({ ...one, bodyStructure: { partId: "1", type } });
    expect(await of("application/json")).toContain("Content-Type: application/json\r\n");
    expect(await of("TEXT/CSV")).toContain("Content-Type: text/csv; charset=us-ascii\r\n");
    expect(await of("message/delivery-status")).toContain("Content-Type: message/delivery-status\r\n");
    expect(await written({ bodyStructure: { blobId: "html", type: "text/html", charset: "utf-8" } })).toMatch(
      /<p>=C3=A9<\/p>/,
    );
  });

  test("a text that is no text/* is UTF-8, and says nothing else of itself", async () => {
    const bodyStructure = { partId: "1", "header:Content-Type": " application/xml; charset=iso-8859-1; x=y" };
    expect(await written({ ...one, bodyStructure })).toContain("Content-Type: application/xml; x=y\r\n");
    const file = { blobId: "png", "header:Content-Type": " application/xml; charset=iso-8859-1" };
    expect(await written({ bodyStructure: file })).toContain("Content-Type: application/xml; charset=iso-8859-1\r\n");
  });

  test("the version of MIME in a part's fields is passed over", async () => {
    const text = await written({ ...one, bodyStructure: { subParts: [{ ...part, "header:MIME-Version": " 1.0" }] } });
    expect(text.match(/^mime-version/gim)).toHaveLength(1);
  });

  test("what has a Content-ID and is an attachment all the same is not shown in the HTML", async () => {
    const text = await written({
      bodyValues: { 1: { value: "<p>" } },
      htmlBody: [{ partId: "1", type: "text/html" }],
      attachments: [{ blobId: "png", type: "image/png", cid: "a@b", disposition: "attachment" }],
    });
    expect(text.match(/multipart\/\w+/g)).toEqual(["multipart/mixed"]);
  });

  test("text of ASCII alone is labelled us-ascii", async () => {
    expect(await written(BODY)).toContain("Content-Type: text/plain; charset=us-ascii\r\n");
    expect(await written({ ...BODY, bodyValues: { 1: { value: "é" } } })).toContain(
      "Content-Type: text/plain; charset=utf-8\r\n",
    );
  });

  test("a message that can't travel as it is is a file", async () => {
    expect(await written({ attachments: [{ blobId: "odd", type: "message/rfc822" }] })).toContain(
      "application/octet-stream",
    );
  });
});

describe("where it goes: RFC 8621 §4.1.1, §4.6", () => {
  test.each([
    ["no mailboxes", { mailboxIds: {} }, ["mailboxIds"]],
    ["null", { mailboxIds: null }, ["mailboxIds"]],
    ["a list", { mailboxIds: [INBOX] }, ["mailboxIds"]],
    ["one that is not there", { mailboxIds: { [INBOX]: true, p1: true } }, ["mailboxIds"]],
    ["one that is false", { mailboxIds: { [INBOX]: false } }, ["mailboxIds"]],
    ["keywords that are none", { keywords: { "a b": true } }, ["keywords"]],
    ["a keyword of signs that none has", { keywords: { "a]": true } }, ["keywords"]],
    ["a flag of IMAP", { keywords: { "\\Seen": true } }, ["keywords"]],
    ["a keyword that is empty", { keywords: { "": true } }, ["keywords"]],
    ["a keyword that is too long", { keywords: { ["x".repeat(256)]: true } }, ["keywords"]],
    ["a keyword that no client sets", { keywords: { $Recent: true } }, ["keywords"]],
    ["a keyword that is false", { keywords: { a: false } }, ["keywords"]],
    ["keywords in a list", { keywords: ["a"] }, ["keywords"]],
    ["a date with a zone", { receivedAt: "2020-01-01T00:00:00+00:00" }, ["receivedAt"]],
    ["a date that is none", { receivedAt: "2020-13-01T00:00:00Z" }, ["receivedAt"]],
    ["a date before there were any", { receivedAt: "0001-01-01T00:00:00Z" }, ["receivedAt"]],
    ["a date of another type", { receivedAt: 0 }, ["receivedAt"]],
  ])("%s is refused", async (_, given, properties) => {
    expect(await wrong({ ...BODY, ...given })).toEqual(properties);
  });

  test("too many keywords and mailboxes have errors of their own", async () => {
    const many = (count: number): object =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, true]));
    expect(await wrong({ keywords: many(101) })).toBe("tooManyKeywords");
    expect(await wrong({ mailboxIds: many(1001) })).toBe("tooManyMailboxes");
    expect(await written({ keywords: many(100) })).toBeTruthy();
  });

  test("what is no object is no email", async () => {
    for (const given of [null, [], "x", 1, true, undefined])
      expect(await composed(given)).toEqual({ type: "invalidProperties", properties: [] });
  });

  test("an email is created with its keywords, in its mailboxes, at its time", async () => {
    const account = await openAccount();
    const created = await create(account, {
      mailboxIds: { [INBOX]: true, [ARCHIVE]: true },
      keywords: { $Draft: true, $seen: true, $FORWARDED: true, x: true, constructor: true, ["y".repeat(255)]: true },
      receivedAt: "2020-02-03T04:05:06Z",
      subject: "a",
      ...BODY,
    });
    const told = await account.get(created.id as string, {
      properties: ["mailboxIds", "keywords", "receivedAt", "subject", "blobId", "threadId", "size", "bodyValues"],
      fetchAllBodyValues: true,
    });
    expect(told).toEqual({
      ...created,
      mailboxIds: { [INBOX]: true, [ARCHIVE]: true },
      keywords: { $draft: true, $seen: true, $forwarded: true, x: true, constructor: true, ["y".repeat(255)]: true },
      receivedAt: "2020-02-03T04:05:06Z",
      subject: "a",
      bodyValues: { 1: { value: "hello", isEncodingProblem: false, isTruncated: false } },
    });
    const view = account.session.openView(account.session.getMailbox("Archive").id, { readOnly: true });
    const { state, row } = view.message(0);
    expect([...state.flagNames(row)].sort()).toEqual([
      "$forwarded",
      "\\Draft",
      "\\Seen",
      "constructor",
      "x",
      "y".repeat(255),
    ]);
  });
});

test("a blob is read as it is sent, and its octets come back", async () => {
  const account = await openAccount();
  const octets = Uint8Array.from({ length: 300_000 }, (_, at) => (at * 7) & 255);
  const created = await create(
    account,
    { mailboxIds, ...BODY, attachments: [{ blobId: "x", name: "a" }] },
    blobsOf({ x: octets }),
  );
  const told = await account.get(created.id as string, { properties: ["attachments"] });
  expect((told.attachments as Told[])[0]).toMatchObject({
    size: 300_000,
    name: "a",
    type: "application/octet-stream",
    disposition: "attachment",
  });
});

test.each([
  ["2020-02-29T01:02:03Z", 1_582_938_123_000, 0],
  ["2020-02-29T01:02:03.5Z", 1_582_938_123_500, 0],
  ["2020-02-29T01:02:03.123456789Z", 1_582_938_123_123, 0],
  ["2020-02-29T01:02:03+05:30", 1_582_918_323_000, 330],
  ["2020-02-29T01:02:03-05:30", 1_582_957_923_000, -330],
])("the date %s: RFC 8620 §1.4", (text, timeMs, zoneMinutes) => {
  expect(parseJmapDate(text)).toEqual({ timeMs, zoneMinutes });
  expect(parseJmapDate(text, true)).toEqual(zoneMinutes === 0 ? { timeMs, zoneMinutes } : undefined);
});

test.each([
  ...["2020-02-30T00:00:00Z", "2020-02-29t00:00:00z", "2020-02-29T24:00:00Z", "2020-02-29T00:00:60Z", "2020-02-29"],
  ...["2020-02-29T00:00:00", "2020-02-29T00:00:00+24:00", "2020-02-29T00:00:00+00:60", "2020-02-29T00:00Z", "now", ""],
  ...["+2020-02-29T00:00:00Z", " 2020-02-29T00:00:00Z", "2020-02-29T00:00:00.Z", "2020-02-29T00:00:00Z\n"],
])("%j is no date", (text) => {
  expect(parseJmapDate(text)).toBeUndefined();
});
