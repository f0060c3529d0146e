import { cpSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ObjectStore, StoreError } from "../../storage/object-store.ts";
import { stride } from "../../testing/extent.ts";
import { settleEmbeddedStore } from "./backup.ts";
import { DamagedStore, findDamage } from "./damaged-store.ts";
import { REPAIRED } from "./protocol.ts";
import { rebuildEmbeddedStore } from "./rebuild.ts";
import { openEmbeddedStore } from "./store.ts";

/** A store of which one page is lost or spoilt: each page in turn. */
const PAGE = 4096;
let root: string;
/** Objects of the sound store. */
const whole = new Map<string, Uint8Array>();
const onFatal = (message: string): never => {
  throw new Error(message);
};
const open = (folder: string): Promise<ObjectStore> => openEmbeddedStore({ folder, onFatal, reserveBytes: 0 });
const sound = (): string => join(root, "sound");
const content = (seed: number, size: number): Buffer => Buffer.alloc(size, `object ${seed} `);
const entry = (n: number): string => `account/log/${n.toString(16).padStart(14, "0")}`;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "restante-damage-"));
  const store = await open(sound());
  const put = async (name: string, bytes: Uint8Array): Promise<void> => {
    await store.put(name, bytes);
    whole.set(name, bytes);
  };
  for (let n = 1; n <= 70; n++) await put(entry(n), content(n, n % 20 === 0 ? 20_000 : 150));
  for (let n = 0; n < 40; n++) await put(`account/note/${content(n, 60).toString("hex")}`, content(n, 400));
  for (let n = 0; n < 3; n++) await put(`account/body/${n}`, content(n, 200_000));
  await put("store/creates", content(1, 40));
  await store.put("gone/log/00000000000005", content(5, 10));
  await store.delete(["gone/log/00000000000005"]);
  await store.delete(Array.from({ length: 30 }, (_, n) => entry(n + 1)));
  for (let n = 1; n <= 30; n++) whole.delete(entry(n));
  await store.dispose();
  settleEmbeddedStore(sound());
});
afterAll(() => rm(root, { recursive: true }));

type Spoil = (page: Buffer) => void;
const SPOILS: Readonly<Record<string, Spoil>> = {
  zeroed: (page) => page.fill(0),
  garbled: (page) => {
    for (let at = 0; at < page.length; at++) page[at] = (at * 7919 + 13) & 0xff;
  },
  cut: (page) => page.fill(0, 1000),
  "of another kind": (page) => (page[0] = 0x63),
};

function* damagedCopies(spoil: Spoil, step = stride(9)): Generator<{ folder: string; page: number }> {
  const bytes = readFileSync(join(sound(), "store.sqlite"));
  expect(bytes.length).toBeGreaterThan(20 * PAGE);
  for (let page = 1; page <= bytes.length / PAGE; page += step) {
    const folder = join(root, `page-${page}`);
    cpSync(sound(), folder, { recursive: true });
    const copy = Buffer.from(bytes);
    spoil(copy.subarray((page - 1) * PAGE, page * PAGE));
    writeFileSync(join(folder, "store.sqlite"), copy);
    yield { folder, page };
  }
}

/** All objects that can be read; what is asked for and damaged is undefined. */
async function readAll(store: ObjectStore): Promise<Map<string, Uint8Array | undefined>> {
  const found = new Map<string, Uint8Array | undefined>();
  for (const { name } of (await store.list("")).objects)
    found.set(
      name,
      await store.get(name).then(
        (got) => (got.found ? got.bytes : undefined),
        (error: unknown) => {
          expect(error).toMatchObject({ name: "StoreError", code: "damaged" });
          return undefined;
        },
      ),
    );
  return found;
}

const same = (one: Uint8Array | undefined, other: Uint8Array): boolean =>
  one !== undefined && Buffer.compare(one, other) === 0;

test.each(Object.keys(SPOILS))(
  "whichever page is %s, all errors are the store's own, and say what to do",
  async (spoil) => {
    for (const { folder, page } of damagedCopies(SPOILS[spoil]!)) {
      const told = (error: unknown): void => {
        expect(error, `page ${page}`).toBeInstanceOf(StoreError);
        if ((error as StoreError).code === "damaged")
          expect((error as StoreError).message).toMatch(
            /stop the server, copy its folder, then run: restante check --repair$/,
          );
      };
      const store = await open(folder).catch(told);
      if (store) {
        await store.list("").catch(told);
        for (const name of whole.keys())
          for (const range of [undefined, { start: 0, end: 5000 }, { start: 9000, end: 9001 }])
            await store.get(name, range).catch(told);
        await store.put("account/note/new", new Uint8Array(1)).catch(told);
        await store.delete(["account/note/new", entry(31)]).catch(told);
        const end = store.watch("account/note/", () => undefined);
        end();
        await store.dispose();
      }
      // No file of a body was taken for one that no row names.
      expect(await readdir(join(folder, "objects")), `page ${page}`).toHaveLength(3);
      await rm(folder, { recursive: true });
    }
  },
  120_000,
);

