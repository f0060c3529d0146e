import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Cell, cellsOf, payload, record, type Value } from "./cells.ts";
import { Pages } from "./pages.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "restante-cells-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Integers of each width that a record has, at their ends. */
const INTEGERS = [0, 1, -1, 2, 127, -128, 128, 32767, -32768, 8_388_607, -8_388_608, 2 ** 31 - 1, -(2 ** 31)].concat([
  2 ** 31,
  2 ** 47 - 1,
  -(2 ** 47),
  2 ** 47,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
]);

/** Records of a database that SQLite itself wrote, in pages of this size, very many of which are free. */
function made(pageSize: number) {
  const path = join(folder, `${pageSize}.sqlite`);
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA page_size = ${pageSize}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA secure_delete = ON; PRAGMA synchronous = OFF;
    CREATE TABLE things (id INTEGER PRIMARY KEY, whole INTEGER, name TEXT, bytes BLOB);
    CREATE INDEX by_name ON things (name);`);
  // Pages that hold nothing, among them those that a page of the pointer map begins with.
  db.exec("BEGIN; CREATE TABLE gone (bytes BLOB)");
  const fill = db.prepare("INSERT INTO gone VALUES (?)");
  for (let n = 0; n < 400; n++) fill.run(new Uint8Array(pageSize - 100).fill(13));
  const insert = db.prepare("INSERT INTO things VALUES (?, ?, ?, ?)");
  // Each length near those at which a record goes over to other pages, and some long ones.
  for (let n = 0; n < 2 * pageSize; n += n < pageSize + 50 ? 1 : 97)
    insert.run(
      n + 1,
      INTEGERS[n % INTEGERS.length]!,
      `ä${n}`.padEnd(n % (pageSize / 2), "x"),
      new Uint8Array(n).fill(n),
    );
  insert.run(2 ** 40, null, null, null);
  insert.run(-5, 7, "a number of nine octets", null);
  db.exec("COMMIT");
  const rows = db.prepare("SELECT * FROM things ORDER BY id").all() as unknown as {
    id: number;
    whole: number | null;
    name: string | null;
    bytes: Uint8Array | null;
  }[];
  db.exec("DELETE FROM gone");
  db.close();
  return { path, rows };
}

const valuesOf = (pages: Pages, cell: Cell): Value[] | undefined => record(payload(pages, cell));
const plain = (value: Value | undefined): unknown =>
  value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;

describe.each([512, 4096])("in pages of %i octets", (pageSize) => {
  test("all that SQLite wrote is read, rows and keys, of every width and length, and nothing else", () => {
    const { path, rows } = made(pageSize);
    using pages = new Pages(path);
    expect(pages.size).toBe(pageSize);
    const found = new Map<number, unknown[]>();
    const keys: unknown[][] = [];
    const schema: unknown[] = [];
    for (let page = 1; page <= pages.count; page++)
      for (const cell of cellsOf(pages, page)) {
        const values = valuesOf(pages, cell)?.map(plain);
        if (!values) throw new Error(`no record in page ${page}`);
        if (cell.kind === "key") keys.push(values);
        else if (page === 1) schema.push(values[1]);
        else found.set(cell.row, values);
      }
    expect(schema).toEqual(["things", "by_name", "gone"]);
    const numberOf = (id: number): number => Number(BigInt.asUintN(64, BigInt(id)));
    const wanted = rows.map(({ id, whole, name, bytes }) => [numberOf(id), [null, whole, name, plain(bytes)]] as const);
    const inOrder = ([a]: readonly [number, unknown], [b]: readonly [number, unknown]): number => a - b;
    expect([...found].sort(inOrder)).toEqual(wanted.sort(inOrder));
    const byId = (a: unknown[], b: unknown[]): number => (a[1] as number) - (b[1] as number);
    expect(keys.sort(byId)).toEqual(rows.map(({ id, name }) => [name, id]));
  });

  test("what is asked for of a long record is as long as that", () => {
    const { path } = made(pageSize);
    using pages = new Pages(path);
    const asked: number[] = [];
    const read = pages.read.bind(pages);
    pages.read = (page) => {
      asked.push(page);
      return read(page);
    };
    let long = 0;
    for (let page = 2; page <= pages.count; page++)
      for (const cell of cellsOf(pages, page)) {
        const local = cell.local.length;
        for (const length of [0, 10, local, local + 1, cell.length, cell.length + 5]) {
          asked.length = 0;
          const got = payload(pages, cell, length).length;
          if (got !== Math.min(length, cell.length)) throw new Error(`${got} octets of ${length} in page ${page}`);
          if (length <= local && asked.length > 0) throw new Error(`page ${asked[0]} is not wanted`);
        }
        if (cell.next > 0) long++;
      }
    expect(long).toBeGreaterThan(10);
  });
});

/** A page of one kind with cells at these places, as who damages a file may leave it. */
function pagesOf(page: Buffer, count = 1): Pages {
  return { size: page.length, count, read: () => page } as unknown as Pages;
}

test("of a damaged page nothing is told that is not in it, and it ends", () => {
  const row = (...cell: number[]): Cell[] => {
    const page = Buffer.alloc(512);
    page[0] = 0x0d;
    page.writeUInt16BE(1, 3);
    page.writeUInt16BE(512 - cell.length, 8);
    page.set(cell, 512 - cell.length);
    return [...cellsOf(pagesOf(page), 2 + 512)];
  };
  expect(row(2, 1, 2, 8)).toMatchObject([{ kind: "row", row: 1, length: 2, next: 0 }]);
  // It ends in the midst of its length, of its number, of its record.
  for (const cut of [[0x81], [2, 0x81], [2, 1, 2], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]])
    expect([cut, row(...cut)]).toEqual([cut, []]);
  // It says that it is longer than the file.
  const page = Buffer.alloc(512);
  page[0] = 0x0d;
  page.writeUInt16BE(1, 3);
  page.writeUInt16BE(12, 8);
  page.set([0x84, 0x01, 1], 12);
  expect([...cellsOf(pagesOf(page, 1), 2 + 512)]).toEqual([]);
  expect([...cellsOf(pagesOf(page, 2), 2 + 512)]).toHaveLength(1);
  // More cells than a page has room for; and each one that leads on to itself.
  page.writeUInt16BE(0xffff, 3);
  expect([...cellsOf(pagesOf(page, 2), 2 + 512)].length).toBeLessThanOrEqual(252);
  const ring = Buffer.alloc(512);
  ring.writeUInt32BE(2, 0);
  for (const next of [1, 2, 3]) {
    const cell = { kind: "row", row: 1, length: 600, local: new Uint8Array(10), next } as const;
    expect(payload(pagesOf(ring, 2), cell)).toHaveLength(next === 2 ? 600 : 10);
  }
  expect([
    record(new Uint8Array([3, 1])),
    record(new Uint8Array([2, 1, 5])),
    record(new Uint8Array([2, 0x81, 1])),
  ]).toEqual([undefined, [5], undefined]);
});
