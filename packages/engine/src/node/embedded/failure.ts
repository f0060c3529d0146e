import { StoreError } from "../../storage/object-store.ts";

/** SQLITE_CORRUPT, and SQLITE_NOTADB for what has no head of a database. */
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/** What the person who runs the store is told of damage; `database` is where it lies. */
export function damageText(database: string, problem: string): string {
  return `${database} is damaged (${problem}): stop the server, copy its folder, then run: restante check --repair`;
}

/** Whether SQLite found its file damaged. */
export function isDamage(error: unknown): boolean {
  const code = ((error as { errcode?: number }).errcode ?? 0) & 0xff;
  return code === CORRUPT || code === NOT_A_DATABASE;
}

/** What SQLite or the file system says, as the store's own error: `damaged`, or `unavailable` for what may pass. What is
 * neither's stays as it is. */
export function asStoreError(error: unknown, database: string): unknown {
  const { code, errcode, syscall, message } = error as NodeJS.ErrnoException & { errcode?: number };
  if (isDamage(error)) return new StoreError("damaged", damageText(database, message), { cause: error });
  if (errcode !== undefined) return new StoreError("unavailable", `${database}: ${message}`, { cause: error });
  if (code === "ENOSPC") return new StoreError("full", "the disk is full", { cause: error });
  if (syscall !== undefined) return new StoreError("unavailable", message, { cause: error });
  return error;
}

/** What `work` gives, with its failures as the store's own. */
export function storeFailures<T>(database: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asStoreError(error, database);
  }
}
