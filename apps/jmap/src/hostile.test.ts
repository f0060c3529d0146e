import { stride } from "@restante/engine/testing";
import { beforeAll, expect, test } from "vitest";
import { parseIJson } from "./core/i-json.ts";
import { NO_PACE } from "./core/request.ts";
import { type Json, openClient, type TestClient } from "./jmap-kit.ts";
import { METHODS } from "./methods.ts";
import { PROPERTIES } from "./objects.ts";

/** Every argument of every method, and every property of every object, with every kind of value. Out of the tables. */
let client: TestClient;
let base: Readonly<Record<string, unknown>>;
let inbox: string;
let email: string;
let blobId: string;

const nested = (open: string, close: string, levels: number): string => open.repeat(levels) + close.repeat(levels);
/** As they stand in a request. */
const TEXTS: readonly string[] = [
  ...["null", "true", "false", "0", "-0", "-1", "1", "1.5", "9007199254740993", "-9007199254740993", "1e308"],
  ...['""', '"x"', '"#x"', '"#"', '"a\\u0000b"', '"\\u202e\\r\\nBcc: x"', '"m0"', '"2026-02-30T00:00:00Z"'],
  ...["[]", "[null]", "[0]", "[true]", '["x"]', '["x","x"]', "[[]]", "[{}]", '[{"x":null}]'],
  ...["{}", '{"x":null}', '{"x":true}', '{"x":1}', '{"x":"x"}', '{"x":[]}', '{"x":{}}', '{"":""}', '{"#x":{}}'],
  ...['{"__proto__":{"x":1}}', '{"constructor":{}}', '{"toString":true}', '{"hasOwnProperty":"x"}', '{"then":1}'],
  ...['{"operator":"AND"}', '{"operator":"x","conditions":[]}', '{"operator":"NOT","conditions":[null]}'],
  nested("[", "]", 100),
  nested('{"x":', "}", 100).replace('{"x":}', "{}"),
  `${'{"operator":"OR","conditions":['.repeat(50)}${"]}".repeat(50)}`,
  JSON.stringify("x".repeat(100_000)),
  JSON.stringify(Array(5000).fill("x")),
  JSON.stringify(Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`x${at}`, {}]))),
];
const values: { readonly text: string; readonly value: unknown }[] = [];

/** Errors that a method may answer with: RFC 8620 §3.6.2, §5; RFC 8621. */
const METHOD_ERRORS =
  /^(?:invalidArguments|requestTooLarge|accountNotFound|fromAccountNotFound|stateMismatch|anchorNotFound|unsupportedSort|unsupportedFilter|cannotCalculateChanges|tooManyChanges|forbidden|unknownDataType)$/;
/** Why an object was not done: RFC 8620 §5.3, RFC 8621 §2.5, §4.6, §6.3, §7.5, RFC 9404 §4.1, RFC 9007 §2.1. */
const SET_ERRORS =
  /^(?:invalidProperties|invalidPatch|notFound|willDestroy|forbidden|singleton|alreadyExists|tooLarge|blobNotFound|tooManyKeywords|tooManyMailboxes|invalidEmail|mailboxHasChild|mailboxHasEmail|forbiddenFrom|forbiddenMailFrom|noRecipients|invalidRecipients|tooManyRecipients|forbiddenToSend|cannotUnsend|mdnAlreadySent)$/;

beforeAll(async () => {
  client = await openClient();
  inbox = await client.mailbox("inbox");
  email = await client.append(1);
  const { state } = await client.call("Email/get", { ids: [] });
  const created = await client.call("Blob/upload", {
    create: { a: { data: [{ "data:asText": "Subject: x\r\n\r\nx" }] } },
  });
  blobId = created.created.a.id;
  const none = { ids: [], blobIds: [], emailIds: [], create: {}, emails: {}, typeNames: ["Email"] };
  base = { ...none, sinceState: state, sinceQueryState: state, fromAccountId: "a0", identityId: "i0", send: {} };
  const encoder = new TextEncoder();
  const tried = TEXTS.filter((_, at) => at % stride(3) === 0);
  for (const text of tried) values.push({ text, value: await parseIJson(encoder.encode(text), NO_PACE) });
});

