import type { Pace } from "./pace.ts";

/** Numbers that are sorted, or merged, between two looks whether it is the others' turn. */
const SORTED_AT_ONCE = 1024;

/** Sorts numbers so that others come between, and keeps the order of equals: runs are sorted, then merged two by two. */
export async function sortInSteps(
  numbers: Uint32Array,
  compare: (a: number, b: number) => number,
  pace: Pace,
): Promise<Uint32Array> {
  const { length } = numbers;
  for (let at = 0; at < length; at += SORTED_AT_ONCE) {
    const run = Array.from(numbers.subarray(at, at + SORTED_AT_ONCE)).sort(compare);
    numbers.set(run, at);
    if (pace.isOver()) await pace.take();
  }
  let from: Uint32Array = numbers;
  let to: Uint32Array = new Uint32Array(length);
  for (let width = SORTED_AT_ONCE; width < length; width *= 2) {
    for (let at = 0; at < length; at += 2 * width) {
      const middle = Math.min(at + width, length);
      const end = Math.min(at + 2 * width, length);
      let left = at;
      let right = middle;
      for (let next = at; next < end; next++) {
        const isLeft = left < middle && (right >= end || compare(from[left]!, from[right]!) <= 0);
        to[next] = from[isLeft ? left++ : right++]!;
        if (next % SORTED_AT_ONCE === 0 && pace.isOver()) await pace.take();
      }
    }
    [from, to] = [to, from];
  }
  return from;
}
