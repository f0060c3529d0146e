import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, expect, test, vi } from "vitest";
import { objectStoreContract } from "../../storage/contract.ts";
import type { StoreOptions } from "../../storage/object-store.ts";
import { backupEmbeddedStore } from "./backup.ts";
import { fileName, rowBefore } from "./file-name.ts";
import { FILES_QUERY, ROWS_QUERY } from "./lock.ts";
import { openEmbeddedStore } from "./store.ts";

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "restante-store-"));
  folders.push(folder);
  return folder;
}
const onFatal = (message: string): never => {
  throw new Error(message);
};

objectStoreContract("embedded", async () => {
  const folder = await makeFolder();
  const store = await openEmbeddedStore({ folder, onFatal });
  const other = await openEmbeddedStore({ folder, onFatal });
  return {
    store,
    other,
    async dispose() {
      await Promise.all([store.dispose(), other.dispose()]);
    },
  };
});

test("what was put is there after the store was opened again, and no file is left without a row", async () => {
  const folder = await makeFolder();
  const first = await openEmbeddedStore({ folder, onFatal });
  await first.put("a/body/large", new Uint8Array(300_000).fill(7));
  await first.put("a/body/large", new Uint8Array(290_000).fill(8));
  await first.put("a/note/small", new Uint8Array(10));
  await first.dispose();
  const second = await openEmbeddedStore({ folder, onFatal });
  const got = await second.get("a/body/large");
  expect(got.found && got.bytes[0]).toBe(8);
  expect(await readdir(join(folder, "objects"))).toHaveLength(1);
  await second.dispose();
});

test("what a crash left is swept by who opens the store alone, and by nobody else", async () => {
  const folder = await makeFolder();
  const first = await openEmbeddedStore({ folder, onFatal });
  await first.put("a/body/kept", new Uint8Array(300_000).fill(7));
  for (const name of ["0123.new", "4567"]) await writeFile(join(folder, "objects", name), "left");
  const second = await openEmbeddedStore({ folder, onFatal });
  expect(await readdir(join(folder, "objects"))).toHaveLength(3);
  await Promise.all([first.dispose(), second.dispose()]);
  const alone = await openEmbeddedStore({ folder, onFatal });
  expect(await readdir(join(folder, "objects"))).toHaveLength(1);
  expect((await alone.get("a/body/kept")).found).toBe(true);
  await alone.dispose();
});

/** Makes the index of files an empty one. */
function spoilIndex(folder: string): void {
  const database = new DatabaseSync(join(folder, "store.sqlite"), { defensive: false });
  database.exec(`CREATE TABLE other (file TEXT); CREATE INDEX others ON other (file) WHERE file IS NOT NULL;
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'others') WHERE name = 'files'`);
  database.close();
}

/** Puts files into a store, one of them in the place of another, and small rows between. */
async function storeOfFiles(): Promise<{ readonly folder: string; readonly files: () => Promise<string[]> }> {
  const folder = await makeFolder();
  const store = await openEmbeddedStore({ folder, onFatal });
  const large = (fill: number): Uint8Array => new Uint8Array(300_000).fill(fill);
  await store.put("a/body/0", large(9));
  await store.put("a/public/record", new Uint8Array(1));
  for (let n = 0; n < 5; n++) await store.put(`a/note/${n}`, new Uint8Array(1));
  await store.put("a/body/1", large(1));
  // Its first row is older than its file.
  await store.put("a/body/0", large(0));
  await store.put("a/public/record", new Uint8Array(2));
  await store.putIfAbsent("a/body/2", large(2));
  await store.put("a/note/last", new Uint8Array(1));
  await store.dispose();
  const database = new DatabaseSync(join(folder, "store.sqlite"));
  const rows = database.prepare("SELECT row FROM objects WHERE name IN ('a/body/0', 'a/public/record')").all();
  // Others keep theirs when they are written over.
  expect(rows.map(({ row }) => row)).toEqual([9, 2]);
  database.close();
  return { folder, files: async () => (await readdir(join(folder, "objects"))).sort() };
}

