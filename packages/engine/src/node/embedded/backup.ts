import { constants } from "node:fs";
import { copyFile, link, mkdir, open, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { StoreError } from "../../storage/object-store.ts";

/**
 * A copy of an embedded store while processes write to it. Files that a row names never change and have names of their own,
 * so a hard link to one keeps it, whoever deletes the original: first all of these are linked (copied to another disk), then the database is
 * copied as of one moment, then the files that came between are linked. If one of those went again already, the
 * database is copied anew. So nothing has to be pinned, and a backup that is killed leaves nothing behind in the store.
 *
 * Invariant: every file that the copied database names is in the copy.
 */
const TRIES = 10;
/** All pages in one step: in steps, SQLite would begin anew at each write of another process. */
const PAGES_A_STEP: number = 2 ** 31 - 1;
const DATABASE = "store.sqlite";

/** Copies the store in `folder` to `target`, a new folder. Resolves with how many files and bytes it is. `onFile` hears of
 * each file that is copied or linked. */
export async function backupEmbeddedStore(
  folder: string,
  target: string,
  onFile: () => void = () => undefined,
): Promise<{ readonly files: number; readonly bytes: number }> {
  const [from, to] = [join(folder, "objects"), join(target, "objects")];
  await mkdir(to, { recursive: true, mode: 0o700 });
  const kept = new Set<string>();
  // Others may be half written.
  for (const file of filesNamed(join(folder, DATABASE))) {
    if (await keepFile(join(from, file), join(to, file))) kept.add(file);
    onFile();
  }
  for (let tries = 1; ; tries++) {
    await copyDatabase(join(folder, DATABASE), join(target, DATABASE));
    const named = filesNamed(join(target, DATABASE));
    let missing = 0;
    for (const file of named)
      if (!kept.has(file)) {
        if (await keepFile(join(from, file), join(to, file))) kept.add(file);
        else missing++;
      }
    if (missing === 0) {
      for (const file of kept) if (!named.has(file)) await unlink(join(to, file));
      await syncFolder(to);
      await syncFolder(target);
      return { files: named.size, bytes: await bytesOf(target, named) };
    }
    if (tries === TRIES) throw new StoreError("unavailable", `${missing} files of the store are missing`);
  }
}

/** Brings a copy back as the store in `folder`, which must not exist yet. `onFile` hears of each file that is copied. */
export async function restoreEmbeddedStore(
  copy: string,
  folder: string,
  onFile: () => void = () => undefined,
): Promise<void> {
  await mkdir(join(folder, "objects"), { recursive: true, mode: 0o700 });
  if ((await readdir(folder)).length > 1) throw new StoreError("unavailable", "there is a store already");
  const named = filesNamed(join(copy, DATABASE));
  // Copied, not linked: a backup shares nothing with what is written to.
  for (const file of named) {
    await copyDurably(join(copy, "objects", file), join(folder, "objects", file));
    onFile();
  }
  await syncFolder(join(folder, "objects"));
  await copyDurably(join(copy, DATABASE), join(folder, DATABASE));
  await syncFolder(folder);
}

async function copyDatabase(from: string, to: string): Promise<void> {
  await unlink(to).catch(unlessAbsent);
  const source = new DatabaseSync(from, { readOnly: true, timeout: 5000 });
  try {
    await backup(source, to, { rate: PAGES_A_STEP });
  } finally {
    source.close();
  }
  settle(to);
}

/** Makes a store that nobody has open a copy as {@link backupEmbeddedStore} makes it. */
export function settleEmbeddedStore(folder: string): void {
  settle(join(folder, DATABASE));
}

/** One file, whole: no write-ahead log beside it. */
function settle(database: string): void {
  const settled = new DatabaseSync(database);
  settled.exec("PRAGMA journal_mode = DELETE");
  settled.close();
}

function filesNamed(database: string): ReadonlySet<string> {
  const copied = new DatabaseSync(database, { readOnly: true });
  try {
    const rows = copied.prepare("SELECT file FROM objects WHERE file IS NOT NULL").all() as unknown as {
      file: string;
    }[];
    return new Set(rows.map(({ file }) => file));
  } finally {
    copied.close();
  }
}

/** A hard link, or a copy where none can be. False if the file is gone. */
async function keepFile(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return false;
    if (code !== "EXDEV" && code !== "EPERM" && code !== "EMLINK" && code !== "ENOTSUP") throw error;
  }
  try {
    await copyDurably(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_EXCL);
  const handle = await open(to, "r+");
  try {
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function bytesOf(target: string, files: ReadonlySet<string>): Promise<number> {
  let { size } = await stat(join(target, DATABASE));
  for (const file of files) size += (await stat(join(target, "objects", file))).size;
  return size;
}

function unlessAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
