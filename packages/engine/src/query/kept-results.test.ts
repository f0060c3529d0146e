import { expect, test } from "vitest";
import type { MailState } from "../mail/state/state.ts";
import type { Condition } from "./condition.ts";
import { KeptResults } from "./kept-results.ts";

const state = (modSeq: number): MailState & { modSeq: number } => ({ modSeq }) as MailState & { modSeq: number };
const bySubject = (text: string) => ({ condition: { kind: "subject", text } as Condition });
const emails = (count: number): Uint32Array => new Uint32Array(count);

test("a result is kept until anything changes, and is that of its query alone", () => {
  const results = new KeptResults();
  const now = state(5);
  const query = { ...bySubject("a"), sort: [{ by: "sent", descending: true }] as const };
  results.keep(query, now, 5, emails(3));
  expect(results.find({ ...query }, now)).toHaveLength(3);
  expect(results.find({ ...query, collapseThreads: true }, now)).toBeUndefined();
  expect(results.find({ ...query, sort: [{ by: "sent" }] }, now)).toBeUndefined();
  expect(results.find(bySubject("a"), now)).toBeUndefined();
  expect(results.find(query, state(5))).toBeUndefined();
  now.modSeq = 6;
  expect(results.find(query, now)).toBeUndefined();
});

test("what changed while it was looked for is not kept", () => {
  const results = new KeptResults();
  const now = state(5);
  results.keep(bySubject("a"), now, 4, emails(3));
  expect(results.find(bySubject("a"), now)).toBeUndefined();
});

test("so many are kept, of so many emails in all: the one that was used longest ago goes first", () => {
  const results = new KeptResults();
  const now = state(1);
  const kept = (): string[] => [..."abcdefghij"].filter((letter) => results.find(bySubject(letter), now));
  for (const letter of "abcdefgh") results.keep(bySubject(letter), now, 1, emails(10));
  expect(kept()).toHaveLength(8);
  results.find(bySubject("a"), now);
  results.keep(bySubject("i"), now, 1, emails(10));
  expect(results.find(bySubject("b"), now)).toBeUndefined();
  expect(results.find(bySubject("a"), now)).toBeDefined();
  results.keep(bySubject("j"), now, 1, emails(2 ** 18 - 5));
  expect(kept()).toEqual(["j"]);
  results.keep(bySubject("a"), now, 1, emails(2 ** 18 + 1));
  expect(kept()).toEqual([]);
});

test("ids by the thousand and queries without end are nobody's to keep", () => {
  const results = new KeptResults();
  const now = state(1);
  const long = bySubject("x".repeat(5_000));
  const ids = { condition: { kind: "not", of: { kind: "emails", ids: new Set(["a"]) } } as Condition };
  for (const query of [long, ids]) {
    results.keep(query, now, 1, emails(1));
    expect(results.find(query, now)).toBeUndefined();
  }
});