const LEFT = [fileName(2, "a".repeat(16)), fileName(9, "b".repeat(16)), fileName(99, "c".repeat(16)), "e".repeat(32)];

test("files that a crash left are swept, whenever they were begun and whatever they are called", async () => {
  const { folder, files } = await storeOfFiles();
  const named = await files();
  const old = "f".repeat(32);
  const database = new DatabaseSync(join(folder, "store.sqlite"));
  // As older programs named them.
  database.prepare("INSERT INTO objects VALUES (3000, 'a/body/old', 5, 3, NULL, ?)").run(old);
  database.close();
  for (const orphans of [...LEFT.map((one) => [one]), LEFT, []]) {
    for (const name of [old, ...orphans]) await writeFile(join(folder, "objects", name), "old");
    await (await openEmbeddedStore({ folder, onFatal })).dispose();
    expect(await files()).toEqual([...named, old].sort());
  }
});

test.each([[], ...LEFT.map((one) => [one]), LEFT])(
  "no file that a row names is swept though the index of files does not know it: %s %s %s %s",
  async (...orphans) => {
    const { folder, files } = await storeOfFiles();
    const named = await files();
    spoilIndex(folder);
    for (const name of orphans) await writeFile(join(folder, "objects", name), "left");
    await (await openEmbeddedStore({ folder, onFatal })).dispose();
    expect(await files()).toEqual(named);
  },
);

test("of a file that is half written a sweep asks the rows that came since alone", async () => {
  const folder = await makeFolder();
  const store = await openEmbeddedStore({ folder, onFatal });
  for (let n = 0; n < 20; n++) await store.put(`a/note/${n}`, new Uint8Array(1));
  const first = new Uint8Array(200_000);
  let go: () => void = () => undefined;
  const waiting = new Promise<void>((resolve) => {
    go = resolve;
  });
  const put = store.put("a/body/large", pieces());
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield first;
    await waiting;
    yield first;
  }
  const [file] = await vi.waitFor(async () => {
    const files = await readdir(join(folder, "objects"));
    expect(files).toHaveLength(1);
    return files;
  });
  expect([rowBefore(file!, 20), rowBefore(file!, 19), rowBefore("f".repeat(32), 20)]).toEqual([20, 0, 0]);
  expect([rowBefore("5", 20), rowBefore(`${fileName(7, "a".repeat(16))}b`, 20)]).toEqual([0, 0]);
  // A backup meanwhile does not have it, and one later has all of it.
  const copy = join(await makeFolder(), "copy");
  expect((await backupEmbeddedStore(folder, copy)).files).toBe(0);
  expect(await readdir(join(copy, "objects"))).toEqual([]);
  go();
  await put;
  expect((await backupEmbeddedStore(folder, join(copy, "later"))).files).toBe(1);
  await store.dispose();
  const database = new DatabaseSync(join(folder, "store.sqlite"));
  const [plan] = database.prepare(`EXPLAIN QUERY PLAN ${ROWS_QUERY}`).all(0);
  expect(plan!.detail).toBe("SEARCH objects USING INTEGER PRIMARY KEY (rowid>?)");
  database.close();
});

test("a backup has no file of what is deleted while it is made", async () => {
  const folder = await makeFolder();
  const store = await openEmbeddedStore({ folder, onFatal });
  for (const n of [1, 2]) await store.put(`a/body/${n}`, new Uint8Array(200_000).fill(n));
  const copy = join(await makeFolder(), "copy");
  const database = new DatabaseSync(join(folder, "store.sqlite"));
  const { files } = await backupEmbeddedStore(folder, copy, () => {
    database.exec("DELETE FROM objects WHERE name = 'a/body/1'");
  });
  database.close();
  expect(files).toBe(1);
  expect(await readdir(join(copy, "objects"))).toHaveLength(1);
  await store.dispose();
});

