import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** How long an opening waits while another process sweeps. */
const WAIT_MS = 30_000;

/**
 * Every process on a store holds a shared lock on a small file of its own beside it, for as long as it lives. Who finds
 * itself alone at its opening sweeps what a crash left: files that no row names. Nobody else can be about to name one.
 */
export async function lockStore(folder: string): Promise<Disposable> {
  const lock = new DatabaseSync(join(folder, "lock.sqlite"), { timeout: WAIT_MS });
  if (isAlone(lock)) {
    await sweepOrphans(folder);
    lock.exec("COMMIT");
  }
  lock.exec("BEGIN; SELECT count(*) FROM sqlite_schema");
  return {
    [Symbol.dispose]: () => lock.close(),
  };
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

async function sweepOrphans(folder: string): Promise<void> {
  const database = new DatabaseSync(join(folder, "store.sqlite"), { readOnly: true });
  const rows = database.prepare(FILES_QUERY).all() as unknown as { file: string }[];
  database.close();
  const known = new Set(rows.map(({ file }) => file));
  for (const file of await readdir(join(folder, "objects")))
    if (!known.has(file)) await unlink(join(folder, "objects", file));
}
