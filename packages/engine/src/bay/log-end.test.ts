import { expect, test } from "vitest";
import { MemoryPlace } from "../storage/memory.ts";
import { entryName } from "./entry.ts";
import { END_MAGIC, endLog, findEnd, findHead, isEnd } from "./log-end.ts";
import { manifestName } from "./manifest.ts";
import { position } from "./position.ts";

const END = new Uint8Array([...END_MAGIC, 1]);
const entry = (n: number): string => `a/${entryName(position(n))}`;

/** A log of so many entries, which nobody opens. */
function logOf(entries: number): MemoryPlace {
  const place = new MemoryPlace();
  for (let n = 1; n <= entries; n++) place.write(entry(n), new Uint8Array([9, 9, 9, 9, n & 255]));
  return place;
}

test("the head is found behind more entries than one listing has, and where a checkpoint alone tells of it", async () => {
  for (const length of [1, 999, 1000, 1001, 2300])
    expect(await findHead({ store: logOf(length).open(), prefix: "a/" })).toBe(length);
  const trimmed = new MemoryPlace();
  trimmed.write(`a/${manifestName(position(40))}`, new Uint8Array(1));
  expect(await findHead({ store: trimmed.open(), prefix: "a/" })).toBe(40);
  await expect(findHead({ store: trimmed.open(), prefix: "b/" })).rejects.toMatchObject({ code: "not-found" });
});

test("others' entries may be faster, many times; the end comes behind the last of them, made for its place, once", async () => {
  const place = logOf(3);
  const store = place.open();
  const putIfAbsent = store.putIfAbsent.bind(store);
  let rivals = 0;
  store.putIfAbsent = (name, ...rest) => {
    if (rivals++ < 20) place.write(name, new Uint8Array([9, 9, 9, 9, 50 + rivals]));
    return putIfAbsent(name, ...rest);
  };
  const made: [number, number | undefined][] = [];
  const stored = await endLog({ store, prefix: "a/" }, (n, before) => {
    made.push([n, before?.at(-1)]);
    return END;
  });
  expect(stored.name).toBe(entry(24));
  expect(made.slice(-2)).toEqual([
    [23, 69],
    [24, 70],
  ]);
  expect(await findEnd({ store, prefix: "a/" })).toMatchObject({ name: entry(24), bytes: END });
  expect(await endLog({ store, prefix: "a/" }, () => expect.unreachable())).toMatchObject({ name: entry(24) });
  expect(place.objects.has(entry(25))).toBe(false);
  expect(await findEnd({ store: logOf(3).open(), prefix: "a/" })).toBeUndefined();
});

test("a log that is written to without end is not ended", async () => {
  const place = logOf(1);
  const store = place.open();
  const putIfAbsent = store.putIfAbsent.bind(store);
  store.putIfAbsent = (name, ...rest) => {
    place.write(name, new Uint8Array(5).fill(9));
    return putIfAbsent(name, ...rest);
  };
  await expect(endLog({ store, prefix: "a/" }, () => END)).rejects.toMatchObject({ code: "unavailable" });
});

test("an end is known by what it begins with, whole", () => {
  expect([END, END_MAGIC, END_MAGIC.subarray(0, -1), new Uint8Array(0)].map(isEnd)).toEqual([true, true, false, false]);
});
