import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { prefixEnd } from "../../storage/names.ts";
import {
  type ByteRange,
  type Got,
  type Listed,
  type ListOptions,
  type ObjectStore,
  StoreError,
} from "../../storage/object-store.ts";
import { asStoreError, damageText, isDamage, storeFailures } from "./failure.ts";
import { lockAlone } from "./lock.ts";
import { Remains, type Remnant } from "./remains.ts";

/** How many of SQLite's findings are told. */
const FINDINGS_MAX = 20;

/** Damage that SQLite finds in the store's database, which it reads whole; empty if it is sound. Throws StoreError where the
 * database can't be looked at. */
export function findDamage(folder: string): readonly string[] {
  const path = join(folder, "store.sqlite");
  if (!existsSync(path)) return [];
  try {
    using database = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    const found = database.prepare(`PRAGMA integrity_check(${FINDINGS_MAX})`).all();
    return found.map(({ integrity_check }) => String(integrity_check)).filter((text) => text !== "ok");
  } catch (error) {
    if (isDamage(error)) return [(error as Error).message];
    throw asStoreError(error, path);
  }
}

/** A damaged store, to be read and nothing else: all that is left of it, page by page; what is lost is listed, and `damaged`
 * to readers. Errors: `unavailable` while a server runs on it. */
export async function openDamagedStore(folder: string): Promise<DamagedStore> {
  return storeFailures(join(folder, "store.sqlite"), () => new DamagedStore(folder));
}

export class DamagedStore implements ObjectStore {
  readonly #folder: string;
  readonly #lock: Disposable;
  readonly #remains: Remains;

  constructor(folder: string) {
    this.#folder = folder;
    this.#lock = lockAlone(folder);
    this.#remains = new Remains(folder);
  }

  /** Lost objects, in words. */
  get problems(): readonly string[] {
    return this.#remains.problems;
  }

  async get(name: string, range?: ByteRange): Promise<Got> {
    const found = this.#remains.find(name);
    const now = Date.now();
    if (!found) return { found: false, now };
    const bytes = this.#read(found);
    const { size, created } = found;
    return { found: true, bytes: range ? bytes.subarray(range.start, range.end) : bytes, size, created, now };
  }

  async list(prefix: string, { after = "", limit = -1 }: ListOptions = {}): Promise<Listed> {
    const from = after > prefix ? after : prefix;
    const found = this.#remains.list(from, prefixEnd(prefix) ?? "\uffff", after, limit);
    return { objects: found.map(({ name, size, created }) => ({ name, size, created })), now: Date.now() };
  }

  async put(): Promise<never> {
    throw this.#isOnlyRead();
  }

  async putIfAbsent(): Promise<never> {
    throw this.#isOnlyRead();
  }

  async delete(): Promise<never> {
    throw this.#isOnlyRead();
  }

  watch(): () => void {
    return () => undefined;
  }

  async dispose(): Promise<void> {
    this.#remains[Symbol.dispose]();
    this.#lock[Symbol.dispose]();
  }

  #read(found: Remnant): Uint8Array {
    const bytes = found.file === null ? this.#remains.bytesOf(found) : this.#readFile(found.file);
    if (bytes.length < found.size || (found.page === null && found.file === null))
      throw new StoreError("damaged", "lost with a page of store.sqlite");
    return bytes;
  }

  #readFile(file: string): Uint8Array {
    try {
      return readFileSync(join(this.#folder, "objects", file));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw asStoreError(error, this.#folder);
      throw new StoreError("damaged", "a file of the store is missing", { cause: error });
    }
  }

  #isOnlyRead(): StoreError {
    return new StoreError("unavailable", damageText(join(this.#folder, "store.sqlite"), "it is only read"));
  }
}
