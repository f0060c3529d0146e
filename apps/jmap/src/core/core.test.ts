import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Json, openClient } from "../jmap-kit.ts";
import { RequestError } from "./errors.ts";
import { parseIJson } from "./i-json.ts";
import { DEPTH_MAX, NAMES_MAX, VALUES_MAX } from "./limits.ts";
import { resolveReferences } from "./references.ts";
import { NO_PACE, readRequest } from "./request.ts";
import { UTC_DATE } from "./types.ts";

const parse = (text: string | Uint8Array): Promise<unknown> =>
  parseIJson(typeof text === "string" ? new TextEncoder().encode(text) : text, NO_PACE);

describe("I-JSON", () => {
  test("what JSON.parse reads is read alike, if no name comes twice and no character is half", async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(undefined, 1), async (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        if (!JSON.stringify(value).isWellFormed() || /\\ud[89a-f]/i.test(text)) return;
        expect(await parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test.each([
    ['{"a":1,"a":2}'],
    ['{"a":1,"b":{"c":[{"d":1,"\\u0064":2}]}}'],
    ['{"__proto__":1,"__proto__":2}'],
    ['["\\ud800"]'],
    ['["\\udc00\\ud800"]'],
    ['{"\\ud800":1}'],
    ["{"],
    ["[1,]"],
    [""],
    ["\ufeff{}"],
    ["nul"],
    ['{"a'],
    ['"\\'],
  ])("%j is notJSON", async (text) => {
    await expect(parse(text)).rejects.toMatchObject({ type: "notJSON" });
  });

  test("broken UTF-8 is notJSON; whole pairs and equal names of different objects are well", async () => {
    await expect(parse(Uint8Array.of(0x22, 0xff, 0x22))).rejects.toMatchObject({ type: "notJSON" });
    await expect(parse(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22))).rejects.toMatchObject({ type: "notJSON" });
    expect(await parse('[{"a":"\\ud83d\\ude00"},{"a":{"a":1}},"\\\\"]')).toEqual([{ a: "😀" }, { a: { a: 1 } }, "\\"]);
    expect(Object.hasOwn((await parse('{"__proto__":1}')) as object, "__proto__")).toBe(true);
  });

  test("depth is bounded before anything goes down with it", async () => {
    const deep = (n: number): string => "[".repeat(n) + "]".repeat(n);
    expect(await parse(deep(DEPTH_MAX))).toBeInstanceOf(Array);
    await expect(parse(deep(DEPTH_MAX + 1))).rejects.toMatchObject({ type: "limit" });
    await expect(parse("[".repeat(1_000_000))).rejects.toMatchObject({ type: "limit" });
    expect(await parse(`["${"[".repeat(1000)}\\"${"[".repeat(1000)}"]`)).toHaveLength(1);
  });
});

test("an object has so many names, and no more, wherever it stands", async () => {
  const object = (count: number): string =>
    `{${Array.from({ length: count }, (_, n) => `"${n}::{":{"a":1,"b":2}`).join()}}`;
  expect(Object.keys((await parse(`[${object(NAMES_MAX)},${object(NAMES_MAX)}]`)) as object)).toHaveLength(2);
  await expect(parse(`[[{}],${object(NAMES_MAX + 1)}]`)).rejects.toMatchObject({ type: "limit", limit: "maxNames" });
  await expect(parse(`}}}}${":".repeat(10)}`)).rejects.toMatchObject({ type: "notJSON" });
});

test("a request has so many values, and no more; commas in texts are none", async () => {
  expect(await parse(`[${"1,".repeat(VALUES_MAX)}1]`)).toHaveLength(VALUES_MAX + 1);
  expect(await parse(`["${",".repeat(VALUES_MAX + 1)}"]`)).toHaveLength(1);
  const limit = { type: "limit", limit: "maxValues" };
  await expect(parse(`[${'"x",'.repeat(VALUES_MAX + 1)}1]`)).rejects.toMatchObject(limit);
  await expect(parse(`[${`[${"1,".repeat(1000)}1],`.repeat(VALUES_MAX / 1000)}1]`)).rejects.toMatchObject(limit);
});

test("whatever it is made of, others have their turns while a request is looked at", async () => {
  const turnsOf = async (text: string): Promise<number> => {
    let turns = 0;
    const take = async (): Promise<void> => void turns++;
    await parseIJson(new TextEncoder().encode(text), { isOver: () => true, take });
    return turns;
  };
  const size = 4 * 2 ** 20;
  const items = 2_000;
  const strings = `[${`"${"x".repeat(size / items)}",`.repeat(items)}1]`;
  // Twice over each text: before it is parsed, and after.
  const least = (2 * size) / (128 * 1024);
  for (const text of [strings, " ".repeat(size).concat("1")]) expect(await turnsOf(text)).toBeGreaterThan(least);
});

describe("a Request", () => {
  test.each([
    [null],
    [[]],
    [{}],
    [{ using: [], methodCalls: {} }],
    [{ using: [1], methodCalls: [] }],
    [{ using: [], methodCalls: [["a", {}]] }],
    [{ using: [], methodCalls: [["a", [], "0"]] }],
    [{ using: [], methodCalls: [["a", null, "0"]] }],
    [{ using: [], methodCalls: [["a", {}, 0]] }],
    [{ using: [], methodCalls: [["a", {}, "0", 1]] }],
    [{ using: [], methodCalls: [], createdIds: [] }],
    [{ using: [], methodCalls: [], createdIds: { a: 1 } }],
  ])("%j is notRequest", (value) => {
    expect(() => readRequest(value)).toThrow(RequestError);
  });

  test("more calls than the session tells of are a limit", () => {
    const methodCalls = Array.from({ length: 65 }, () => ["Core/echo", {}, "0"]);
    expect(() => readRequest({ using: [], methodCalls })).toThrow(
      expect.objectContaining({ limit: "maxCallsInRequest" }),
    );
  });

  test("using is asked of each method; what is not known is told for the whole", async () => {
    const client = await openClient();
    const core = ["urn:ietf:params:jmap:core"];
    const { methodResponses } = await client.request(
      [
        ["Mailbox/get", {}, "a"],
        ["Core/echo", { x: 1 }, "b"],
      ],
      { using: core },
    );
    expect(methodResponses).toEqual([
      ["error", { type: "unknownMethod" }, "a"],
      ["Core/echo", { accountId: client.accountId, x: 1 }, "b"],
    ]);
    const none = await client.request([["Core/echo", {}, "a"]], { using: [] });
    expect(none.methodResponses[0][1].type).toBe("unknownMethod");
    await expect(client.request([], { using: ["urn:x"] })).rejects.toMatchObject({ type: "unknownCapability" });
  });

  test("names of JavaScript's own are no methods, and an account that is not one's own is none", async () => {
    const client = await openClient();
    for (const name of ["__proto__", "constructor", "toString", "", "Mailbox/Get"])
      expect(await client.error(name)).toBe("unknownMethod");
    expect(await client.error("Mailbox/get", { accountId: "a1" })).toBe("accountNotFound");
    expect(await client.error("Mailbox/get", { accountId: null })).toBe("invalidArguments");
  });

  test("creation ids are told if they were given, with those that came", async () => {
    const client = await openClient();
    const calls = [["Mailbox/set", { create: { __proto__x: { name: "New" } } }, "a"]] as const;
    const told = await client.request(calls, { createdIds: { old: "m1" } });
    const id = told.methodResponses[0][1].created.__proto__x.id;
    expect(told.createdIds).toEqual({ old: "m1", __proto__x: id });
    expect((await client.request([["Core/echo", {}, "a"]])).createdIds).toBe(undefined);
  });
});

describe("result references", () => {
  const answered = [
    {
      name: "A/get",
      callId: "a",
      result: { list: [{ ids: ["1", "2"] }, { ids: ["3"] }], "x/y~": { 0: "z" }, n: null },
    },
    { name: "A/get", callId: "b", result: { list: [] } },
    { name: "error", callId: "c", result: { type: "x" } },
  ];
  const of = (path: string, more: Json = {}): unknown =>
    resolveReferences({ "#v": { resultOf: "a", name: "A/get", path, ...more } }, answered).v;

  test.each([
    ["/list/*/ids", ["1", "2", "3"]],
    ["/list/1/ids/0", "3"],
    ["/x~1y~0/0", "z"],
    ["/n", null],
    ["", answered[0]!.result],
    ["/list/*", answered[0]!.result.list],
  ])("%s", (path, value) => {
    expect(of(path)).toEqual(value);
  });

  test("over an empty list there is an empty list", () => {
    expect(of("/list/*/ids", { resultOf: "b" })).toEqual([]);
  });

  test.each([
    ["/list/2"],
    ["/list/-1"],
    ["/list/01"],
    ["/list/*/no"],
    ["list"],
    ["/n/x"],
    ["/list/length"],
    ["/__proto__"],
    ["/x~2y"],
    [`/${"a/".repeat(100)}`],
  ])("%s resolves to nothing", (path) => {
    expect(() => of(path)).toThrow("invalidResultReference");
  });

  test.each([
    [{ resultOf: "z" }],
    [{ name: "B/get" }],
    [{ resultOf: "c", name: "A/get" }],
    [{ path: 1 }],
    [{ name: null }],
  ])("%j is none", (more) => {
    expect(() => of("/list", more)).toThrow("invalidResultReference");
  });

  test("an argument is not given twice, and one called __proto__ is an argument", () => {
    const reference = { resultOf: "a", name: "A/get", path: "/n" };
    expect(() => resolveReferences({ "#v": reference, v: 1 }, answered)).toThrow();
    const resolved = resolveReferences(JSON.parse(`{"#__proto__":${JSON.stringify(reference)}}`), answered);
    expect([Object.keys(resolved), Object.getPrototypeOf(resolved)]).toEqual([["__proto__"], null]);
  });

  test("calls that each double the one before them end, in little memory", async () => {
    const client = await openClient();
    const calls = Array.from({ length: 64 }, (_, at) => {
      const before = { resultOf: String(at - 1), name: "Core/echo", path: "" };
      return ["Core/echo", at === 0 ? { x: "y".repeat(1000) } : { "#a": before, "#b": before }, String(at)] as const;
    });
    const { methodResponses } = await client.request(calls);
    expect(methodResponses.map(([, result]: Json) => result.type).filter(Boolean)).toContain("invalidResultReference");
    expect(JSON.stringify(methodResponses).length).toBeLessThan(64 * 2 ** 20);
  });

  test("a path that looks at very many values ends", async () => {
    const client = await openClient();
    const wide = Array.from({ length: 1000 }, () => Array.from({ length: 1000 }, () => 1));
    const reference = { resultOf: "a", name: "Core/echo", path: "/wide/*/*" };
    const { methodResponses } = await client.request([
      ["Core/echo", { wide }, "a"],
      ["Core/echo", { "#x": reference }, "b"],
    ]);
    expect(methodResponses[1]).toEqual(["error", { type: "invalidResultReference" }, "b"]);
  });
});

test.each([
  ["2014-10-30T06:12:00Z", 1_414_649_520_000],
  ["2014-10-30T06:12:00.5Z", 1_414_649_520_500],
  ["2014-10-30T06:12:00.0Z", undefined],
  ["2014-10-30t06:12:00Z", undefined],
  ["2014-10-30T06:12:00+00:00", undefined],
  ["2014-02-30T06:12:00Z", undefined],
  ["2014-13-01T06:12:00Z", undefined],
  ["x", undefined],
])("the date %s", (text, timeMs) => {
  expect(UTC_DATE.read(text)).toBe(timeMs);
});
