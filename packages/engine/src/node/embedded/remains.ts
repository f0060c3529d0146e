import { statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { isValidName } from "../../storage/names.ts";
import { isWrittenOver } from "../../storage/object-kinds.ts";
import { type Cell, cellsOf, payload, record, type Value } from "./cells.ts";
import { Pages } from "./pages.ts";

/** All columns before the bytes fit in here: a name is at most 512 octets. */
const COLUMNS_BYTES = 2048;
const FILE_NAME = /^[0-9a-f]{32}$/;

/** An object of which the store still tells. */
export interface Remnant {
  readonly name: string;
  readonly row: number;
  readonly created: number;
  readonly size: number;
  /** Where its row begins; null where only the indexes tell of it: its bytes are lost, unless it has a file. */
  readonly page: number | null;
  readonly file: string | null;
}

/**
 * All that the pages of a damaged store still tell, each read by itself, with no index and no tree: what one of them holds
 * is lost with it, and nothing else. Which objects are lost is known by their names in the index, and a row that has a file
 * is whole by the indexes alone. The finds are kept in a database of their own, for a store is larger than memory.
 */
export class Remains implements Disposable {
  /** Objects that were found twice or not at all, in words. */
  readonly problems: string[] = [];
  readonly #pages: Pages;
  readonly #found: DatabaseSync;
  readonly #byName: StatementSync;
  readonly #listed: StatementSync;

  constructor(folder: string) {
    this.#pages = new Pages(join(folder, "store.sqlite"));
    this.#found = new DatabaseSync("");
    this.#found.exec(`
      CREATE TABLE rows (name TEXT, row INTEGER, created INTEGER, size INTEGER, page INTEGER, file TEXT);
      CREATE TABLE names (name TEXT, row INTEGER);
      CREATE TABLE files (row INTEGER PRIMARY KEY, file TEXT);
      CREATE TABLE floors (prefix TEXT PRIMARY KEY, number INTEGER);
      CREATE TABLE counters (date INTEGER, row INTEGER);
      CREATE TABLE objects (name TEXT PRIMARY KEY, row INTEGER, created INTEGER, size INTEGER, page INTEGER, file TEXT)
        WITHOUT ROWID;
      BEGIN`);
    for (let page = 1; page <= this.#pages.count; page++) this.#look(page);
    this.#settle(folder);
    this.#found.exec("COMMIT");
    this.#byName = this.#found.prepare("SELECT * FROM objects WHERE name = ?");
    this.#listed = this.#found.prepare(
      "SELECT * FROM objects WHERE name >= ? AND name < ? AND +name > ? ORDER BY name LIMIT ?",
    );
  }

  find(name: string): Remnant | undefined {
    return this.#byName.get(name) as Remnant | undefined;
  }

  list(from: string, to: string, after: string, limit: number): Remnant[] {
    return this.#listed.all(from, to, after, limit) as unknown as Remnant[];
  }

  /** Every object, in the order of rows. */
  all(): IterableIterator<Remnant> {
    return this.#found.prepare("SELECT * FROM objects ORDER BY row").iterate() as unknown as IterableIterator<Remnant>;
  }

  floors(): readonly { readonly prefix: string; readonly number: number }[] {
    return this.#found.prepare("SELECT prefix, number FROM floors").all() as unknown as {
      prefix: string;
      number: number;
    }[];
  }

  /** At least the last date and the last number of a row that were given. */
  counters(): { readonly date: number; readonly row: number } {
    return this.#found
      .prepare(`SELECT
        max(ifnull((SELECT max(date) FROM counters), 0), ifnull((SELECT max(created) FROM objects), 0)) AS date,
        max(ifnull((SELECT max(row) FROM counters), 0), ifnull((SELECT max(row) FROM objects), 0)) AS row`)
      .get() as unknown as { date: number; row: number };
  }

  /** The bytes that lie in the object's row; what of them is lost is missing. */
  bytesOf({ name, page }: Remnant): Uint8Array {
    for (const cell of page === null ? [] : cellsOf(this.#pages, page)) {
      if (cell.kind !== "row" || valuesOf(this.#pages, cell, COLUMNS_BYTES)?.[1] !== name) continue;
      const bytes = valuesOf(this.#pages, cell)?.[4];
      if (bytes instanceof Uint8Array) return bytes;
    }
    return new Uint8Array(0);
  }

  [Symbol.dispose](): void {
    this.#found.close();
    this.#pages[Symbol.dispose]();
  }

  #look(page: number): void {
    for (const cell of cellsOf(this.#pages, page)) {
      const values = valuesOf(this.#pages, cell, COLUMNS_BYTES);
      if (values) this.#note(page, cell, values);
    }
  }

  /** Tells what a record is by its form: tables are told apart so, whatever is left of the tree and the schema. */
  #note(page: number, { kind, row }: Cell, values: readonly Value[]): void {
    const [first, second] = values;
    if (kind === "row" && values.length === 6) {
      const [, name, created, size, , file] = values;
      if (isName(name) && isNumber(created) && isNumber(size))
        this.#run(
          "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)",
          name,
          row,
          created,
          size,
          page,
          isFile(file) ? String(file) : null,
        );
    } else if (kind === "row" && values.length === 2 && isNumber(first) && isNumber(second))
      this.#run("INSERT INTO counters VALUES (?, ?)", first, second);
    else if (kind === "key" && values.length === 2 && typeof first === "string" && isNumber(second)) {
      if (isFile(first)) this.#run("INSERT OR IGNORE INTO files VALUES (?, ?)", second, first);
      else if (first.endsWith("/")) this.#raiseFloor(first, second);
      else if (isName(first)) this.#run("INSERT INTO names VALUES (?, ?)", first, second);
    }
  }

  /** Of each name one object: of two rows the one that counts, of none the place that the index tells. */
  #settle(folder: string): void {
    const rows = this.#found.prepare("SELECT * FROM rows ORDER BY row").iterate();
    for (const found of rows as unknown as Iterable<Remnant>) {
      const isReplaced = isWrittenOver(found.name);
      const { changes } = this.#put(isReplaced ? "REPLACE" : "IGNORE", found);
      if (changes === 0) this.problems.push(`${found.name} is there twice`);
    }
    const lost = this.#found
      .prepare(`SELECT name, names.row AS row, file FROM names LEFT JOIN files ON files.row = names.row
        WHERE name NOT IN (SELECT name FROM objects) ORDER BY names.row`)
      .all() as unknown as { name: string; row: number; file: string | null }[];
    for (const { name, row, file } of lost) {
      const stat = file === null ? undefined : statSync(join(folder, "objects", file), { throwIfNoEntry: false });
      const [created, size] = stat ? [Math.floor(stat.mtimeMs), stat.size] : [0, 0];
      this.#put("IGNORE", { name, row, created, size, page: null, file: stat ? file : null });
      if (!stat) this.problems.push(`${name}: lost`);
    }
  }

  #put(conflict: "IGNORE" | "REPLACE", { name, row, created, size, page, file }: Remnant) {
    return this.#run(
      `INSERT OR ${conflict} INTO objects VALUES (?, ?, ?, ?, ?, ?)`,
      name,
      row,
      created,
      size,
      page,
      file,
    );
  }

  #raiseFloor(prefix: string, number: number): void {
    this.#run(
      "INSERT INTO floors VALUES (?, ?) ON CONFLICT (prefix) DO UPDATE SET number = max(number, excluded.number)",
      prefix,
      number,
    );
  }

  readonly #statements = new Map<string, StatementSync>();
  #run(sql: string, ...values: (string | number | null)[]) {
    const statement = this.#statements.get(sql) ?? this.#found.prepare(sql);
    this.#statements.set(sql, statement);
    return statement.run(...values);
  }
}

function valuesOf(pages: Pages, cell: Cell, length?: number): Value[] | undefined {
  return record(payload(pages, cell, length));
}

function isNumber(value: Value | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

function isFile(value: Value | undefined): boolean {
  return typeof value === "string" && FILE_NAME.test(value);
}

function isName(value: Value | undefined): value is string {
  return typeof value === "string" && value.includes("/") && isValidName(value);
}
