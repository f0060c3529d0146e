import type { ReadState } from "@restante/engine";
import { expect, test } from "vitest";
import { FILTER_TEXT_CHARS_MAX, FILTER_WORDS_MAX } from "../core/limits.ts";
import { emailCondition } from "./filter.ts";

const state = { liveMailboxes: () => [] } as unknown as ReadState;
const read = (filter: Readonly<Record<string, unknown>>) => emailCondition(filter, state, { createdIds: new Map() });
const words = (count: number): string => Array.from({ length: count }, (_, n) => `w${n}`).join(" ");

test("a filter looks for so many words in all, and no more, wherever they stand", () => {
  expect(read({ text: words(FILTER_WORDS_MAX) })).toMatchObject({ kind: "and" });
  const half = FILTER_WORDS_MAX / 2;
  for (const filter of [
    { text: words(FILTER_WORDS_MAX + 1) },
    { text: words(half), subject: `"${words(3)}" ${words(half)}` },
    { operator: "OR", conditions: [{ body: words(half) }, { operator: "NOT", conditions: [{ to: words(half + 1) }] }] },
  ])
    expect(() => read(filter)).toThrow(expect.objectContaining({ type: "unsupportedFilter" }));
});

test("a text of a filter is so long, and no longer: no pattern goes over more", () => {
  const long = (chars: number): string => "x".repeat(chars);
  expect(read({ text: long(FILTER_TEXT_CHARS_MAX) })).toEqual({ kind: "text", text: long(FILTER_TEXT_CHARS_MAX) });
  expect(read({ text: `"${long(FILTER_TEXT_CHARS_MAX - 2)}"` })).toMatchObject({ kind: "text" });
  for (const filter of [
    { text: long(FILTER_TEXT_CHARS_MAX + 1) },
    { from: `"${long(9_000_000)}"` },
    { header: ["Subject", long(FILTER_TEXT_CHARS_MAX + 1)] },
  ])
    expect(() => read(filter)).toThrow(expect.objectContaining({ type: "unsupportedFilter" }));
});
