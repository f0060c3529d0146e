import { describe, expect, test } from "vitest";
import { hash, ready } from "../crypto/index.ts";
import { type Fault, MemoryPlace } from "../storage/memory.ts";
import { LinearBay } from "./linear-bay.ts";
import type { Machine, Sealer } from "./machine.ts";
import type { PageStore, Snapshots } from "./snapshots.ts";
import type { WriterId } from "./writer.ts";

await ready;

/** A state of texts, in the order in which they were pushed; the outcome is how many there are. */
const machine: Machine<string[], string, number> = {
  initial: () => [],
  encodeOp: (op) => new TextEncoder().encode(op),
  decodeOp: (bytes) => new TextDecoder().decode(bytes),
  applyBlock: (state, ops) => ops.map(({ op }) => state.push(op)),
};
/** Seals by saying what it is: enough to see that the right thing is opened. */
const sealer: Sealer = {
  seal: (kind, id, content) => new Uint8Array(Buffer.concat([Buffer.from(`${kind} ${id}\n`), content])),
  open(kind, id, bytes) {
    const head = `${kind} ${id}\n`;
    if (Buffer.from(bytes).subarray(0, head.length).toString() !== head) throw new RangeError("another object");
    return bytes.subarray(head.length);
  },
  hash,
};
const snapshots: Snapshots<string[]> = {
  capture: (state) => {
    const copy = [...state];
    return {
      covers: 0,
      write: async () => new TextEncoder().encode(JSON.stringify(copy)),
      commit: () => undefined,
      abandon: () => undefined,
    };
  },
  load: async (body) => JSON.parse(new TextDecoder().decode(body)) as string[],
};
const pages: PageStore = { write: async () => "", read: async () => new Uint8Array(0) };

let writers = 0;
function open(place: MemoryPlace): Promise<LinearBay<string[], string, number>> {
  return LinearBay.open({
    store: place.open(),
    prefix: "a/",
    machine,
    sealer,
    snapshots,
    pages,
    writer: (++writers).toString(16).padStart(16, "0") as WriterId,
    delay: async () => undefined,
  });
}
const log = (place: MemoryPlace): string[] => [...place.objects.keys()].filter((name) => name.includes("/log/")).sort();