type Kind = "null" | "boolean" | "number" | "string" | "list" | "object";

function kindOf(value: unknown): Kind {
  if (value === null) return "null";
  return Array.isArray(value) ? "list" : (typeof value as Kind);
}

/** True if the value is of the type, by RFC 8620 §1 and not by the code of the tables. */
function isOf(type: string, value: unknown): boolean {
  const list = /^(.*)\[\]$/.exec(type)?.[1];
  if (list !== undefined) return Array.isArray(value) && value.every((one) => isOf(list, one));
  const map = /^String\[(.*)\]$/.exec(type)?.[1];
  if (map !== undefined)
    return kindOf(value) === "object" && Object.values(value as object).every((one) => isOf(map, one));
  switch (type) {
    case "Id":
    case "String":
      return typeof value === "string";
    case "Boolean":
      return typeof value === "boolean";
    case "Int":
      return typeof value === "number" && Number.isInteger(value) && Math.abs(value) < 2 ** 53;
    case "UnsignedInt":
      return isOf("Int", value) && (value as number) >= 0;
    case "UnsignedInt, above 0":
      return isOf("Int", value) && (value as number) > 0;
    case "Object":
      return kindOf(value) === "object";
    case "Comparator":
      return true;
    default:
      throw new Error(`what is a ${type}?`);
  }
}

/** One call's answer, which is none of a bug. */
async function ask(name: string, args: Readonly<Record<string, unknown>>, about: string): Promise<Json> {
  const { methodResponses } = await client.request([[name, args, "0"]]).catch((error: unknown) => {
    throw new Error(`${name} ${about.slice(0, 200)}`, { cause: error });
  });
  const [[answered, result]] = methodResponses;
  if (answered === "error") expect(result.type, `${name} ${about.slice(0, 200)}`).toMatch(METHOD_ERRORS);
  else expect(answered).toBe(name);
  for (const kind of ["notCreated", "notUpdated", "notDestroyed"])
    for (const error of Object.values<Json>(result[kind] ?? {}))
      expect(error.type, `${name} ${about.slice(0, 200)}`).toMatch(SET_ERRORS);
  return { answered, ...result };
}

function needed(table: (typeof METHODS)[number]["table"]): Record<string, unknown> {
  const args: Record<string, unknown> = {};
  for (const [name, { isRequired }] of Object.entries(table)) if (isRequired && name in base) args[name] = base[name];
  return args;
}

test.each(METHODS.map(({ name, table }) => [name, table] as const))(
  "%s: each argument of a wrong type is invalidArguments, and any other is answered",
  async (name, table) => {
    for (const [argument, { type }] of Object.entries(table))
      for (const { text, value } of values) {
        const isWrong = value !== null && !isOf(type.name, value);
        const { answered, type: error } = await ask(
          name,
          { ...needed(table), [argument]: value },
          `${argument}: ${text}`,
        );
        if (isWrong)
          expect([answered, error], `${argument}: ${text.slice(0, 200)}`).toEqual(["error", "invalidArguments"]);
      }
    for (const [argument, { isRequired }] of Object.entries(table)) {
      if (!isRequired || argument === "accountId") continue;
      const { [argument]: _, ...rest } = needed(table);
      expect((await ask(name, rest, `without ${argument}`)).type).toBe("invalidArguments");
    }
  },
  120_000,
);

test("an account's id of any kind is another's, or none", async () => {
  for (const { name, table } of METHODS)
    if ("accountId" in table)
      for (const { text, value } of values) {
        const { type } = await ask(name, { ...needed(table), accountId: value }, text);
        expect(type, text.slice(0, 200)).toBe(typeof value === "string" ? "accountNotFound" : "invalidArguments");
      }
});

