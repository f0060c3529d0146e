import { HeaderBlock } from "@restante/mime";
import { expect, test } from "vitest";
import { sortTextOf } from "./sort-text.ts";

const keyOf = (by: Parameters<typeof sortTextOf>[0], ...lines: readonly string[]): string =>
  sortTextOf(by, new HeaderBlock(Buffer.from(`${lines.join("\r\n")}\r\n\r\n`)));

test.each([
  ["Ada <ada@x.example>", "ADA", "ADA"],
  ["ada@x.example", "ADA", "ADA@X.EXAMPLE"],
  ['"" <ada@x.example>', "ADA", "ADA@X.EXAMPLE"],
  ["=?utf-8?q?N=C3=A4me?= <n@x>", "N", "NA\u0308ME"],
  ['"Doe, John <j@y>" <jd@x>, other@x', "JD", "DOE, JOHN <J@Y>"],
  ['"a@b c"@x', "A@B C", "A@B C@X"],
  ["local", "LOCAL", "LOCAL"],
  ["Friends: ben@x, cid@x;, dan@x", "BEN", "FRIENDS"],
  ["", "", ""],
])("From: %s is sorted by its local part, and by its name or else its address", (value, local, shown) => {
  for (const [by, byName, field] of [
    ["from", "from-name", "From"],
    ["to", "to-name", "To"],
  ] as const) {
    expect(keyOf(by, `${field}: ${value}`)).toBe(local);
    expect(keyOf(byName, `${field}: ${value}`)).toBe(shown);
  }
  expect(keyOf("cc", `Cc: ${value}`)).toBe(local);
});

test("a subject is sorted by its base, by the first there is, and by its beginning", () => {
  expect(keyOf("subject", "Subject: Re: [list] fwd: Hello \t world (fwd)")).toBe("HELLO WORLD");
  expect(keyOf("subject", "Subject: =?utf-8?q?Re:_=3D=3Futf-8=3Fq=3Fx=3F=3D?=")).toBe("=?UTF-8?Q?X?=");
  expect(keyOf("subject", "Subject: one", "Subject: two")).toBe("ONE");
  expect(keyOf("subject", "From: x@y")).toBe("");
  expect(keyOf("subject", `Subject: ${"a".repeat(63)}bc`)).toBe(`${"A".repeat(63)}B`);
});
