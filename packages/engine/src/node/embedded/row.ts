import { StoreError } from "../../storage/object-store.ts";
import { damageText } from "./failure.ts";

/** A row of the table of objects. One that comes where another was deleted has another number. */
export interface Row {
  readonly row: number;
  readonly created: number;
  readonly size: number;
  /** All of the object, or the piece that was asked for; null where it lies in a file. */
  readonly bytes: Uint8Array | null;
  readonly file: string | null;
}

/** A row that SQLite found; undefined for nothing. Of a damaged page it makes rows too, of whatever stands there. Throws
 * StoreError `damaged`. */
export function asRow(found: unknown, database: string): Row | undefined {
  if (found === undefined) return undefined;
  const { row, created, size, bytes, file } = found as Partial<Row>;
  const isSound =
    isCount(row) &&
    isCount(created) &&
    isCount(size) &&
    (bytes instanceof Uint8Array ? file === null : bytes === null && typeof file === "string");
  if (!isSound) throw new StoreError("damaged", damageText(database, "a row is no object"));
  return found as Row;
}

/** The same, of what a listing found. */
export function asListed(
  found: readonly unknown[],
  database: string,
): readonly { readonly name: string; readonly size: number; readonly created: number }[] {
  const listed = found as readonly { readonly name: string; readonly size: number; readonly created: number }[];
  for (const { name, size, created } of listed)
    if (typeof name !== "string" || !isCount(size) || !isCount(created))
      throw new StoreError("damaged", damageText(database, "a row is no object"));
  return listed;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