/** Properties of new emails that no table names: header fields in each form, and what each part may be. */
const HEADERS = ["Raw", "Text", "Addresses", "GroupedAddresses", "MessageIds", "Date", "URLs"].flatMap((form) => [
  `header:X-A:as${form}`,
  `header:X-A:as${form}:all`,
]);
const ADDRESSES = [{ name: null, email: "ada@example.org" }];

/** An object that can be made, but for what is asked about. */
const NEW: Readonly<Record<string, () => Readonly<Record<string, unknown>>>> = {
  Mailbox: () => ({ name: "x" }),
  Email: () => ({ mailboxIds: { [inbox]: true }, from: ADDRESSES, subject: "x" }),
  Identity: () => ({ email: "ada@example.org" }),
  EmailSubmission: () => ({ identityId: "i0", emailId: email }),
  VacationResponse: () => ({}),
  PushSubscription: () => ({ deviceClientId: "x", url: "https://push.example.org/x" }),
};

/** Kinds of values that properties of new objects may have, null aside: RFC 8621 §2, §4.6, §6, §7. All others are the server's. */
const KINDS: Readonly<Record<string, Readonly<Record<string, readonly Kind[]>>>> = {
  Mailbox: {
    name: ["string"],
    parentId: ["string"],
    role: ["string"],
    sortOrder: ["number"],
    isSubscribed: ["boolean"],
  },
  Email: {
    mailboxIds: ["object"],
    keywords: ["object"],
    receivedAt: ["string"],
    subject: ["string"],
    sentAt: ["string"],
    bodyStructure: ["object"],
    bodyValues: ["object"],
    ...Object.fromEntries(
      ["sender", "from", "to", "cc", "bcc", "replyTo", "messageId", "inReplyTo", "references"].map((name) => [
        name,
        ["list"],
      ]),
    ),
    ...Object.fromEntries(["textBody", "htmlBody", "attachments"].map((name) => [name, ["list"]])),
  },
  Identity: {
    name: ["string"],
    email: ["string"],
    replyTo: ["list"],
    bcc: ["list"],
    textSignature: ["string"],
    htmlSignature: ["string"],
  },
  EmailSubmission: { identityId: ["string"], emailId: ["string"], envelope: ["object"], undoStatus: ["string"] },
  PushSubscription: {
    deviceClientId: ["string"],
    url: ["string"],
    keys: ["object"],
    verificationCode: ["string"],
    expires: ["string"],
    types: ["list"],
  },
  VacationResponse: {
    isEnabled: ["boolean"],
    ...Object.fromEntries(
      ["fromDate", "toDate", "subject", "textBody", "htmlBody"].map((name) => [name, ["string"] as const]),
    ),
  },
};

function mayBe(type: string, property: string, value: unknown): boolean {
  const kinds = KINDS[type]!;
  if (value === null || property.startsWith("header:")) return true;
  return Object.hasOwn(kinds, property) && kinds[property]!.includes(kindOf(value));
}

const more: Readonly<Record<string, readonly string[]>> = { Email: HEADERS, PushSubscription: ["url", "keys"] };

