import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hash, ready } from "../crypto/index.ts";
import type { EngineError } from "../errors.ts";
import { type Fault, MemoryPlace } from "../storage/memory.ts";
import { memoryPages } from "../testing/checkpoint-kit.ts";
import { PROOF_MS, type Witness } from "./applied-log.ts";
import { BARRED } from "./bay.ts";
import { encodeHead, entryName, joinEntry } from "./entry.ts";
import { LinearBay } from "./linear-bay.ts";
import type { Machine, Sealer } from "./machine.ts";
import { NOWHERE, position } from "./position.ts";
import type { CaptureSource, LoadState } from "./snapshots.ts";
import type { WriterId } from "./writer.ts";

await ready;

/** A state of texts, in the order in which they were pushed; the outcome is how many there are. */
const machine: Machine<string[], string, number> = {
  initial: () => [],
  encodeOp: (op) => new TextEncoder().encode(op),
  decodeOp(bytes) {
    const op = new TextDecoder().decode(bytes);
    if (op === "unreadable") throw new RangeError("no op");
    return op;
  },
  isEssential: (op) => op.startsWith("essential"),
  apply: (state, { op }) => ({ next: () => ({ done: true, value: state.push(op) }) }),
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
const capture: CaptureSource<string[]> = (state) => {
  const copy = [...state];
  return {
    emails: 0,
    numbering: NOWHERE,
    sweeps: false,
    write: async () => new TextEncoder().encode(JSON.stringify(copy)),
    commit: () => undefined,
    abandon: () => undefined,
  };
};
const load: LoadState<string[]> = async (body) => JSON.parse(new TextDecoder().decode(body)) as string[];
const pages = memoryPages();
/** Makes a checkpoint and announces it, as an op of these tests is: by a text. */
async function checkpoint(bay: LinearBay<string[], string, number>): Promise<void> {
  const captured = await bay.capture(capture, "changes");
  await captured.write();
  await bay.push({ op: "checkpoint" });
  captured.commit();
}

let writers = 0;
function open(
  place: MemoryPlace,
  witness?: Witness,
  breathe?: () => Promise<void>,
  writer: string = (++writers).toString(16).padStart(16, "0"),
): Promise<LinearBay<string[], string, number>> {
  return LinearBay.open({
    store: place.open(),
    witness,
    breathe,
    prefix: "a/",
    machine,
    sealer,
    load,
    pages,
    openEnd: (bytes) =>
      bytes[4] === 1 ? { reason: "deleted", entry: position(bytes[5]!), previous: new Uint8Array(32) } : undefined,
    writer: writer as WriterId,
    delay: async () => undefined,
    monotonic: () => 0,
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

  test("an op that comes again in a later entry is skipped: it was applied", async () => {
    const place = new MemoryPlace();
    const one = await open(place, undefined, undefined, "0000000000000abc");
    await one.push({ op: "a" });
    await one.push({ op: "b" });
    const again = (n: number, sequence: number, ...ops: readonly string[]): Promise<unknown> => {
      const previous = hash(place.objects.get(`a/${entryName(position(n - 1))}`)!.bytes);
      const written = ops.map((op) => ({ bytes: machine.encodeOp(op), attachmentLengths: [] }));
      const head = encodeHead({
        writer: "0000000000000abc" as WriterId,
        sequence,
        previous,
        deps: n - 1,
        ops: written,
      });
      const sealed = sealer.seal("entry", String(n), head);
      return place.open().putIfAbsent(`a/${entryName(position(n))}`, joinEntry(sealed, []));
    };
    await again(3, 1, "a");
    await again(4, 2, "b", "c");
    await one.sync();
    expect([one.state, (await open(place)).state]).toEqual([
      ["a", "b", "c"],
      ["a", "b", "c"],
    ]);
  });

  test("what is pushed while one is on its way rides in one entry", async () => {
    const place = new MemoryPlace();
    const bay = await open(place);
    await Promise.all(Array.from({ length: 50 }, (_, i) => bay.push({ op: String(i) })));
    expect(log(place).length).toBeLessThanOrEqual(2);
    expect(bay.state).toHaveLength(50);
  });

  test("others have their turn while a long log is read", async () => {
    const place = new MemoryPlace();
    const one = await open(place);
    for (let n = 0; n < 20; n++) await one.push({ op: "x".repeat(50_000) });
    let breaths = 0;
    const opened = await open(place, undefined, async () => {
      breaths++;
    });
    // A megabyte.
    expect(breaths).toBeGreaterThanOrEqual(6);
    expect(opened.state).toEqual(one.state);
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

  test("an op that could not be read again is never stored", async () => {
    const place = new MemoryPlace();
    const bay = await open(place);
    await expect(bay.push({ op: "unreadable" })).rejects.toThrow("no op");
    await bay.push({ op: "b" });
    expect([(await open(place)).state, log(place).length]).toEqual([["b"], 1]);
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

  test("an entry that was changed, swapped, cut off or made of another's is found out: what comes before it is read, and nothing pushed", async () => {
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
    const left: Record<string, string[]> = { changed: ["a"], "cut off": ["a", "b"], "another's": ["a"] };
    for (const [what, harm] of Object.entries(damage)) {
      harm();
      if (left[what]) {
        const opener = await open(place, bay.witness);
        expect([what, opener.state, opener.barred]).toEqual([what, left[what], "damaged"]);
        await expect(opener.push({ op: "x" })).rejects.toMatchObject({ code: "not-permitted" });
        await opener.sync();
        place.rollback(good);
        // Entries that the store shows again are read on from there.
        await opener.sync();
        expect([opener.state, opener.barred]).toEqual([["a", "b", "c"], undefined]);
      } else await expect(open(place), what).rejects.toMatchObject({ code: "corrupt" });
      place.rollback(good);
    }
    expect((await open(place)).state).toEqual(["a", "b", "c"]);
  });

  test("who has the log open meets damage as who opens it, by a sync and by a push", async () => {
    const place = new MemoryPlace();
    const [reader, pusher] = [await open(place), await open(place)];
    const elsewhere = new MemoryPlace();
    await (await open(elsewhere)).push({ op: "a" });
    const [first] = log(elsewhere);
    place.write(first!, new Uint8Array(9));
    await reader.sync();
    expect([reader.state, reader.barred]).toEqual([[], "damaged"]);
    await expect(pusher.push({ op: "b" })).rejects.toMatchObject({ code: "not-permitted" });
    expect([pusher.barred, log(place)]).toEqual(["damaged", [first]]);
    place.write(first!, elsewhere.objects.get(first!)!.bytes);
    await pusher.sync();
    await pusher.push({ op: "b" });
    await reader.sync();
    expect(reader.state).toEqual(["a", "b"]);
  });

  test("a shortened log, or another of the same length, is found out by who has seen more", async () => {
    const place = new MemoryPlace();
    const bay = await open(place);
    await bay.push({ op: "a" });
    const old = place.snapshot();
    await bay.push({ op: "b" });
    const { witness } = bay;
    const openWith = () => open(place, witness);
    expect((await openWith()).isRolledBack).toBe(false);
    place.rollback(old);
    const short = await openWith();
    expect(short.isRolledBack).toBe(true);
    await expect(short.push({ op: "x" })).rejects.toMatchObject({ code: "not-permitted" });
    await (await open(place)).push({ op: "other" });
    expect((await openWith()).isRolledBack).toBe(true);
  });

  test("entries of two histories of one account do not mix, though each opens at its number", async () => {
    const place = new MemoryPlace();
    const bay = await open(place);
    await bay.push({ op: "a" });
    const fork = place.snapshot();
    for (const op of ["b", "c"]) await bay.push({ op });
    const third = log(place)[2]!;
    const { bytes } = place.objects.get(third)!;
    place.rollback(fork);
    await (await open(place)).push({ op: "other" });
    place.write(third, bytes);
    const opener = await open(place);
    expect([opener.state, opener.barred]).toEqual([["a", "other"], "damaged"]);
  });

  test("a missing last entry is found out by who has seen it; nothing is pushed upon the rest", async () => {
    const place = new MemoryPlace();
    const bay = await open(place);
    for (const op of ["a", "b", "c"]) await bay.push({ op });
    const good = place.snapshot();
    place.objects.delete(log(place).at(-1)!);
    const opener = await open(place, bay.witness);
    expect(opener.isRolledBack).toBe(true);
    await expect(opener.push({ op: "x" })).rejects.toMatchObject({ code: "not-permitted" });
    place.rollback(good);
    expect((await open(place, bay.witness)).isRolledBack).toBe(false);
  });

  test("a history that was accepted is not held against what was seen before", async () => {
    const place = new MemoryPlace();
    const bay = await open(place);
    for (const op of ["a", "b", "c"]) await bay.push({ op });
    place.objects.delete(log(place).at(-1)!);
    const opener = await open(place, bay.witness);
    expect(opener.isRolledBack).toBe(true);
    opener.acceptHistory();
    await opener.push({ op: "x" });
    expect(opener.witness.entry).toBe(bay.witness.entry);
    expect(opener.isRolledBack).toBe(false);
  });

  test("a missing entry with others behind it is found out by anyone: nothing is written into the gap", async () => {
    const place = new MemoryPlace();
    const bay = await open(place);
    for (const op of ["a", "b", "c"]) await bay.push({ op });
    const good = place.snapshot();
    for (const name of log(place).slice(0, -1))
      for (const witness of [undefined, bay.witness]) {
        const isFirst = name === log(place)[0];
        place.objects.delete(name);
        if (!isFirst) {
          const opener = await open(place, witness);
          expect([opener.state, opener.barred]).toEqual([["a"], "damaged"]);
          await expect(opener.push({ op: "x" })).rejects.toMatchObject({ code: "not-permitted" });
        } else await expect(open(place, witness), name).rejects.toMatchObject({ code: "corrupt" });
        place.rollback(good);
      }
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
    expect(await counted(() => open(place))).toEqual({ list: 2, get: 6 });
    await checkpoint(bay);
    expect(await counted(() => open(place))).toEqual({ list: 2, get: 2 });
  });
});

type Told = "stored" | "unavailable" | "unknown-outcome";

/** Pushes and remembers what was told of each op, which must be one of three things. */
class Teller {
  readonly #told = new Map<string, Told>();
  readonly #underWay: Promise<void>[] = [];

  push(bay: LinearBay<string[], string, number>, op: string): Promise<void> {
    const tell = (told: Told): void => void this.#told.set(op, told);
    const done = bay.push({ op }).then(
      () => tell("stored"),
      (error: unknown) => {
        expect(error).toMatchObject({ code: expect.stringMatching(/^(unavailable|unknown-outcome)$/) });
        tell((error as { readonly code: Told }).code);
      },
    );
    this.#underWay.push(done);
    return done;
  }

  /** Checks the log: an op that was told to be stored is there once, one that was told not to be is not there, any other is
   * there once or not at all; and all readers see the same. Returns what was told. */
  async check(place: MemoryPlace, bays: readonly LinearBay<string[], string, number>[]): Promise<readonly Told[]> {
    await Promise.all(this.#underWay);
    for (const bay of bays) await bay.sync();
    const { state } = await open(place);
    for (const bay of bays) expect(bay.state).toEqual(state);
    for (const [op, told] of this.#told) {
      const times = state.filter((other) => other === op).length;
      const possible = { stored: [1], unavailable: [0], "unknown-outcome": [0, 1] }[told];
      expect(possible, `${op} was told ${told}`).toContain(times);
    }
    expect(state.every((op) => this.#told.has(op))).toBe(true);
    return [...this.#told.values()];
  }
}

describe("faults at any put", () => {
  type Kind = "lost-answer" | "unavailable" | "late";

  /** Strikes the puts whose numbers `strike` has; late ones are done when `releaseAll` is called, or at the put after. */
  function arm(place: MemoryPlace, strike: (put: number) => Kind | undefined, keepLate = false): () => void {
    const late: (() => void)[] = [];
    const releaseAll = (): void => {
      for (const run of late.splice(0)) run();
    };
    let puts = 0;
    place.fault = (operation): Fault | undefined => {
      if (operation !== "putIfAbsent") return undefined;
      if (!keepLate) releaseAll();
      const kind = strike(puts++);
      return kind === "late" ? { kind, release: (run) => late.push(run) } : kind && { kind };
    };
    return releaseAll;
  }

  const kinds: readonly Kind[] = ["lost-answer", "unavailable", "late"];
  for (const kind of kinds)
    test(`${kind}: of six ops by two writers none is there twice, none that was acknowledged is missing`, async () => {
      for (const keepLate of [false, true])
        for (let first = 0; first < 8; first++)
          for (let count = 1; count <= 3; count++) {
            const place = new MemoryPlace();
            const bays = [await open(place), await open(place)] as const;
            const releaseAll = arm(place, (put) => (put >= first && put < first + count ? kind : undefined), keepLate);
            const teller = new Teller();
            for (let op = 0; op < 6; op++) {
              const done = teller.push(bays[op % 2]!, String(op));
              if (op % 3 === 2) await done;
            }
            await Promise.all([bays[0].sync(), bays[1].sync()]);
            releaseAll();
            const told = await teller.check(place, bays);
            // A fault that passes is no more than a retry, unless the store said that nothing was done.
            if (kind !== "unavailable") expect(told).toEqual(Array(6).fill("stored"));
          }
    });

  test("a store that stops answering: what it did is unknown, whenever it was done; the next push is right", async () => {
    for (const kind of ["lost-answer", "late"] as const)
      for (const releaseFirst of [true, false])
        for (let first = 0; first < 4; first++) {
          const place = new MemoryPlace();
          const bays = [await open(place), await open(place)] as const;
          const releaseAll = arm(place, (put) => (put >= first ? kind : undefined), true);
          const teller = new Teller();
          for (let op = 0; op < 4; op++) await teller.push(bays[op % 2]!, String(op));
          place.fault = () => undefined;
          if (releaseFirst) releaseAll();
          for (const [who, bay] of bays.entries()) await teller.push(bay, `after ${who}`);
          releaseAll();
          const told = await teller.check(place, bays);
          expect(told.slice(0, first)).toEqual(Array(first).fill("stored"));
          expect(told.slice(4)).toEqual(["stored", "stored"]);
          expect(told).toContain("unknown-outcome");
        }
  });

  test("random faults, pushes at once and one after another, reads between", async () => {
    const fault = fc.option(fc.constantFrom(...kinds), { freq: 2, nil: undefined });
    const step = fc.record({ who: fc.constantFrom(0, 1), waits: fc.boolean(), syncs: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 2, maxLength: 14 }),
        fc.array(fault, { maxLength: 30 }),
        fc.boolean(),
        async (steps, faults, keepLate) => {
          const place = new MemoryPlace();
          const bays = [await open(place), await open(place)] as const;
          const releaseAll = arm(place, (put) => faults[put], keepLate);
          const teller = new Teller();
          for (const [op, { who, waits, syncs }] of steps.entries()) {
            const done = teller.push(bays[who as 0 | 1], String(op));
            if (waits) await done;
            if (syncs) await bays[1 - who]!.sync();
          }
          await Promise.all(bays.map((bay) => bay.sync()));
          releaseAll();
          await teller.check(place, bays);
        },
      ),
      { numRuns: 200 },
    );
  });
});

test("a lost answer, and then a store that can't be read: the outcome is unknown, never refused", async () => {
  const place = new MemoryPlace();
  const bay = await open(place);
  let writes = 0;
  place.fault = (operation): Fault | undefined => {
    if (operation === "get") return { kind: "unavailable" };
    return operation === "putIfAbsent" && writes++ === 0 ? { kind: "lost-answer" } : undefined;
  };
  await expect(bay.push({ op: "a" })).rejects.toMatchObject({ code: "unknown-outcome" });
  place.fault = () => undefined;
  await bay.push({ op: "b" });
  expect(bay.state).toEqual(["a", "b"]);
});

describe("a witness of before the checkpoint that a log is opened by", () => {
  /** A log that one host wrote, and what that saw of it on the way; set back to its beginning if `isSetBack`, and written on by
   * another host as far and further, whose checkpoint then covers all that is left of it. */
  async function writtenOn(isSetBack: boolean) {
    const place = new MemoryPlace();
    const one = await open(place);
    const seen: Witness[] = [];
    let old = place.snapshot();
    for (let n = 1; n <= 9; n++) {
      await one.push({ op: String(n) });
      seen.push(one.witness);
      if (n === 3) old = place.snapshot();
    }
    if (isSetBack) place.rollback(old);
    const other = await open(place);
    for (let n = 0; n < 9; n++) await other.push({ op: `other ${n}` });
    await checkpoint(other);
    const covered = log(place).slice(0, -1);
    await place.open().delete(covered);
    return { place, seen };
  }

  test("is compared with what the checkpoint keeps: another history is found out", async () => {
    const { place, seen } = await writtenOn(true);
    for (const witness of seen)
      expect([witness.entry, (await open(place, witness)).isRolledBack]).toEqual([witness.entry, witness.entry > 3]);
  });

  test.each([
    ["set back", "sync"],
    ["set back", "push"],
    ["as it was", "sync"],
    ["as it was", "push"],
  ])("so is what a process had applied itself before it slept, in a log %s, by its next %s", async (what, does) => {
    const place = new MemoryPlace();
    const first = await open(place);
    for (let n = 1; n <= 9; n++) await first.push({ op: String(n) });
    // Its first entries are in both histories.
    const sleeper = await open(place, first.witness);
    const old = place.snapshot();
    await sleeper.push({ op: "10" });
    // Nobody hears of what is written elsewhere.
    const elsewhere = new MemoryPlace();
    elsewhere.rollback(what === "set back" ? old : place.snapshot());
    const other = await open(elsewhere);
    for (let n = 0; n < 9; n++) await other.push({ op: `other ${n}` });
    await checkpoint(other);
    await elsewhere.open().delete(log(elsewhere).slice(0, -1));
    place.rollback(elsewhere.snapshot());
    place.now = () => 2 * PROOF_MS;
    if (does === "sync") await sleeper.sync();
    const told = await sleeper.push({ op: "x" }).catch((error: EngineError) => error.message);
    const isSetBack = what === "set back";
    expect([told, sleeper.barred]).toEqual(isSetBack ? [BARRED["rolled-back"], "rolled-back"] : [21, undefined]);
    expect((await open(place)).state.includes("x")).toBe(!isSetBack);
  });

  test("one that goes further than the checkpoint is compared with the entries behind it", async () => {
    const { place } = await writtenOn(false);
    const { witness } = await open(place);
    const opened = await open(place, witness);
    expect([witness.entry, opened.isRolledBack, opened.isUncompared]).toEqual([19, false, false]);
    const other = { ...witness, hash: new Uint8Array(32) };
    expect((await open(place, other)).isRolledBack).toBe(true);
  });

  test("is kept where damage stops the reading short of it, and compared with what the log goes on by", async () => {
    const place = new MemoryPlace();
    const one = await open(place);
    for (let n = 1; n <= 9; n++) await one.push({ op: String(n) });
    const whole = place.snapshot();
    place.write(log(place)[5]!, new Uint8Array(9));
    const opener = await open(place, one.witness);
    expect([opener.position, opener.barred]).toEqual([5, "damaged"]);
    // Entries 6 to 9 are others now.
    const elsewhere = new MemoryPlace();
    elsewhere.rollback(whole);
    for (const name of log(elsewhere).slice(5)) elsewhere.objects.delete(name);
    const other = await open(elsewhere);
    for (let n = 0; n < 9; n++) await other.push({ op: `other ${n}` });
    await checkpoint(other);
    for (const name of log(elsewhere).slice(0, -1)) elsewhere.objects.delete(name);
    place.rollback(elsewhere.snapshot());
    place.now = () => 2 * PROOF_MS;
    await opener.sync();
    expect([opener.position, opener.isRolledBack]).toEqual([15, true]);
  });

  test("and the same history is taken for what it is", async () => {
    const { place, seen } = await writtenOn(false);
    for (const witness of seen) {
      const opened = await open(place, witness);
      expect([opened.isRolledBack, opened.isUncompared]).toEqual([false, false]);
    }
  });
});
