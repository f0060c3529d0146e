import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { logNumber } from "../../storage/names.ts";
import { kindOfObject } from "../../storage/object-kinds.ts";
import { findDamage } from "./damaged-store.ts";
import { storeFailures } from "./failure.ts";
import { lockAlone } from "./lock.ts";
import { REPAIRED } from "./protocol.ts";
import { Remains } from "./remains.ts";
import { makeSchema } from "./schema.ts";

export interface RebuildReport {
  /** Damage that was found; empty if the store was sound and was left as it is. */
  readonly damage: readonly string[];
  readonly objects: number;
  /** Lost objects, in words. */
  readonly problems: readonly string[];
  /** Where the damaged database is kept, beside its write-ahead log. */
  readonly kept?: string;
}

/**
 * Makes a damaged database anew out of all that its pages still tell, beside the old one, which is kept under another name.
 * Dates, numbers of rows and floors stay. A lost object stays there by its name, empty or as far as it goes: else somebody
 * could make another of that name, and be believed. Errors: `unavailable` while a server runs on the store.
 *
 * A process that is killed leaves the old store as it was, or one that opens no more until this is run again.
 */
export function rebuildEmbeddedStore(folder: string): RebuildReport {
  return storeFailures(join(folder, "store.sqlite"), () => {
    using _ = lockAlone(folder);
    if (existsSync(join(folder, REPAIRED))) return { damage: ["a repair was cut short"], ...replace(folder) };
    const damage = findDamage(folder);
    if (damage.length === 0) return { damage, objects: 0, problems: [] };
    const fresh = join(folder, `${REPAIRED}.new`);
    rmSync(fresh, { force: true });
    using remains = new Remains(folder);
    const { objects, cut } = copy(remains, fresh);
    sync(fresh);
    renameSync(fresh, join(folder, REPAIRED));
    sync(folder);
    return { damage, ...replace(folder), objects, problems: [...remains.problems, ...cut] };
  });
}

function copy(remains: Remains, path: string): { readonly objects: number; readonly cut: readonly string[] } {
  using database = new DatabaseSync(path);
  // Nobody else has it, and it counts only once it is synced as a whole.
  database.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON");
  makeSchema(database);
  const insert = database.prepare("INSERT OR IGNORE INTO objects VALUES (?, ?, ?, ?, ?, ?)");
  const raiseFloor = database.prepare(`INSERT INTO floors VALUES (?, ?)
    ON CONFLICT (prefix) DO UPDATE SET number = max(number, excluded.number)`);
  const counters = { ...remains.counters() };
  const firstEntries = new Map<string, number>();
  let objects = 0;
  const cut: string[] = [];
  database.exec("BEGIN");
  for (const found of remains.all()) {
    const { row, name, created, size, file } = found;
    const bytes = file === null ? remains.bytesOf(found) : null;
    // A number that stands twice is damage: names count.
    if (insert.run(row, name, created, bytes?.length ?? size, bytes, file).changes === 0)
      insert.run(++counters.row, name, created, bytes?.length ?? size, bytes, file);
    objects++;
    if (found.page !== null && bytes && bytes.length < size)
      cut.push(`${name}: only ${bytes.length} of ${size} octets are left`);
    const log = kindOfObject(name) === "log" ? logNumber(name) : undefined;
    if (log) firstEntries.set(log.prefix, Math.min(log.number, firstEntries.get(log.prefix) ?? log.number));
  }
  for (const { prefix, number } of remains.floors()) raiseFloor.run(prefix, number);
  // A log loses its oldest entries first: what lies below the oldest was deleted, also where that is no longer noted.
  for (const [prefix, number] of firstEntries) if (number > 1) raiseFloor.run(prefix, number - 1);
  database.prepare("UPDATE counters SET date = ?, row = ?").run(counters.date, counters.row);
  database.exec("COMMIT");
  return { objects, cut };
}

/** The new database takes the old one's name. Each step may be done already, by a process that was killed. */
function replace(folder: string): { readonly kept: string; readonly objects: number; readonly problems: [] } {
  const database = join(folder, "store.sqlite");
  let kept = `${database}.damaged`;
  for (let at = 2; existsSync(kept); at++) kept = `${database}.damaged-${at}`;
  linkSync(database, kept);
  // The old log would be taken for the new database's.
  if (existsSync(`${database}-wal`)) renameSync(`${database}-wal`, `${kept}-wal`);
  rmSync(`${database}-shm`, { force: true });
  sync(folder);
  renameSync(join(folder, REPAIRED), database);
  sync(folder);
  return { kept, objects: 0, problems: [] };
}

function sync(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