test.each(Object.keys(NEW))(
  "%s/set: each property with each value, made and changed, is done or refused",
  async (type) => {
    const names = [...PROPERTIES[type]!, ...(more[type] ?? []), "x", "__proto__", ""];
    const ids: Readonly<Record<string, string>> = {
      Email: email,
      Mailbox: inbox,
      Identity: "i0",
      VacationResponse: "singleton",
    };
    const id = ids[type] ?? "s0";
    const [now] = (await client.call(`${type}/get`, { ids: [id] })).list;
    for (const property of names) {
      // One that is made in vain must not be in another's way.
      for (const { text, value } of values) {
        const object = Object.fromEntries([...Object.entries(NEW[type]!()), [property, value]]);
        const { created } = await ask(`${type}/set`, { create: { x: object } }, `create ${property}: ${text}`);
        if (!mayBe(type, property, value)) expect(created, `create ${property}: ${text.slice(0, 200)}`).toBeNull();
        if (created) await ask(`${type}/set`, { destroy: [created.x.id] }, `destroy what ${property} made`);
      }
      if (property === "mailboxIds") continue;
      for (const path of [property, `${property}/x`, `${property}/x/y`, `${property}/~`, `/${property}`])
        for (const { text, value } of values) {
          const update = { [id]: Object.fromEntries([[path, value]]) };
          const { updated } = await ask(`${type}/set`, { update }, `update ${path}: ${text}`);
          // A property of the server's may be said again with its present value.
          const isSame = JSON.stringify(value) === JSON.stringify(now?.[property]);
          const isNone = path !== property && path !== `${property}/x`;
          if (isNone || (path === property && !isSame && !mayBe(type, property, value)))
            expect(updated, `update ${path}: ${text.slice(0, 200)}`).toBeNull();
        }
    }
    for (const { text, value } of values) await ask(`${type}/set`, { destroy: [value] }, `destroy ${text}`);
  },
  300_000,
);

test("parts, values and places of new emails, of any kind, are taken or refused", async () => {
  const part = [...PROPERTIES.EmailBodyPart!, ...HEADERS, "x"];
  for (const property of part)
    for (const { text, value } of values)
      for (const object of [
        { bodyStructure: { type: "text/plain", partId: "a", [property]: value }, bodyValues: { a: { value: "x" } } },
        { bodyStructure: { type: "multipart/mixed", subParts: [{ type: "a/b", blobId, [property]: value }] } },
        { attachments: [{ blobId, [property]: value }] },
      ])
        await ask("Email/set", { create: { x: { ...NEW.Email!(), ...object } } }, `part ${property}: ${text}`);
  for (const { text, value } of values) {
    for (const property of ["value", "isEncodingProblem", "isTruncated", "x"]) {
      const object = {
        textBody: [{ partId: "a", type: "text/plain" }],
        bodyValues: { a: { value: "x", [property]: value } },
      };
      await ask("Email/set", { create: { x: { ...NEW.Email!(), ...object } } }, `bodyValues ${property}: ${text}`);
    }
    for (const property of ["blobId", "mailboxIds", "keywords", "receivedAt", "x"]) {
      const emails = { x: { blobId, mailboxIds: { [inbox]: true }, [property]: value } };
      await ask("Email/import", { emails }, `import ${property}: ${text}`);
    }
    for (const path of [`mailboxIds/${inbox}`, "mailboxIds/x", "keywords/$seen", "keywords/a b", "mailboxIds"])
      await ask("Email/set", { update: { [email]: { [path]: value } } }, `update ${path}: ${text}`);
    for (const property of ["data", "data:asText", "data:asBase64", "blobId", "offset", "length", "type"]) {
      const source = property === "type" ? { "data:asText": "x" } : { blobId, [property]: value };
      const object =
        property === "data" ? { data: value } : { data: [source], ...(property === "type" && { type: value }) };
      const { created } = await ask("Blob/upload", { create: { x: object } }, `upload ${property}: ${text}`);
      if (property === "type" && !["string", "null"].includes(kindOf(value))) expect(created).toBeNull();
    }
    for (const envelope of [
      { mailFrom: value, rcptTo: ADDRESSES },
      { mailFrom: { email: value }, rcptTo: ADDRESSES },
      { mailFrom: { email: "ada@example.org", parameters: value }, rcptTo: ADDRESSES },
      { mailFrom: { email: "ada@example.org", parameters: { HOLDFOR: value, HOLDUNTIL: value } }, rcptTo: ADDRESSES },
      { mailFrom: { email: "ada@example.org" }, rcptTo: value },
      { mailFrom: { email: "ada@example.org" }, rcptTo: [{ email: value, parameters: value }] },
    ])
      await ask("EmailSubmission/set", { create: { x: { ...NEW.EmailSubmission!(), envelope } } }, `envelope ${text}`);
  }
}, 300_000);

