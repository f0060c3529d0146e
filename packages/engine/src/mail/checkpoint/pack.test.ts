import fc from "fast-check";
import { expect, test } from "vitest";
import type { ObjectSpan } from "../contents/email-page.ts";
import { PACK_BODIES_MAX, Packer, readPack } from "./pack.ts";

/** Packs `bodies` and returns the packs by name, and where each body was said to lie. */
async function pack(bodies: readonly Uint8Array[]) {
  const packs = new Map<string, Uint8Array>();
  const places: ObjectSpan[] = [];
  const packer = new Packer({
    write: async () => "",
    read: async () => new Uint8Array(0),
    packName: () => `pack/${packs.size}`,
    putPack: async (name, content) => void packs.set(name, content),
  });
  for (const [row, bytes] of bodies.entries())
    await packer.add(row, new Uint8Array(16).fill(row), bytes, (span) => {
      places[row] = span;
    });
  await packer.flush();
  return { packs, places, listed: packer.packs };
}

test("each body lies where it is said to, in a pack whose own list says the same", async () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(bodies, async (some) => {
      const { packs, places, listed } = await pack(some);
      expect(listed.map(({ first, end, count }) => [first, end, count])).toEqual([[0, some.length, some.length]]);
      const own = readPack(packs.get("pack/0")!);
      for (const [row, bytes] of some.entries()) {
        const { name, offset, length } = places[row]!;
        expect(packs.get(name)!.subarray(offset, offset + length)).toEqual(bytes);
        expect(own[row]).toEqual({ id: new Uint8Array(16).fill(row), offset, length });
      }
    }),
  );
});

test("a full pack is closed and the next begun", async () => {
  const { listed } = await pack(Array.from({ length: PACK_BODIES_MAX + 1 }, () => new Uint8Array(1)));
  expect(listed.map(({ count }) => count)).toEqual([PACK_BODIES_MAX, 1]);
});

test("bytes that are no pack are refused", () => {
  for (const bytes of [[], [2, 0, 0, 0, 0], [1, 0, 0, 0, 9], [1, 0, 0, 0, 0, 7]])
    expect(() => readPack(Uint8Array.from(bytes))).toThrow(RangeError);
});