test.each(Object.keys(SPOILS))(
  "whichever page is %s, the rest is read, and what is lost is named",
  async (spoil) => {
    for (const { folder, page } of damagedCopies(SPOILS[spoil]!)) {
      const damaged = new DamagedStore(folder);
      const found = await readAll(damaged);
      expect([...found.keys()].sort(), `page ${page}`).toEqual([...whole.keys()].sort());
      const lost = [...whole].filter(([name, bytes]) => !same(found.get(name), bytes)).map(([name]) => name);
      // A page holds so many rows, or a piece of one.
      expect(lost.length, `page ${page}`).toBeLessThanOrEqual(30);
      // A lost object is not read as an empty one.
      expect([...found.values()].filter((bytes) => bytes?.length === 0)).toEqual([]);
      // An object with a file is whole by the indexes alone.
      expect(
        lost.filter((name) => name.includes("/body/")),
        `page ${page}`,
      ).toEqual([]);
      expect(damaged.problems.filter((problem) => problem.includes("/body/"))).toEqual([]);
      await damaged.dispose();
      await rm(folder, { recursive: true });
    }
  },
  120_000,
);

test.each(Object.keys(SPOILS))(
  "whichever page is %s, the store is made anew; no name is lost or free again",
  async (spoil) => {
    let forgotten = 0;
    const counters = new DatabaseSync(join(sound(), "store.sqlite"));
    const { row } = counters.prepare("SELECT row FROM counters").get() as { row: number };
    counters.close();
    for (const { folder, page } of damagedCopies(SPOILS[spoil]!)) {
      const { damage } = rebuildEmbeddedStore(folder);
      expect(findDamage(folder), `page ${page}`).toEqual([]);
      const store = await open(folder);
      const found = await readAll(store);
      expect([...found.keys()].sort(), `page ${page}`).toEqual([...whole.keys()].sort());
      const lost = [...whole].filter(([name, bytes]) => !same(found.get(name), bytes)).length;
      expect(lost, `page ${page}`).toBeLessThanOrEqual(damage.length === 0 ? 1 : 30);
      // Names that were deleted or lost are not free.
      expect(await store.putIfAbsent(entry(30), new Uint8Array(1)), `page ${page}`).toMatchObject({
        outcome: "exists",
      });
      expect(await store.putIfAbsent(entry(70), new Uint8Array(1))).toMatchObject({ outcome: "exists" });
      expect(await store.putIfAbsent(entry(71), new Uint8Array(1))).toMatchObject({ outcome: "stored" });
      const { outcome } = await store.putIfAbsent("gone/log/00000000000005", new Uint8Array(1));
      if (outcome === "stored") forgotten++;
      await store.dispose();
      const rows = new DatabaseSync(join(folder, "store.sqlite"));
      const newest = rows.prepare("SELECT row FROM objects WHERE name = ?").get(entry(71)) as { row: number };
      expect(newest.row, `page ${page}`).toBeGreaterThan(row - (page <= 10 ? 30 : 0));
      rows.close();
      await rm(folder, { recursive: true });
    }
    // A log of which nothing is left is known by its own page alone.
    expect(forgotten).toBeLessThanOrEqual(1);
  },
  120_000,
);

test("what was written last is read too, out of the write-ahead log of a process that was killed", async () => {
  const folder = join(root, "killed");
  cpSync(sound(), folder, { recursive: true });
  const store = await open(folder);
  await store.put("account/note/last", content(9, 9000));
  await store.put("account/note/later", content(8, 80));
  const copy = join(root, "killed-copy");
  cpSync(folder, copy, { recursive: true });
  const log = readFileSync(join(folder, "store.sqlite-wal"));
  await store.dispose();
  const damaged = new DamagedStore(copy);
  const found = await readAll(damaged);
  await damaged.dispose();
  expect(found.size).toBe(whole.size + 2);
  expect(same(found.get("account/note/last"), content(9, 9000))).toBe(true);
  expect(same(found.get("account/note/later"), content(8, 80))).toBe(true);

  // Repaired, the old log is out of the new database's way.
  const path = join(copy, "store.sqlite");
  writeFileSync(path, readFileSync(path).fill(0, 6 * PAGE, 7 * PAGE));
  const { kept } = rebuildEmbeddedStore(copy);
  expect(existsSync(`${kept}-wal`)).toBe(true);
  expect(findDamage(copy)).toEqual([]);

  // The last commit was cut off: what came before it counts, and nothing of it.
  const torn = join(root, "torn");
  cpSync(sound(), torn, { recursive: true });
  log[log.length - 1]! ^= 1;
  writeFileSync(join(torn, "store.sqlite-wal"), log);
  const cut = new DamagedStore(torn);
  expect([...(await readAll(cut)).keys()].filter((name) => name.includes("/la"))).toEqual(["account/note/last"]);
  await cut.dispose();
});

test("a store that a server runs on is not repaired; nor is one opened of which a repair was cut short", async () => {
  const [, , damaged] = damagedCopies(SPOILS.zeroed!, 1);
  const { folder } = damaged!;
  const whileRunning = join(root, "running");
  cpSync(sound(), whileRunning, { recursive: true });
  const store = await open(whileRunning);
  expect(() => rebuildEmbeddedStore(whileRunning)).toThrow(/a server is running on the store/);
  expect(() => new DamagedStore(whileRunning)).toThrow(/a server is running on the store/);
  await store.dispose();
  expect(rebuildEmbeddedStore(whileRunning)).toEqual({ damage: [], objects: 0, problems: [] });

  const before = readFileSync(join(folder, "store.sqlite"));
  const { kept } = rebuildEmbeddedStore(folder);
  expect(Buffer.compare(readFileSync(kept!), before)).toBe(0);
  renameSync(join(folder, "store.sqlite"), join(folder, REPAIRED));
  writeFileSync(join(folder, "store.sqlite"), before);
  await expect(open(folder)).rejects.toThrow(/run restante check --repair again/);
  expect(rebuildEmbeddedStore(folder).damage).toEqual(["a repair was cut short"]);
  expect(findDamage(folder)).toEqual([]);
});
