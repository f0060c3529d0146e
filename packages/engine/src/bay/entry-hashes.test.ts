import fc from "fast-check";
import { expect, test } from "vitest";
import { EngineError } from "../errors.ts";
import { memoryPages } from "../testing/checkpoint-kit.ts";
import { EntryHashes, findHash, type KeptHashes, keepHashes, NO_HASHES, PAGES_MAX } from "./entry-hashes.ts";

const hashOf = (entry: number): Uint8Array => {
  const hash = new Uint8Array(16);
  new DataView(hash.buffer).setUint32(4, entry);
  return hash;
};
const hashes = (from: number, to: number): Uint8Array[] =>
  Array.from({ length: to - from }, (_, at) => hashOf(from + 1 + at));

test("each of the last 65,536 entries is found, whatever the steps in which they came, and each 1,024th before", async () => {
  const steps = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(steps, fc.constantFrom(0, 64_000, 130_000), fc.nat(2000), async (some, more, first) => {
      const pages = memoryPages();
      let kept: KeptHashes = NO_HASHES;
      // Older checkpoints kept none: those before `first` were never told.
      let at = first;
      for (const step of [...some, ...(more > 0 ? [more] : []), ...some]) {
        kept = await keepHashes(kept, { after: at, hashes: hashes(at, at + step) }, pages);
        at += step;
      }
      expect(kept.pages.length).toBeLessThanOrEqual(PAGES_MAX);
      for (let entry = Math.max(first + 1, at - 63_000); entry <= at; entry += 97)
        expect(await findHash(kept, entry, pages)).toEqual(hashOf(entry));
      expect(await findHash(kept, at, pages)).toEqual(hashOf(at));
      expect(await findHash(kept, at + 1, pages)).toBeUndefined();
      if (first > 0) expect(await findHash(kept, first, pages)).toBeUndefined();
      for (let entry = Math.ceil((first + 1) / 1024) * 1024; entry <= at; entry += 1024)
        expect([entry, await findHash(kept, entry, pages)]).toEqual([entry, hashOf(entry)]);
    }),
    { numRuns: 15 },
  );
});

test("of an entry whose page is damaged no witness is right; the next page goes on; a store that is away is told", async () => {
  const pages = memoryPages();
  const kept = await keepHashes(NO_HASHES, { after: 0, hashes: hashes(0, 1500) }, pages);
  const failing = (code: "corrupt" | "unavailable") => ({
    ...pages,
    read: () => Promise.reject(new EngineError(code, code)),
  });
  await expect(findHash(kept, 5, failing("corrupt"))).rejects.toMatchObject({ code: "corrupt" });
  const known = new EntryHashes(kept, 1500, [hashOf(1501)]);
  const had = (entry: number, from = pages) => known.had(entry, hashOf(entry), from);
  expect([await had(5), await had(1501), await had(1502)]).toEqual([true, true, undefined]);
  expect([await had(5, failing("corrupt")), await had(1501, failing("corrupt"))]).toEqual([false, true]);
  await expect(had(5, failing("unavailable"))).rejects.toMatchObject({ code: "unavailable" });
  // One octet too many, though what is asked for stands there.
  const read = async (...args: Parameters<typeof pages.read>) => {
    const long = new Uint8Array(1024 * 16 + 1);
    long.set(await pages.read(...args));
    return long;
  };
  expect([await had(5), await had(5, { ...pages, read })]).toEqual([true, false]);
  await expect(findHash(kept, 5, failing("unavailable"))).rejects.toMatchObject({ code: "unavailable" });
  const again = await keepHashes(kept, { after: 1500, hashes: hashes(1500, 1600) }, failing("corrupt"));
  expect(await findHash(again, 1500, pages)).toBeUndefined();
  expect(await findHash(again, 1501, pages)).toEqual(hashOf(1501));
  expect(await findHash(again, 1024, pages)).toEqual(hashOf(1024));
});

test("what came since a checkpoint goes on over the next one; what is captured stays as it was", async () => {
  const pages = memoryPages();
  const kept = await keepHashes(NO_HASHES, { after: 0, hashes: hashes(0, 10) }, pages);
  let known = new EntryHashes(kept, 10);
  const added = (entry: number): void => known.add(new Uint8Array([...hashOf(entry), ...new Uint8Array(16).fill(9)]));
  for (let entry = 11; entry <= 15; entry++) added(entry);
  const more = await keepHashes(kept, { after: 10, hashes: hashes(10, 13) }, pages);
  // An older one is no gain.
  for (const checkpoint of [
    { covers: 13, hashes: more },
    { covers: 10, hashes: kept },
  ])
    known = known.upon(checkpoint);
  const write = known.capture();
  added(16);
  for (const entry of [1, 10, 11, 13, 14, 16]) {
    expect([entry, await known.had(entry, hashOf(entry), pages)]).toEqual([entry, true]);
    expect([entry, await known.had(entry, hashOf(entry + 1), pages)]).toEqual([entry, false]);
  }
  expect(await known.had(17, hashOf(17), pages)).toBeUndefined();
  expect(await findHash(await write(pages), 16, pages)).toBeUndefined();
});
