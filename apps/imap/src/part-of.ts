import type { PartialRange } from "./wire/fetch-items.ts";

/** The places of a list that a range names: RFC 9394 §3.1. */
export function partOf<T extends { readonly length: number; slice(start: number, end: number): T }>(
  list: T,
  { first, last }: PartialRange,
): T {
  if (first > 0) return list.slice(first - 1, last);
  return list.slice(Math.max(0, list.length + last), Math.max(0, list.length + first + 1));
}

/** How many places a range names, where there are as many. */
export function sizeOf({ first, last }: PartialRange): number {
  return Math.abs(last - first) + 1;
}
