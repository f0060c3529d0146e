import { describe, expect, test } from "vitest";
import { HEADER_PROPERTIES_MAX, PROPERTIES_MAX } from "./limits.ts";
import { InvalidArguments } from "./problems.ts";
import { type PlanArguments, planOfGet, planOfParse } from "./properties.ts";

const refusal = (given: PlanArguments): string | undefined => {
  try {
    planOfGet(given);
    return undefined;
  } catch (error) {
    if (error instanceof InvalidArguments) return error.argument;
    throw error;
  }
};

test("without properties the default ones are asked for: RFC 8621 §4.2, §4.9", () => {
  for (const given of [{}, { properties: null, bodyProperties: null, maxBodyValueBytes: 0 }]) {
    const plan = planOfGet(given);
    expect([...plan.metadata]).toEqual([
      ...["id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt"],
    ]);
    const fields = ["messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo"];
    expect(plan.header.fields.map(({ key }) => key)).toEqual([...fields, "subject", "sentAt"]);
    expect([...plan.body]).toEqual([
      ...["hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments"],
    ]);
    const parts = ["partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location"];
    expect([...plan.part.properties]).toEqual(parts);
    expect(plan.values).toEqual({ text: false, html: false, all: false, bytesMax: 0 });
  }
  expect(planOfParse({}).metadata.size).toBe(0);
});

test("id is asked for always, and nothing else that was not", () => {
  const plan = planOfGet({ properties: [], bodyProperties: [] });
  expect([...plan.metadata]).toEqual(["id"]);
  expect(plan.header).toEqual({ fields: [], isWhole: false });
  expect(plan.body.size + plan.part.properties.size).toBe(0);
});

test("a property that is named twice is one", () => {
  expect(planOfGet({ properties: ["from", "from", "id"] }).header.fields).toHaveLength(1);
});

describe("header properties", () => {
  test("have a name in any case, a form and :all: RFC 8621 §4.1.3", () => {
    const keys = [
      "header:x-Foo",
      "header:SUBJECT:asText",
      "header:To:asGroupedAddresses:all",
      "header:A:all",
      "headers",
    ];
    const { header } = planOfGet({ properties: keys });
    expect(header.isWhole).toBe(true);
    expect(header.fields.map(({ key, field, form, isAll }) => [key, field, form, isAll])).toEqual([
      ["header:x-Foo", "x-foo", "Raw", false],
      ["header:SUBJECT:asText", "subject", "Text", false],
      ["header:To:asGroupedAddresses:all", "to", "GroupedAddresses", true],
      ["header:A:all", "a", "Raw", true],
    ]);
    const [field] = planOfGet({ bodyProperties: ["header:Content-Type:asText"] }).part.header.fields;
    expect(field).toMatchObject({ field: "content-type", form: "Text" });
  });

  test("names may be words of the grammar, and of JavaScript", () => {
    const names = ["all", "asText", "header", "__proto__", "constructor", "a{}b"];
    const { header } = planOfGet({ properties: names.map((name) => `header:${name}`) });
    expect(header.fields.map(({ name }) => name)).toEqual(names);
  });

  test.each([
    ...[
      "",
      "Header:X",
      "header:",
      "header::all",
      "header:a b",
      "header:é",
      "header:X:",
      "header:X:asFoo",
      "header:X:astext",
    ],
    ...["header:X:all:asText", "header:X:asText:asText", "header:X:all:all", "header:X:asRaw:ALL", "header:X\n"],
    ...["__proto__", "constructor", "toString", "subParts", "From", "ID", `header:${"x".repeat(256)}`],
  ])("%j is no property", (name) => {
    expect(refusal({ properties: [name] })).toBe("properties");
    if (name !== "subParts") expect(refusal({ bodyProperties: [name] })).toBe("bodyProperties");
  });

  test("properties of emails are none of parts, and the other way round", () => {
    for (const name of ["from", "bodyStructure", "id", "keywords"])
      expect(refusal({ bodyProperties: [name] })).toBe("bodyProperties");
    for (const name of ["partId", "type", "cid"]) expect(refusal({ properties: [name] })).toBe("properties");
  });
});

