import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../../storage/object-store.ts";
import { isDamage } from "./failure.ts";
import { rowBefore } from "./file-name.ts";
import { TEMPORARY_SUFFIX } from "./protocol.ts";

/** How long an opening waits while another process sweeps. */
const WAIT_MS = 30_000;

/**
 * Every process on a store holds a shared lock on a small file of its own beside it, for as long as it lives. A process that
 * is alone at its opening sweeps files that a crash left and no row names. Nobody else can be about to name one.
 */
export async function lockStore(folder: string): Promise<Disposable> {
  const lock = openLock(folder);
  if (isAlone(lock)) {
    try {
      await sweepOrphans(folder);
    } catch (error) {
      // A damaged store may still be read for the most part. No file of it is swept.
      if (!isDamage(error)) throw error;
    }
    lock.exec("COMMIT");
  }
  lock.exec("BEGIN; SELECT count(*) FROM sqlite_schema");
  return {
    [Symbol.dispose]: () => lock.close(),
  };
}

/** The store for nobody but the caller. Throws StoreError `unavailable` while any process has it open. */
export function lockAlone(folder: string): Disposable {
  const lock = openLock(folder);
  if (!isAlone(lock)) {
    lock.close();
    throw new StoreError("unavailable", `a server is running on the store in ${folder}: stop it first`);
  }
  return { [Symbol.dispose]: () => lock.close() };
}

function openLock(folder: string): DatabaseSync {
  return new DatabaseSync(join(folder, "lock.sqlite"), { timeout: WAIT_MS });
}

/** Takes the exclusive lock, unless another process holds any. */
function isAlone(lock: DatabaseSync): boolean {
  lock.exec("PRAGMA busy_timeout = 0");
  try {
    lock.exec("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    // SQLITE_BUSY: somebody is here.
    if ((error as { errcode?: number }).errcode !== 5) throw error;
    return false;
  } finally {
    lock.exec(`PRAGMA busy_timeout = ${WAIT_MS}`);
  }
}

/** Answered by the index of files alone: rows hold bodies, and no opening reads them all. */
export const FILES_QUERY = "SELECT file FROM objects WHERE file IS NOT NULL";
/** Answered by the rows from one on, in their own order. */
export const ROWS_QUERY = "SELECT file FROM objects NOT INDEXED WHERE row > ? AND file IS NOT NULL";

async function sweepOrphans(folder: string): Promise<void> {
  const orphans = await findOrphans(folder);
  for (const file of orphans) await unlink(join(folder, "objects", file));
}

async function findOrphans(folder: string): Promise<readonly string[]> {
  using database = new DatabaseSync(join(folder, "store.sqlite"), { readOnly: true });
  const known = filesNamed(database, FILES_QUERY);
  const unknown = (await readdir(join(folder, "objects"))).filter((file) => !known.has(file));
  const lasting = unknown.filter((file) => !file.endsWith(TEMPORARY_SUFFIX));
  if (lasting.length === 0) return unknown;
  // The rows themselves are asked, for an index may be damaged, and a file is gone for good: those that came since.
  const { row: newest } = database.prepare("SELECT row FROM counters").get() as { row: number };
  const since = lasting.reduce((least, file) => Math.min(least, rowBefore(file, newest)), newest);
  const inRows = filesNamed(database, ROWS_QUERY, since);
  return unknown.filter((file) => !inRows.has(file));
}

function filesNamed(database: DatabaseSync, query: string, ...values: number[]): ReadonlySet<string> {
  const rows = database.prepare(query).all(...values) as unknown as { file: string }[];
  return new Set(rows.map(({ file }) => file));
}