test("who watches hears of what takes the place of what was newest and is gone", async () => {
  const folder = await makeFolder();
  const [one, other] = [await openEmbeddedStore({ folder, onFatal }), await openEmbeddedStore({ folder, onFatal })];
  await one.put("a/note/1", new Uint8Array(1));
  const heard = new Promise((resolve) => other.watch("a/note/", resolve));
  await one.delete(["a/note/1"]);
  await one.put("a/note/2", new Uint8Array(1));
  expect(await heard).toBe("a/note/2");
  await Promise.all([one.dispose(), other.dispose()]);
});

test("a store of schema 1 is read and written on; its dates and numbers go on from where they were", async () => {
  const folder = await makeFolder();
  const later = Date.now() + 1_000_000;
  const database = new DatabaseSync(join(folder, "store.sqlite"));
  database.exec(`
    CREATE TABLE objects (row INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL,
      size INTEGER NOT NULL, bytes BLOB, file TEXT);
    CREATE TABLE floors (prefix TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE clock (last INTEGER NOT NULL);
    INSERT INTO clock VALUES (${later});
    INSERT INTO objects VALUES (41, 'a/note/1', 5, 1, x'07', NULL);
    PRAGMA user_version = 1;`);
  database.close();
  const store = await openEmbeddedStore({ folder, onFatal });
  expect(await store.get("a/note/1")).toMatchObject({ found: true, bytes: Uint8Array.of(7), created: 5 });
  expect((await store.put("a/note/2", new Uint8Array(1))).now).toBe(later);
  await store.dispose();
  const written = new DatabaseSync(join(folder, "store.sqlite"));
  expect(written.prepare("SELECT row FROM objects ORDER BY row").all()).toMatchObject([{ row: 41 }, { row: 42 }]);
  const [plan] = written.prepare(`EXPLAIN QUERY PLAN ${FILES_QUERY}`).all();
  expect(plan!.detail).toContain("USING COVERING INDEX");
  written.close();
});

test("an opening looks up which files are named without reading the rows that hold bodies", async () => {
  const folder = await makeFolder();
  await (await openEmbeddedStore({ folder, onFatal })).dispose();
  const made = new DatabaseSync(join(folder, "store.sqlite"));
  const [plan] = made.prepare(`EXPLAIN QUERY PLAN ${FILES_QUERY}`).all();
  expect(plan!.detail).toContain("USING COVERING INDEX");
  made.close();
});

test("pieces of a large row are those of the row that is there now, whoever took it away or made it anew", async () => {
  const folder = await makeFolder();
  const store = await openEmbeddedStore({ folder, onFatal });
  const other = await openEmbeddedStore({ folder, onFatal });
  const name = "a/log/0000000000000001";
  const read = async (start: number, end: number): Promise<string> => {
    const got = await store.get(name, { start, end });
    return got.found ? `${got.size}: ${Buffer.from(got.bytes)}` : "gone";
  };
  const content = (letter: string): Buffer =>
    Buffer.concat([Buffer.from(letter), Buffer.alloc(100_000, 0x2e), Buffer.from("end")]);
  await store.put(name, content("a"));
  for (let n = 0; n < 3; n++) {
    expect(await read(0, 3)).toBe("100004: a..");
    expect(await read(100_000, 200_000)).toBe("100004: .end");
    expect(await read(200_000, 200_001)).toBe("100004: ");
  }
  const [one, two] = await Promise.all([0, 0].map(() => store.get(name, { start: 0, end: 2 })));
  if (one!.found) one!.bytes.fill(0);
  expect(two!.found && Buffer.from(two!.bytes).toString()).toBe("a.");
  await other.delete([name]);
  await other.putIfAbsent(name, content("b"));
  expect(await read(0, 3)).toBe("100004: b..");
  expect(await read(0, 3)).toBe("100004: b..");
  await other.delete([name]);
  expect(await read(0, 3)).toBe("gone");
  await other.put(name, Buffer.from("small"));
  expect(await read(1, 3)).toBe("5: ma");
  // An object that is written over keeps its row.
  const record = "a/public/record";
  const firstOf = async (): Promise<string> => {
    const got = await store.get(record, { start: 0, end: 1 });
    return got.found ? Buffer.from(got.bytes).toString() : "gone";
  };
  for (const letter of ["a", "b", "c"]) {
    await other.put(record, content(letter));
    expect([await firstOf(), await firstOf(), await firstOf()]).toEqual([letter, letter, letter]);
  }
  await Promise.all([store.dispose(), other.dispose()]);
});