/** RFC 8621 §4.1.2, form by form. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  Text: ["Subject", "Comments", "Keywords", "List-Id", "X-Own", "Content-Type"],
  Addresses: [
    ...[
      "From",
      "Sender",
      "Reply-To",
      "To",
      "Cc",
      "Bcc",
      "Resent-From",
      "Resent-Sender",
      "Resent-Reply-To",
      "Resent-To",
    ],
    ...["Resent-Cc", "Resent-Bcc", "List-Id", "X-Own", "Content-Type"],
  ],
  MessageIds: ["Message-ID", "In-Reply-To", "References", "Resent-Message-ID", "List-Id", "X-Own", "Content-Type"],
  Date: ["Date", "Resent-Date", "List-Id", "X-Own", "Content-Type"],
  URLs: [
    ...["List-Help", "List-Unsubscribe", "List-Subscribe", "List-Post", "List-Owner", "List-Archive"],
    ...["List-Id", "X-Own", "Content-Type"],
  ],
};
const FIELDS = [...new Set([...Object.values(ALLOWED).flat(), "Return-Path", "Received"])];

test.each(FIELDS)("%s has the forms that RFC 8621 §4.1.2 allows, and no others", (name) => {
  for (const spelled of [name, name.toLowerCase(), name.toUpperCase()]) {
    expect(refusal({ properties: [`header:${spelled}`, `header:${spelled}:asRaw:all`] })).toBeUndefined();
    for (const form of ["Text", "Addresses", "GroupedAddresses", "MessageIds", "Date", "URLs"]) {
      const fields = ALLOWED[form === "GroupedAddresses" ? "Addresses" : form]!;
      const wanted = fields.includes(name) ? undefined : "properties";
      expect(refusal({ properties: [`header:${spelled}:as${form}`] }), form).toBe(wanted);
    }
  }
});

test("header properties are bounded, in each list", () => {
  const names = Array.from({ length: HEADER_PROPERTIES_MAX }, (_, n) => `header:x${n}`);
  for (const argument of ["properties", "bodyProperties"]) {
    expect(refusal({ [argument]: [...names, "headers"] })).toBeUndefined();
    expect(refusal({ [argument]: [...names, "header:y"] })).toBe(argument);
  }
  expect(refusal({ properties: [...names, "from", "to"] })).toBeUndefined();
  expect(refusal({ properties: Array(PROPERTIES_MAX).fill("id") })).toBeUndefined();
  expect(refusal({ properties: Array(PROPERTIES_MAX + 1).fill("id") })).toBe("properties");
});

test("arguments of a wrong type are refused by their names", () => {
  const wrong = [1, "x", {}, [1], [null], [[]], true, Number.NaN];
  for (const argument of ["properties", "bodyProperties"])
    for (const value of wrong) expect(refusal({ [argument]: value }), JSON.stringify(value)).toBe(argument);
  for (const argument of ["fetchTextBodyValues", "fetchHTMLBodyValues", "fetchAllBodyValues"]) {
    expect(refusal({ [argument]: true })).toBeUndefined();
    for (const value of [0, 1, "true", {}, []]) expect(refusal({ [argument]: value })).toBe(argument);
  }
  for (const value of [-1, 0.5, 2 ** 53, "1", true, {}, [], Number.NaN, Number.POSITIVE_INFINITY])
    expect(refusal({ maxBodyValueBytes: value })).toBe("maxBodyValueBytes");
  const { values } = planOfGet({ fetchAllBodyValues: true, maxBodyValueBytes: 2 ** 53 - 1 });
  expect(values).toEqual({ text: false, html: false, all: true, bytesMax: 2 ** 53 - 1 });
});
