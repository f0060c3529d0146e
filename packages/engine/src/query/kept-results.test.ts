import { expect, test } from "vitest";
import { asModSeq } from "../mail/numbers.ts";
import type { Mailbox } from "../mail/state/mailbox.ts";
import type { MailState } from "../mail/state/state.ts";
import type { Condition } from "./condition.ts";
import { KeptResults, resultKey } from "./kept-results.ts";

const state = (modSeq: number): MailState & { modSeq: number } => ({ modSeq }) as MailState & { modSeq: number };
const keyOf = (text: string, ...details: readonly unknown[]) => resultKey({ kind: "subject", text }, ...details);
const emails = (count: number): Uint32Array => new Uint32Array(count);
const newResults = () => new KeptResults<Uint32Array>(({ length }) => length);

test("a result is kept until anything changes, and is that of its query alone", () => {
  const results = newResults();
  const now = state(5);
  const key = keyOf("a", [{ by: "sent", descending: true }], false);
  results.keep(key, { state: now }, asModSeq(5), emails(3));
  expect(results.find(keyOf("a", [{ by: "sent", descending: true }], false), { state: now })).toHaveLength(3);
  expect(results.find(keyOf("a", [{ by: "sent", descending: true }], true), { state: now })).toBeUndefined();
  expect(results.find(keyOf("a", [{ by: "sent" }], false), { state: now })).toBeUndefined();
  expect(results.find(keyOf("a"), { state: now })).toBeUndefined();
  expect(results.find(key, { state: state(5) })).toBeUndefined();
  now.modSeq = asModSeq(6);
  expect(results.find(key, { state: now })).toBeUndefined();
});

test("nothing holds a state that was replaced", () => {
  const results = newResults();
  const [before, after] = [state(5), state(5)];
  results.keep(keyOf("a"), { state: before }, asModSeq(5), emails(3));
  results.keep(keyOf("b"), { state: after }, asModSeq(5), emails(3));
  expect(results.find(keyOf("a"), { state: before })).toBeUndefined();
  expect(results.find(keyOf("b"), { state: after })).toBeDefined();
});

test("what was found in a mailbox is kept until that changes", () => {
  const results = newResults();
  const now = state(5);
  const mailbox = { highestModSeq: 2 } as Mailbox;
  results.keep(keyOf("a"), { state: now, mailbox }, asModSeq(2), emails(3));
  now.modSeq = asModSeq(6);
  expect(results.find(keyOf("a"), { state: now, mailbox })).toHaveLength(3);
  expect(results.find(keyOf("a"), { state: now, mailbox: { highestModSeq: 2 } as Mailbox })).toBeUndefined();
  expect(results.find(keyOf("a"), { state: now })).toBeUndefined();
  mailbox.highestModSeq = asModSeq(7);
  expect(results.find(keyOf("a"), { state: now, mailbox })).toBeUndefined();
});

test("what is stale crowds nothing out", () => {
  const results = newResults();
  const now = state(1);
  const [one, other] = [{ highestModSeq: 1 } as Mailbox, { highestModSeq: 1 } as Mailbox];
  results.keep(keyOf("a"), { state: now, mailbox: one }, asModSeq(1), emails(10));
  results.keep(keyOf("b"), { state: now, mailbox: other }, asModSeq(1), emails(2 ** 18 - 15));
  other.highestModSeq = asModSeq(2);
  results.keep(keyOf("c"), { state: now, mailbox: one }, asModSeq(1), emails(10));
  expect(results.find(keyOf("a"), { state: now, mailbox: one })).toBeDefined();
  expect(results.find(keyOf("c"), { state: now, mailbox: one })).toBeDefined();
});

test("what changed while it was looked for is not kept", () => {
  const results = newResults();
  const now = { state: state(5) };
  results.keep(keyOf("a"), now, asModSeq(4), emails(3));
  expect(results.find(keyOf("a"), now)).toBeUndefined();
});

test("so many are kept, of so many emails in all: the one that was used longest ago goes first", () => {
  const results = newResults();
  const now = { state: state(1) };
  const kept = (): string[] => [..."abcdefghij"].filter((letter) => results.find(keyOf(letter), now));
  for (const letter of "abcdefgh") results.keep(keyOf(letter), now, asModSeq(1), emails(10));
  expect(kept()).toHaveLength(8);
  results.find(keyOf("a"), now);
  results.keep(keyOf("i"), now, asModSeq(1), emails(10));
  expect(results.find(keyOf("b"), now)).toBeUndefined();
  expect(results.find(keyOf("a"), now)).toBeDefined();
  results.keep(keyOf("j"), now, asModSeq(1), emails(2 ** 18 - 5));
  expect(kept()).toEqual(["j"]);
  results.keep(keyOf("a"), now, asModSeq(1), emails(2 ** 18 + 1));
  expect(kept()).toEqual([]);
});

test("ids by the thousand and queries without end are nobody's to keep", () => {
  const results = newResults();
  const now = { state: state(1) };
  const ids: Condition = { kind: "not", of: { kind: "emails", ids: new Set(["a"]) } };
  for (const key of [keyOf("x".repeat(5_000)), resultKey(ids)]) {
    expect(key).toBeUndefined();
    results.keep(key, now, asModSeq(1), emails(1));
    expect(results.find(key, now)).toBeUndefined();
  }
});
