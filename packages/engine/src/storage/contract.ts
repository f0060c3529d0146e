import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { probeCreates } from "./creates.ts";
import type { NewObject, ObjectStore } from "./object-store.ts";

/** Two stores on one place, as two processes have it, for one run of the contract. */
export interface ContractStores {
  readonly store: ObjectStore;
  readonly other: ObjectStore;
  dispose(): Promise<void>;
}

/** Promises that a store can't keep by its nature. */
export interface ContractLimits {
  /** True for a store with create-if-absent; the contract of others is that the probe says so (`creates.ts`). Default: true. */
  readonly creates?: boolean;
  /** True for a store that remembers which log names were deleted. Default: true. */
  readonly floors?: boolean;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const filled = (size: number, seed: number): Uint8Array => new Uint8Array(size).map((_, i) => (i * 31 + seed) & 255);

async function* stream(...pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

/** The contract of every backend. */
export function objectStoreContract(
  name: string,
  make: () => Promise<ContractStores>,
  { creates = true, floors = true }: ContractLimits = {},
): void {
  describe(`${name} is an object store`, () => {
    let stores: ContractStores;
    let store: ObjectStore;
    beforeEach(async () => {
      stores = await make();
      store = stores.store;
    });
    afterEach(() => stores.dispose());

    async function content(objectName: string, from: ObjectStore = store): Promise<Uint8Array | undefined> {
      const got = await from.get(objectName);
      return got.found ? got.bytes : undefined;
    }

    test("what was put is there, for others too, and may be replaced", async () => {
      await store.put("a/body/1", bytes("one"));
      expect(await content("a/body/1", stores.other)).toEqual(bytes("one"));
      await stores.other.put("a/body/1", bytes("two"));
      expect(await content("a/body/1")).toEqual(bytes("two"));
    });

    test("an unknown name is an answer", async () => {
      expect((await store.get("a/body/none")).found).toBe(false);
    });

    test.each([0, 1, 500, 40_000, 3_000_000])("an object of %i bytes comes back whole", async (size) => {
      for (const kind of ["body", "note"]) {
        await store.put(`a/${kind}/x`, filled(size, 1));
        const got = await store.get(`a/${kind}/x`);
        expect(got.found && got.size).toBe(size);
        expect(got.found && Buffer.compare(got.bytes, filled(size, 1))).toBe(0);
      }
    });

    test("ranges are cut off at the object's end", async () => {
      for (const size of [100, 100_000]) {
        await store.put("a/body/r", filled(size, 3));
        const range = async (start: number, end: number): Promise<number[] | undefined> => {
          const got = await store.get("a/body/r", { start, end });
          return got.found ? [...got.bytes] : undefined;
        };
        expect(await range(10, 20)).toEqual([...filled(size, 3).subarray(10, 20)]);
        expect(await range(size - 5, size + 50)).toEqual([...filled(size, 3).subarray(size - 5)]);
        expect(await range(size + 1, size + 9)).toEqual([]);
        expect(await range(7, 7)).toEqual([]);
      }
    });

    test("a range is the same in the caller's room, in one too small for it, and beside what is in it", async () => {
      for (const size of [1000, 300_000]) {
        await store.put("a/body/r", filled(size, 3));
        for (const length of [10, size / 2, size, size + 50])
          for (const room of [size + 100, 20].map((roomBytes) => new Uint8Array(roomBytes).fill(7))) {
            const got = await store.get("a/body/r", { start: 5, end: 5 + length }, { room });
            expect(got.found && Buffer.compare(got.bytes, filled(size, 3).subarray(5, 5 + length))).toBe(0);
            expect([...room.subarray(length)].every((byte) => byte === 7)).toBe(true);
          }
        const got = await store.get("a/body/r", { start: 0, end: 50 }, { room: new Uint8Array(100) });
        const kept = got.found && got.bytes.slice();
        await store.get("a/body/r", { start: 100, end: 150 }, { room: new Uint8Array(100) });
        expect(got.found && got.bytes).toEqual(kept);
      }
    });

    if (!creates)
      test("the probe finds that it has no create-if-absent", async () => {
        expect(await probeCreates(store, (size) => globalThis.crypto.getRandomValues(new Uint8Array(size)))).toBe(
          "none",
        );
        expect((await store.list("")).objects).toEqual([]);
      });
    else
      test("of sixteen who create one name one wins, and its bytes stay", async () => {
        for (let round = 0; round < 3; round++) {
          const tries = Array.from({ length: 16 }, (_, i) =>
            (i % 2 ? store : stores.other).putIfAbsent(`a/log/0000000000000${round}`, filled(300, i)),
          );
          const outcomes = (await Promise.all(tries)).map(({ outcome }) => outcome);
          expect(outcomes.filter((outcome) => outcome === "stored")).toHaveLength(1);
          expect(await content(`a/log/0000000000000${round}`)).toEqual(filled(300, outcomes.indexOf("stored")));
        }
      });

    // Where names are not remembered the bay's proof of the head does without.
    if (floors)
      test("a log entry that was deleted is not created again, nor one below it", async () => {
        const entry = (n: number): string => `a/log/${n.toString(16).padStart(14, "0")}`;
        for (let n = 1; n <= 3; n++) await store.putIfAbsent(entry(n), bytes(String(n)));
        await store.delete([entry(1), entry(2)]);
        expect((await stores.other.putIfAbsent(entry(1), bytes("again"))).outcome).toBe("exists");
        expect((await store.putIfAbsent(entry(2), bytes("again"))).outcome).toBe("exists");
        expect((await store.putIfAbsent(entry(4), bytes("4"))).outcome).toBe("stored");
        expect((await store.putIfAbsent("b/log/00000000000001", bytes("other account"))).outcome).toBe("stored");
      });

    test("lists are in order, under the prefix, after a name, up to a limit", async () => {
      const names = ["a/note/1", "a/note/2", "a/note/3", "a/note0", "a/notf/1", "b/note/1"];
      for (const each of names) await store.put(each, bytes(each));
      const list = async (prefix: string, options = {}): Promise<string[]> =>
        (await store.list(prefix, options)).objects.map((object) => object.name);
      expect(await list("a/note/")).toEqual(["a/note/1", "a/note/2", "a/note/3"]);
      expect(await list("a/note/", { after: "a/note/1" })).toEqual(["a/note/2", "a/note/3"]);
      expect(await list("a/note/", { limit: 2 })).toEqual(["a/note/1", "a/note/2"]);
      expect(await list("a/note")).toEqual(["a/note/1", "a/note/2", "a/note/3", "a/note0"]);
      expect(await list("c/")).toEqual([]);
      const [object] = (await store.list("b/")).objects;
      expect(object?.size).toBe(8);
    });

    test("deleting is done when it resolves, and again is no error", async () => {
      await store.put("a/body/d", filled(50_000, 1));
      await store.delete(["a/body/d", "a/body/none"]);
      await store.delete(["a/body/d"]);
      expect(await content("a/body/d", stores.other)).toBeUndefined();
      expect((await store.list("a/")).objects).toEqual([]);
    });

    test("a stream is stored as its pieces joined", async () => {
      const pieces = Array.from({ length: 40 }, (_, i) => filled(5_000 + i, i));
      await store.put("a/body/s", stream(...pieces));
      await store.put("a/body/tiny", stream(bytes("x")));
      expect(Buffer.compare((await content("a/body/s")) ?? new Uint8Array(0), Buffer.concat(pieces))).toBe(0);
      expect(await content("a/body/tiny")).toEqual(bytes("x"));
    });

    const along = (n: number): NewObject[] => [
      { name: `a/body/${n}`, content: filled(20_000, n) },
      { name: `a/body/${n}x`, content: filled(500_000, n) },
    ];
    async function expectStored(objects: readonly NewObject[]): Promise<void> {
      for (const { name, content: expected } of objects)
        expect(Buffer.compare((await content(name)) ?? new Uint8Array(0), expected)).toBe(0);
    }

    test("what goes along is stored with the object", async () => {
      await store.put("a/note/1", bytes("one"), { along: along(1) });
      await expectStored([{ name: "a/note/1", content: bytes("one") }, ...along(1)]);
    });

    if (creates)
      test("what goes along with a create is stored, also where its name is found taken", async () => {
        const made = await store.putIfAbsent("a/log/00000000000001", bytes("1"), { along: along(2) });
        const lost = await stores.other.putIfAbsent("a/log/00000000000001", bytes("2"), { along: along(3) });
        expect([made.outcome, lost.outcome]).toEqual(["stored", "exists"]);
        await expectStored([{ name: "a/log/00000000000001", content: bytes("1") }, ...along(2), ...along(3)]);
      });

    test("a stream that fails midway stores nothing", async () => {
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield filled(100_000, 1);
        throw new Error("client is gone");
      }
      await expect(store.put("a/body/b", broken())).rejects.toThrow("client is gone");
      expect(await content("a/body/b")).toBeUndefined();
    });

    test("bytes are the store's own once the promise resolves", async () => {
      const mine = filled(600, 5);
      await store.put("a/note/m", mine);
      mine.fill(0);
      const first = await content("a/note/m");
      expect(first).toEqual(filled(600, 5));
      first?.fill(0);
      expect(await content("a/note/m")).toEqual(filled(600, 5));
    });

    test("the store's dates don't run backwards", async () => {
      const first = await store.put("a/note/t1", bytes("1"));
      await store.put("a/note/t2", bytes("2"));
      const one = await store.get("a/note/t1");
      const two = await store.get("a/note/t2");
      if (!one.found || !two.found) throw new Error("lost");
      expect(one.created).toBeLessThanOrEqual(two.created);
      expect(two.created).toBeLessThanOrEqual(two.now);
      expect(first.now).toBeLessThanOrEqual(two.now);
    });

    test.each(["", "/a", "a//b", "a/../b", "a/\u0000", "ä", "x".repeat(600)])("the name %j is refused", async (bad) => {
      await expect(store.put(bad, bytes("x"))).rejects.toMatchObject({ code: "invalid" });
    });

    test("many at once all happen", async () => {
      await Promise.all(Array.from({ length: 300 }, (_, i) => store.put(`a/note/${i}`, filled(200, i))));
      expect((await store.list("a/note/")).objects).toHaveLength(300);
    });

    test("a watch rings after a write, by another process too, and not when it has ended", async () => {
      let rings = 0;
      let wake: () => void = () => undefined;
      const end = store.watch("a/log/", () => {
        rings++;
        wake();
      });
      const rung = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await stores.other.put("a/log/00000000000001", bytes("1"));
      await rung;
      end();
      const before = rings;
      await store.put("a/log/00000000000002", bytes("2"));
      await new Promise((resolve) => setTimeout(resolve, 60));
      expect(rings).toBe(before);
    });

    test("after dispose nothing is taken", async () => {
      await store.dispose();
      await expect(store.put("a/note/1", bytes("1"))).rejects.toMatchObject({ code: "closed" });
    });
  });
}