describe("the log", () => {
  test("of two who write at once both succeed, in one order that both see", async () => {
    const place = new MemoryPlace();
    const [one, two] = await Promise.all([open(place), open(place)]);
    const pushes = Array.from({ length: 20 }, (_, i) => (i % 2 ? one : two).push({ op: String(i) }));
    await Promise.all(pushes);
    await Promise.all([one.sync(), two.sync()]);
    expect(one.state).toEqual(two.state);
    expect([...one.state].sort()).toEqual(Array.from({ length: 20 }, (_, i) => String(i)).sort());
    expect((await open(place)).state).toEqual(one.state);
  });

  test("what is pushed while one is on its way rides in one entry", async () => {
    const place = new MemoryPlace();
    const bay = await open(place);
    await Promise.all(Array.from({ length: 50 }, (_, i) => bay.push({ op: String(i) })));
    expect(log(place).length).toBeLessThanOrEqual(2);
    expect(bay.state).toHaveLength(50);
  });

  test("an answer that is lost at any write leaves the op there once, and resolves", async () => {
    for (let lost = 0; lost < 6; lost++) {
      const place = new MemoryPlace();
      const [one, two] = await Promise.all([open(place), open(place)]);
      let writes = 0;
      place.fault = (operation): Fault | undefined =>
        operation === "putIfAbsent" && writes++ === lost ? { kind: "lost-answer" } : undefined;
      const outcomes = await Promise.all([one.push({ op: "a" }), two.push({ op: "b" }), one.push({ op: "c" })]);
      await Promise.all([one.sync(), two.sync()]);
      expect([...one.state].sort()).toEqual(["a", "b", "c"]);
      expect(two.state).toEqual(one.state);
      expect(new Set(outcomes).size).toBe(3);
    }
  });

  test("a write that is refused is told so, and the next one is right", async () => {
    const place = new MemoryPlace();
    const bay = await open(place);
    place.fault = (operation) => (operation === "putIfAbsent" ? { kind: "unavailable" } : undefined);
    await expect(bay.push({ op: "a" })).rejects.toMatchObject({ code: "unavailable" });
    place.fault = () => undefined;
    await bay.push({ op: "b" });
    expect(bay.state).toEqual(["b"]);
  });

  test("an outcome that stays unknown is told as that; the late write is seen, once, and nothing after it is lost", async () => {
    const place = new MemoryPlace();
    const bay = await open(place);
    const late: (() => void)[] = [];
    place.fault = (operation) =>
      operation === "putIfAbsent" ? { kind: "late", release: (run) => late.push(run) } : undefined;
    await expect(bay.push({ op: "a" })).rejects.toMatchObject({ code: "unknown-outcome" });
    place.fault = () => undefined;
    for (const run of late) run();
    await bay.push({ op: "b" });
    expect(bay.state).toEqual(["a", "b"]);
    expect((await open(place)).state).toEqual(["a", "b"]);
  });

  test("an entry that was changed, swapped, left out or made of another's is found out", async () => {
    const place = new MemoryPlace();
    const bay = await open(place);
    for (const op of ["a", "b", "c"]) await bay.push({ op });
    const good = place.snapshot();
    const [first, second, third] = log(place);
    const damage: Record<string, () => void> = {
      changed: () => {
        const bytes = place.objects.get(second!)!.bytes.slice();
        bytes[bytes.length - 1]! ^= 1;
        place.write(second!, bytes);
      },
      swapped: () => {
        const [a, b] = [place.objects.get(first!)!.bytes, place.objects.get(second!)!.bytes];
        place.write(first!, b);
        place.write(second!, a);
      },
      "cut off": () => place.write(third!, place.objects.get(third!)!.bytes.slice(0, 10)),
      "another's": () => place.write(second!, place.objects.get(third!)!.bytes),
    };
    for (const [what, harm] of Object.entries(damage)) {
      harm();
      await expect(open(place), what).rejects.toMatchObject({ code: "corrupt" });
      place.rollback(good);
    }
    expect((await open(place)).state).toEqual(["a", "b", "c"]);
  });

  test("a shortened log, or another of the same length, is found out by who has seen more", async () => {
    const place = new MemoryPlace();
    const bay = await open(place);
    await bay.push({ op: "a" });
    const old = place.snapshot();
    await bay.push({ op: "b" });
    const { witness } = bay;
    const openWith = () =>
      LinearBay.open({
        store: place.open(),
        prefix: "a/",
        machine,
        sealer,
        snapshots,
        pages,
        witness,
        writer: "00000000000000ff" as WriterId,
        delay: async () => undefined,
      });
    expect((await openWith()).rolledBack).toBe(false);
    place.rollback(old);
    const short = await openWith();
    expect(short.rolledBack).toBe(true);
    await expect(short.push({ op: "x" })).rejects.toMatchObject({ code: "not-permitted" });
    await (await open(place)).push({ op: "other" });
    expect((await openWith()).rolledBack).toBe(true);
  });

  test("requests: an opening reads each entry once; a push is one write; a sync with nothing new is one read", async () => {
    const place = new MemoryPlace();
    const bay = await open(place);
    for (let i = 0; i < 5; i++) await bay.push({ op: String(i) });
    const counted = async (run: () => Promise<unknown>): Promise<Record<string, number>> => {
      const before = { ...place.counts };
      await run();
      return Object.fromEntries(
        Object.entries(place.counts)
          .map(([kind, count]) => [kind, count - before[kind as keyof typeof before]])
          .filter(([, count]) => count !== 0),
      );
    };
    expect(await counted(() => bay.push({ op: "x" }))).toEqual({ putIfAbsent: 1 });
    expect(await counted(() => bay.sync())).toEqual({ get: 1 });
    expect(await counted(() => open(place))).toEqual({ list: 1, get: 7 });
    await bay.checkpoint(() => "checkpoint");
    expect(await counted(() => open(place))).toEqual({ list: 1, get: 3 });
  });
});
