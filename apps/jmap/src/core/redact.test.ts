import fc from "fast-check";
import { expect, test } from "vitest";
import { redactJson } from "./redact.ts";

test("what the server made is told, and of what people wrote the length", () => {
  const args = {
    accountId: "a1",
    filter: { inMailbox: "m2", text: "a secret word", hasAttachment: true },
    ids: ["e1", "two words"],
    limit: 10,
    create: { k1: { subject: "hello", mailboxIds: { m2: true } } },
    "my dear key": null,
  };
  expect(redactJson(args)).toBe(
    '{accountId:"a1",filter:{inMailbox:"m2",text:[13],hasAttachment:true},ids:["e1",[9]],limit:10,' +
      "create:{k1:{subject:[5],mailboxIds:{m2:true}}},[11]:null}",
  );
});

test("no text of anybody's is told, whatever it stands in, and a line has an end", () => {
  const secret = fc.string({ minLength: 1, maxLength: 30 }).map((text) => `§${text}`);
  fc.assert(
    fc.property(fc.object({ key: secret, values: [secret, fc.integer(), fc.boolean()], maxDepth: 5 }), (value) => {
      expect(redactJson(value)).not.toContain("§");
    }),
  );
  const long = Array.from({ length: 1000 }, (_, at) => ({ id: `e${at}`, preview: "x".repeat(at) }));
  expect(redactJson({ list: long })).toMatch(/,… 1000\]\}$/);
  expect(redactJson(Object.fromEntries(long.map((one, at) => [`k${at}`, one]))).length).toBeLessThan(5000);
});
