import { StoreError } from "../../storage/object-store.ts";

/** SQLITE_CORRUPT, and SQLITE_NOTADB for what has no head of a database. */
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/** A message about damage for the operator; `database` is its path. */
export function damageText(database: string, problem: string): string {
  return `${database} is damaged (${problem}): stop the server, copy its folder, then run: restante check --repair`;
}

/** True for an error by which SQLite says that its file is damaged. */
export function isDamage(error: unknown): boolean {
  const code = ((error as { errcode?: number }).errcode ?? 0) & 0xff;
  return code === CORRUPT || code === NOT_A_DATABASE;
}

/** The store's own error for one of SQLite or the file system: `damaged`, `full`, or `unavailable` for one that may pass.
 * Other errors stay as they are. */
export function asStoreError(error: unknown, database: string): unknown {
  const { code, errcode, syscall, message } = error as NodeJS.ErrnoException & { errcode?: number };
  if (isDamage(error)) return new StoreError("damaged", damageText(database, message), { cause: error });
  if (errcode !== undefined) return new StoreError("unavailable", `${database}: ${message}`, { cause: error });
  if (code === "ENOSPC") return new StoreError("full", "the disk is full", { cause: error });
  if (syscall !== undefined) return new StoreError("unavailable", message, { cause: error });
  return error;
}

/** The result of `work`. Its failures become the store's own. */
export function storeFailures<T>(database: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asStoreError(error, database);
  }
}