test("what is replaced, deleted, or not created since its name is taken leaves no file", async () => {
  const folder = await makeFolder();
  const store = await openEmbeddedStore({ folder, onFatal });
  const files = (): Promise<string[]> => readdir(join(folder, "objects"));
  const large = new Uint8Array(300_000);
  await store.put("a/body/1", large);
  await store.put("a/body/1", large);
  expect((await store.putIfAbsent("a/body/1", large)).outcome).toBe("exists");
  await vi.waitFor(async () => expect(await files()).toHaveLength(1));
  await store.delete(["a/body/1"]);
  await vi.waitFor(async () => expect(await files()).toEqual([]));
  await store.dispose();
});

test("one write that fails spoils none of those that were to be committed with it", async () => {
  const folder = await makeFolder();
  const store = await openEmbeddedStore({ folder, onFatal });
  await store.put("a/note/0", new Uint8Array(1));
  const database = new DatabaseSync(join(folder, "store.sqlite"));
  database.exec(`CREATE TRIGGER refuse BEFORE INSERT ON objects WHEN NEW.name LIKE '%bad%'
    BEGIN SELECT RAISE(ABORT, 'refused'); END`);
  database.close();
  const names = Array.from({ length: 40 }, (_, n) => `a/note/${n === 20 ? "bad" : n}`);
  const sizes = (n: number): number => (n % 10 === 5 ? 300_000 : 10);
  const results = await Promise.allSettled(names.map((name, n) => store.put(name, new Uint8Array(sizes(n)))));
  expect(results.flatMap(({ status }, n) => (status === "rejected" ? [n] : []))).toEqual([20]);
  expect((results[20] as PromiseRejectedResult).reason).toMatchObject({ code: "unavailable" });
  for (const [n, name] of names.entries()) {
    const got = await store.get(name);
    expect([name, got.found && got.size]).toEqual([name, n !== 20 && sizes(n)]);
  }
  await store.put("a/note/later", new Uint8Array(1));
  await store.dispose();
});

test("a store that a newer program made is left as it is, and that is said", async () => {
  const folder = await makeFolder();
  await (await openEmbeddedStore({ folder, onFatal })).dispose();
  const database = new DatabaseSync(join(folder, "store.sqlite"));
  database.exec("PRAGMA user_version = 99");
  await expect(openEmbeddedStore({ folder, onFatal: () => undefined })).rejects.toThrow(/newer version of Restante/);
  expect(database.prepare("PRAGMA user_version").get()).toEqual({ user_version: 99 });
  database.close();
});

test("what somebody waits for goes before what nobody does, in commits of a bounded size", async () => {
  const folder = await makeFolder();
  const store = await openEmbeddedStore({ folder, onFatal });
  const done: string[] = [];
  const put = (name: string, size: number, options: StoreOptions = {}): Promise<unknown> =>
    store.put(name, new Uint8Array(size), options).then(() => done.push(name));
  const bulk = Array.from({ length: 100 }, (_, n) => put(`a/page/${n}`, 100_000, { priority: "bulk" }));
  await Promise.all([...bulk, put("a/note/urgent", 10)]);
  expect(done.indexOf("a/note/urgent")).toBeLessThan(60);
  await store.dispose();
});
