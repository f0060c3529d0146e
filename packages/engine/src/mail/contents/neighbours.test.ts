import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import type { ObjectSpan } from "./email-page.ts";
import { Neighbours } from "./neighbours.ts";

const KB = 1024;
const SIZE = 700 * KB;
const octets = Uint8Array.from({ length: SIZE }, (_, at) => (at * 2_654_435_761) >>> 24);

/** An object, and what was read of it. */
function reader() {
  const reads: ObjectSpan[] = [];
  let failure: Error | undefined;
  const state = { isThere: true, fail: (error: Error | undefined) => (failure = error) };
  const read = async (span: ObjectSpan): Promise<Uint8Array | undefined> => {
    reads.push(span);
    await new Promise((resolve) => setImmediate(resolve));
    if (failure) throw failure;
    return state.isThere ? octets.slice(span.offset, span.offset + span.length) : undefined;
  };
  return Object.assign(state, { reads, read });
}

const spanAt = (offset: number, length = 3 * KB): ObjectSpan => ({ name: "pack", offset, length });
const right = ({ offset, length }: ObjectSpan): Uint8Array => octets.slice(offset, offset + length);

test.each([
  ["forwards", (n: number) => n * 4 * KB],
  ["backwards", (n: number) => (149 - n) * 4 * KB],
])("spans that are asked for one after the other %s are read together, also side by side", async (_, offsetOf) => {
  for (const atOnce of [1, 6]) {
    const { read, reads } = reader();
    const neighbours = new Neighbours();
    for (let n = 0; n < 150; n += atOnce) {
      const spans = Array.from({ length: atOnce }, (_one, at) => spanAt(offsetOf(n + at)));
      const found = await Promise.all(spans.map((span) => neighbours.get(span, read)));
      for (const [at, span] of spans.entries()) expect(found[at]).toEqual(right(span));
    }
    expect(reads.length).toBeLessThan(12);
  }
});

test("spans here and there are read alone, and large ones too", async () => {
  const { read, reads } = reader();
  const neighbours = new Neighbours();
  for (const offset of [0, 300 * KB, 10 * KB, 500 * KB]) await neighbours.get(spanAt(offset), read);
  for (const offset of [0, 100 * KB]) await neighbours.get(spanAt(offset, 100 * KB), read);
  expect(reads.map(({ length }) => length / KB)).toEqual([3, 3, 3, 3, 100, 100]);
});

test("at an object's end there is as much as there is, and one of another name is another", async () => {
  const { read } = reader();
  const neighbours = new Neighbours();
  for (const offset of [SIZE - 12 * KB, SIZE - 8 * KB, SIZE - 4 * KB, SIZE - 1 * KB])
    expect(await neighbours.get(spanAt(offset), read)).toEqual(right(spanAt(offset)));
  const other = { ...spanAt(SIZE - 8 * KB), name: "other" };
  expect(await neighbours.get(other, async () => Uint8Array.of(1))).toEqual(Uint8Array.of(1));
});

test("octets of one object are never another's, and what was read too short is read again", async () => {
  const { read } = reader();
  const neighbours = new Neighbours();
  for (const offset of [0, 4 * KB]) await neighbours.get(spanAt(offset), read);
  const other = { ...spanAt(8 * KB), name: "other" };
  expect(await neighbours.get(other, async () => Uint8Array.of(1))).toEqual(Uint8Array.of(1));
  await neighbours.get(spanAt(300 * KB), read);
  const short = async (span: ObjectSpan): Promise<Uint8Array | undefined> => (await read(span))?.slice(0, 5 * KB);
  await neighbours.get(spanAt(304 * KB), short);
  expect(await neighbours.get(spanAt(308 * KB), read)).toEqual(right(spanAt(308 * KB)));
});

test("what was read goes when memory is wanted", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const { read, reads } = reader();
  const neighbours = new Neighbours();
  for (const offset of [0, 4 * KB]) await neighbours.get(spanAt(offset), read);
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  expect(await neighbours.get(spanAt(8 * KB), read)).toEqual(right(spanAt(8 * KB)));
  expect(reads.length).toBe(3);
});

test("what fails, or is gone, is so for each that asks, and is asked for again", async () => {
  const object = reader();
  const neighbours = new Neighbours();
  await neighbours.get(spanAt(0), object.read);
  object.fail(new Error("away"));
  const failed = await Promise.allSettled([4, 8, 12].map((at) => neighbours.get(spanAt(at * KB), object.read)));
  expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  object.fail(undefined);
  expect(await neighbours.get(spanAt(16 * KB), object.read)).toEqual(right(spanAt(16 * KB)));
  object.isThere = false;
  expect(await neighbours.get(spanAt(300 * KB), object.read)).toBeUndefined();
  expect(await neighbours.get(spanAt(304 * KB), object.read)).toBeUndefined();
});

test("any order of any spans gives what lies there", async () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
    return seed % below;
  };
  const { read } = reader();
  const neighbours = new Neighbours();
  let offset = 0;
  for (let n = 0; n < 2_000; n++) {
    offset = random(5) === 0 ? random(SIZE) : Math.max(0, Math.min(SIZE - 1, offset + random(40 * KB) - 20 * KB));
    const span = spanAt(offset, random(6 * KB) + 1);
    expect(await neighbours.get(span, read)).toEqual(right(span));
  }
});