const CONDITIONS: Readonly<Record<string, readonly string[]>> = {
  Mailbox: ["parentId", "name", "role", "hasAnyRole", "isSubscribed"],
  Email: [
    ...["inMailbox", "inMailboxOtherThan", "before", "after", "minSize", "maxSize", "allInThreadHaveKeyword"],
    ...["someInThreadHaveKeyword", "noneInThreadHaveKeyword", "hasKeyword", "notKeyword", "hasAttachment", "text"],
    ...["from", "to", "cc", "bcc", "subject", "body", "header"],
  ],
  EmailSubmission: ["identityIds", "emailIds", "threadIds", "undoStatus", "before", "after"],
  Quota: ["name", "scope", "resourceType", "type"],
};
const SORTS: Readonly<Record<string, readonly string[]>> = {
  Mailbox: ["name", "sortOrder", "parentId"],
  Email: ["receivedAt", "sentAt", "size", "from", "to", "subject", "hasKeyword", "someInThreadHaveKeyword"],
  EmailSubmission: ["emailId", "threadId", "sentAt"],
  Quota: ["name", "used"],
};

test.each(Object.keys(CONDITIONS))(
  "%s/query: each condition and comparator with each value is answered",
  async (type) => {
    for (const { text, value } of values) {
      const filters = [...CONDITIONS[type]!, "x", "__proto__", "toString"].map((name) =>
        Object.fromEntries([[name, value]]),
      );
      const sorts = [...SORTS[type]!, "x", "__proto__"].flatMap((property) => [
        { property, isAscending: value },
        { property, collation: value },
        { property, keyword: value },
      ]);
      for (const filter of [...filters, { operator: value, conditions: [] }, { operator: "AND", conditions: value }]) {
        await ask(`${type}/query`, { filter }, `filter ${JSON.stringify(filter)}`);
        await ask(`${type}/queryChanges`, { filter, sinceQueryState: base.sinceQueryState }, `changes ${text}`);
        if (type === "Email") await ask("SearchSnippet/get", { filter, emailIds: [email] }, `snippet ${text}`);
      }
      for (const sort of [...sorts, { property: value }]) await ask(`${type}/query`, { sort: [sort] }, `sort ${text}`);
      for (const name of ["x", "__proto__", "toString"]) {
        const filter = Object.fromEntries([[name, value]]);
        expect((await ask(`${type}/query`, { filter }, `filter ${name}: ${text}`)).type).toBe("unsupportedFilter");
        const sort = [{ property: name }];
        expect((await ask(`${type}/query`, { sort }, `sort ${name}`)).type).toBe("unsupportedSort");
      }
    }
  },
  300_000,
);

test("what is said of who read a mail, of any kind, is sent or refused", async () => {
  const names = [
    ...["forEmailId", "subject", "textBody", "includeOriginalMessage", "reportingUA", "disposition", "mdnGateway"],
    ...["originalRecipient", "finalRecipient", "originalMessageId", "error", "extensionFields", "x", "__proto__"],
  ];
  const disposition = { actionMode: "manual-action", sendingMode: "mdn-sent-manually", type: "displayed" };
  for (const { text, value } of values) {
    for (const name of names) {
      const one = Object.fromEntries([...Object.entries({ forEmailId: email, disposition }), [name, value]]);
      await ask("MDN/send", { identityId: "i0", send: { x: one } }, `${name}: ${text}`);
    }
    for (const name of Object.keys(disposition)) {
      const one = { forEmailId: email, disposition: { ...disposition, [name]: value } };
      await ask("MDN/send", { identityId: "i0", send: { x: one } }, `disposition ${name}: ${text}`);
    }
  }
});

test("properties that are asked for, of any kind, are told or refused", async () => {
  for (const { name, table } of METHODS)
    for (const argument of ["properties", "bodyProperties", "ids", "blobIds", "emailIds", "typeNames", "destroy"])
      if (argument in table)
        for (const { text, value } of values)
          await ask(name, { ...needed(table), [argument]: [value, value] }, `${argument}: [${text}, …]`);
});
