import { randomBytes } from "node:crypto";
import { closeSync, constants, existsSync, fsync, openSync, read, readSync, statSync } from "node:fs";
import { access, type FileHandle, mkdir, open, statfs, unlink } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { checkName, prefixEnd } from "../../storage/names.ts";
import { kindIn, kindOfObject, OBJECT_KINDS, type ObjectKind, OUTBOUND_MAIL } from "../../storage/object-kinds.ts";
import {
  type ByteRange,
  type GetOptions,
  type Got,
  type Listed,
  type ListOptions,
  type ObjectStore,
  type Put,
  type PutIfAbsent,
  type Ring,
  StoreError,
  type StoreOptions,
} from "../../storage/object-store.ts";
import { chain } from "../../streams.ts";
import { countGarbage } from "../garbage.ts";
import { asStoreError, storeFailures } from "./failure.ts";
import { fileName } from "./file-name.ts";
import { LARGE_ROW_BYTES, LargeRow } from "./large-row.ts";
import { lockStore } from "./lock.ts";
import {
  type FromWorker,
  type NewRow,
  REPAIRED,
  type RowContent,
  type ToWorker,
  type WorkerOptions,
  type WriteReply,
  type WriteRequest,
} from "./protocol.ts";
import { giveUpReserve } from "./reserve.ts";
import { asListed, asRow, type Row } from "./row.ts";
import { writeAll, writeStream } from "./write-stream.ts";

/**
 * The store of one machine: SQLite for what is small, files for bodies, packs and pages above 128 KB
 * (docs/formats/embedded-store.md). A thread of its own writes, in group commits; reads happen here, on a read-only
 * connection, and cost microseconds.
 *
 * Invariant: a file is whole and synced before its row is committed; a row's file is deleted after the row is gone.
 */
/** Reads up to this are made here; a longer one might wait for the disk too long. */
const SHORT_READ_BYTES: number = 128 * 1024;
const readBytes = promisify(read);
const syncToDisk = promisify(fsync);

const ROW_BYTES_MAX: number = 128 * 1024;
/** Below this much room, and this share, only what is essential is taken. */
export const FREE_BYTES_MIN: number = 256 * 1024 * 1024;
const FREE_SHARE_MIN = 0.02;
/** Octets that are kept for essential writes when the disk is full. */
export const RESERVE_BYTES: number = 64 * 1024 * 1024;
const FREE_CHECK_MS = 1000;
/** How often other processes' writes are looked for while anyone watches. */
const WATCH_MS = 25;
/** `f_type` of file systems on which SQLite's locks can't be trusted: NFS, SMB, CIFS, 9p, FUSE (sshfs and the like). */
const NETWORK_FILE_SYSTEMS: ReadonlySet<number> = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x01021997]);

export interface EmbeddedStoreOptions {
  readonly folder: string;
  /** Octets that stay free on the disk; by default {@link FREE_BYTES_MIN}. */
  readonly freeBytesMin?: number;
  /** Size of the reserve file; by default {@link RESERVE_BYTES}. */
  readonly reserveBytes?: number;
  /** A sync has failed, so nobody knows which writes are stored: the process must end. */
  readonly onFatal: (message: string) => void;
}

/** Errors: StoreError `damaged` where the database can't be opened, `unavailable` where the folder or its files can't be
 * used; each says what to do. */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<ObjectStore> {
  const database = join(options.folder, "store.sqlite");
  try {
    return await openStore(options);
  } catch (error) {
    throw asStoreError(error, database);
  }
}

async function openStore(options: EmbeddedStoreOptions): Promise<ObjectStore> {
  const { folder, freeBytesMin = FREE_BYTES_MIN, reserveBytes = RESERVE_BYTES } = options;
  const files = join(folder, "objects");
  await mkdir(files, { recursive: true, mode: 0o700 });
  await access(files, constants.R_OK | constants.W_OK | constants.X_OK);
  if (existsSync(join(folder, REPAIRED)))
    throw new StoreError("unavailable", "a repair of the store was cut short: run restante check --repair again");
  const { type } = await statfs(folder);
  if (NETWORK_FILE_SYSTEMS.has(type))
    throw new StoreError("unavailable", "the store can't lie on a network file system");
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    workerData: { folder, freeBytesMin, reserveBytes } satisfies WorkerOptions,
  });
  await new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("error", reject);
  });
  const lock = await lockStore(folder).catch(async (error: unknown) => {
    await worker.terminate();
    throw error;
  });
  try {
    return new EmbeddedStore(options, worker, lock);
  } catch (error) {
    await worker.terminate();
    lock[Symbol.dispose]();
    throw error;
  }
}

interface Pending {
  readonly resolve: (reply: WriteReply) => void;
  readonly reject: (error: unknown) => void;
}

class EmbeddedStore implements ObjectStore {
  readonly #options: EmbeddedStoreOptions;
  readonly #files: string;
  readonly #database: string;
  readonly #worker: Worker;
  readonly #lock: Disposable;
  readonly #reader: DatabaseSync;
  readonly #statements: Record<"get" | "getRange" | "number" | "list" | "newest" | "since" | "version", StatementSync>;
  readonly #pending = new Map<number, Pending>();
  readonly #watchers = new Map<string, Set<Ring>>();
  #outbox: WriteRequest[] = [];
  #nextId = 1;
  #closed = false;
  #watching: NodeJS.Timeout | undefined;
  #seenVersion = -1;
  #seenRow = 0;
  readonly #large = new LargeRow();
  #free = { checkedAt: Number.NEGATIVE_INFINITY, low: false };

  constructor(options: EmbeddedStoreOptions, worker: Worker, lock: Disposable) {
    this.#lock = lock;
    this.#options = options;
    this.#files = join(options.folder, "objects");
    this.#worker = worker;
    this.#database = join(options.folder, "store.sqlite");
    this.#reader = new DatabaseSync(this.#database, { readOnly: true, timeout: 5000 });
    this.#statements = {
      get: this.#reader.prepare("SELECT row, created, size, bytes, file FROM objects WHERE name = ?"),
      // SQLite counts from 1. All of a row is told without a copy of it.
      getRange: this.#reader.prepare(
        "SELECT row, created, size, iif(?1 = 0 AND ?2 >= size, bytes, substr(bytes, ?1 + 1, ?2)) AS bytes, file FROM objects WHERE name = ?3",
      ),
      number: this.#reader.prepare("SELECT row FROM objects WHERE name = ?"),
      list: this.#reader.prepare(
        // One lower bound alone is looked up; a second one would make SQLite walk up from the first.
        "SELECT name, created, size FROM objects WHERE name >= ? AND name < ? AND +name > ? ORDER BY name LIMIT ?",
      ),
      newest: this.#reader.prepare("SELECT row FROM counters"),
      since: this.#reader.prepare("SELECT row, name FROM objects WHERE row > ? ORDER BY row"),
      version: this.#reader.prepare("PRAGMA data_version"),
    };
    worker.on("message", (message: FromWorker) => this.#receive(message));
    worker.on("error", (error) => this.#fail(error));
    worker.unref();
  }

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, options: StoreOptions = {}): Promise<Put> {
    const { now } = await this.#store("put", name, content, options);
    this.#ring(name);
    return { now };
  }

  async putIfAbsent(name: string, content: Uint8Array, options: StoreOptions = {}): Promise<PutIfAbsent> {
    const reply = await this.#store("create", name, content, options);
    if (reply.stored) this.#ring(name);
    return { outcome: reply.stored ? "stored" : "exists", now: reply.now };
  }

  /** The result of `work`. Errors of SQLite and the file system become the store's own. */
  async #telling<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw asStoreError(error, this.#database);
    }
  }

  async #store(
    kind: "put" | "create",
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    options: StoreOptions,
  ): Promise<WriteReply> {
    const { along = [], priority, essential = false } = options;
    for (const object of [...along, { name }]) this.#check(object.name);
    await this.#telling(() => this.#checkRoom(options));
    const object = { name, content: await this.#prepare(name, content, essential) };
    const rows: NewRow[] = [];
    for (const other of along)
      rows.push({ name: other.name, content: await this.#prepare(other.name, other.content, essential) });
    return this.#write({ kind, object, along: rows, bulk: priority === "bulk", essential });
  }

  async get(name: string, range?: ByteRange, { room }: GetOptions = {}): Promise<Got> {
    this.#check(name);
    if (range && !(range.start >= 0 && range.start <= range.end)) throw new StoreError("invalid", "invalid range");
    for (;;) {
      const row = storeFailures(this.#database, () => (range ? this.#getPiece(name, range) : this.#getRow(name)));
      const now = Math.max(Date.now(), row?.created ?? 0);
      if (!row) return { found: false, now };
      // Its file may go between the two reads: then the row is another by now.
      const bytes = row.bytes ?? (await this.#telling(() => this.#readFile(row, range, room)));
      if (!bytes) continue;
      if (bytes.buffer !== room?.buffer) countGarbage(bytes.length);
      return { found: true, bytes, size: row.size, created: row.created, now };
    }
  }

  #getRow(name: string): Row | undefined {
    return asRow(this.#statements.get.get(name), this.#database);
  }

  /** The row, and of its octets a piece. */
  #getPiece(name: string, range: ByteRange): Row | undefined {
    const { getRange, number } = this.#statements;
    const large = this.#large;
    if (!large.is(name)) {
      const piece = asRow(getRange.get(range.start, range.end - range.start, name), this.#database);
      if (piece?.bytes && piece.size > LARGE_ROW_BYTES && isWrittenOnce(name)) large.note(name);
      return piece;
    }
    const there = number.get(name) as unknown as Pick<Row, "row"> | undefined;
    let whole = large.find(there?.row);
    if (!whole) {
      whole = this.#getRow(name);
      if (!whole?.bytes) return whole;
      large.keep(whole);
      countGarbage(whole.size);
    }
    // A copy: who keeps a piece does not keep the row.
    return { ...whole, bytes: whole.bytes!.slice(range.start, range.end) };
  }

  async list(prefix: string, { after = "", limit = -1 }: ListOptions = {}): Promise<Listed> {
    if (this.#closed) throw new StoreError("closed", "store is closed");
    const from = after > prefix ? after : prefix;
    const rows = storeFailures(this.#database, () =>
      this.#statements.list.all(from, prefixEnd(prefix) ?? "\uffff", after, limit),
    );
    return { objects: asListed(rows, this.#database), now: Date.now() };
  }

  async delete(names: readonly string[], options: StoreOptions = {}): Promise<{ readonly now: number }> {
    for (const name of names) this.#check(name);
    const { now } = await this.#write({ kind: "delete", names, bulk: options.priority === "bulk" });
    return { now };
  }

  watch(prefix: string, ring: Ring): () => void {
    const rings = this.#watchers.get(prefix) ?? new Set();
    rings.add(ring);
    this.#watchers.set(prefix, rings);
    if (!this.#watching) {
      this.#lookFromNow();
      this.#watching = setInterval(() => this.#lookOrRing(), WATCH_MS);
      this.#watching.unref();
    }
    return () => {
      rings.delete(ring);
      if (rings.size === 0) this.#watchers.delete(prefix);
      if (this.#watchers.size > 0) return;
      clearInterval(this.#watching);
      this.#watching = undefined;
    };
  }

  async dispose(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#watching);
    this.#worker.ref();
    this.#send();
    const closed = new Promise<void>((resolve) => this.#worker.once("exit", () => resolve()));
    this.#worker.postMessage({ close: true } satisfies ToWorker);
    await closed;
    this.#reader.close();
    this.#lock[Symbol.dispose]();
  }

  #check(name: string): void {
    if (this.#closed) throw new StoreError("closed", "store is closed");
    checkName(name);
  }

  /** Content as a row will hold it; what is large goes to a file first, which is synced when this resolves. */
  async #prepare(
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    essential: boolean,
  ): Promise<RowContent> {
    const mayBeFile = name.startsWith(OUTBOUND_MAIL) || (kindOf(name)?.mayBeLarge ?? false);
    if (content instanceof Uint8Array) {
      if (!mayBeFile || content.length <= ROW_BYTES_MAX) return { in: "row", bytes: content };
      return essential ? this.#writeEssentialFile(content) : this.#writeFile(content);
    }
    const held: Uint8Array[] = [];
    let size = 0;
    const source = content[Symbol.asyncIterator]();
    for (let next = await source.next(); !next.done; next = await source.next()) {
      held.push(next.value.slice());
      size += next.value.length;
      if (mayBeFile && size > ROW_BYTES_MAX)
        return this.#writeFile(chain(held, { [Symbol.asyncIterator]: () => source }));
    }
    return { in: "row", bytes: Buffer.concat(held) };
  }

  /** Takes the reserve's room when there is no other. */
  async #writeEssentialFile(content: Uint8Array): Promise<RowContent> {
    try {
      return await this.#writeFile(content);
    } catch (error) {
      if (!(error instanceof StoreError && error.code === "full")) throw error;
      giveUpReserve(this.#options.folder);
      return this.#writeFile(content);
    }
  }

  async #writeFile(content: Uint8Array | AsyncIterable<Uint8Array>): Promise<RowContent> {
    const file = storeFailures(this.#database, () => fileName(this.#newestRow(), randomBytes(8).toString("hex")));
    const path = join(this.#files, file);
    const handle = await this.#telling(() => open(path, "wx", 0o600));
    let size: number;
    try {
      if (content instanceof Uint8Array) await writeAll(handle, content);
      size = content instanceof Uint8Array ? content.length : await writeStream(handle, content);
      // A folder is opened anew each time: it may be another by now.
      await syncBoth(handle, this.#files);
    } catch (error) {
      await handle.close();
      // A file that can't be removed is swept by the next opening.
      await unlink(path).catch(() => undefined);
      throw asStoreError(error, this.#database);
    }
    await handle.close();
    return { in: "file", file, size };
  }

  async #readFile(row: Row, range: ByteRange | undefined, room?: Uint8Array): Promise<Uint8Array | undefined> {
    const start = Math.min(range?.start ?? 0, row.size);
    const end = Math.min(range?.end ?? row.size, row.size);
    try {
      // Opening, closing and a short read take microseconds, as rows do: less than the way to another thread.
      const fd = openSync(join(this.#files, row.file!), "r");
      try {
        const bytes =
          room && room.length >= end - start
            ? room.subarray(0, end - start)
            : new Uint8Array(Buffer.allocUnsafeSlow(end - start).buffer);
        for (let at = 0; at < bytes.length; ) {
          const left = bytes.length - at;
          const bytesRead =
            left <= SHORT_READ_BYTES
              ? readSync(fd, bytes, at, left, start + at)
              : (await readBytes(fd, bytes, at, left, start + at)).bytesRead;
          if (bytesRead === 0) throw new StoreError("damaged", "a file of the store is shorter than it was");
          at += bytesRead;
        }
        return bytes;
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      // A folder that is away took its files with it, and brings them back.
      statSync(this.#files);
      const again = this.#reader.prepare("SELECT 1 FROM objects WHERE file = ?").get(row.file);
      if (again) throw new StoreError("damaged", "a file of the store is missing", { cause: error });
      return undefined;
    }
  }

  async #checkRoom(options: StoreOptions): Promise<void> {
    if (options.essential) return;
    if (performance.now() - this.#free.checkedAt > FREE_CHECK_MS) {
      const { bavail, blocks, bsize } = await statfs(this.#options.folder);
      const low = bavail * bsize < (this.#options.freeBytesMin ?? FREE_BYTES_MIN) || bavail < blocks * FREE_SHARE_MIN;
      this.#free = { checkedAt: performance.now(), low };
    }
    if (this.#free.low) throw new StoreError("full", "the disk is nearly full");
  }

  #write(request: DistributiveOmit<WriteRequest, "id">): Promise<WriteReply> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      if (this.#pending.size === 1) this.#worker.ref();
      this.#outbox.push({ ...request, id });
      // Requests of one turn of the event loop travel together.
      if (this.#outbox.length === 1) queueMicrotask(() => this.#send());
    });
  }

  #send(): void {
    if (this.#outbox.length === 0) return;
    this.#worker.postMessage({ requests: this.#outbox } satisfies ToWorker);
    this.#outbox = [];
  }

  #receive(message: FromWorker): void {
    if (!("replies" in message)) return;
    for (const reply of message.replies) {
      const pending = this.#pending.get(reply.id);
      this.#pending.delete(reply.id);
      if (reply.error) {
        if (reply.error.code === "fatal") this.#options.onFatal(reply.error.message);
        const code = reply.error.code === "fatal" ? "unknown" : reply.error.code;
        pending?.reject(new StoreError(code, reply.error.message));
      } else pending?.resolve(reply);
    }
    if (this.#pending.size === 0) this.#worker.unref();
  }

  #fail(error: unknown): void {
    this.#options.onFatal(error instanceof Error ? error.message : "the store's thread ended");
    for (const { reject } of this.#pending.values()) reject(new StoreError("unknown", "the store's thread ended"));
    this.#pending.clear();
  }

  #ring(name: string): void {
    for (const ring of this.#watchers.get(name.slice(0, name.lastIndexOf("/") + 1)) ?? []) ring(name);
  }

  /** Of a store that can't tell, no look is as the one before: who asks goes on to read, and hears what is wrong. */
  freshen(): number {
    try {
      if (this.#watching) this.#lookForWrites();
      else this.#seenVersion = this.#dataVersion();
      return this.#seenVersion;
    } catch (error) {
      if (!(asStoreError(error, this.#database) instanceof StoreError)) throw error;
      return Number.NaN;
    }
  }

  #lookFromNow(): void {
    try {
      this.#seenVersion = this.#dataVersion();
      this.#seenRow = this.#newestRow();
    } catch (error) {
      if (!(asStoreError(error, this.#database) instanceof StoreError)) throw error;
      // All is told once, at the first look that can be taken.
      this.#seenVersion = -1;
      this.#seenRow = 0;
    }
  }

  /** Where it can't be told what was written, who watches looks for themselves, and hears what is wrong. */
  #lookOrRing(): void {
    try {
      this.#lookForWrites();
    } catch (error) {
      if (!(asStoreError(error, this.#database) instanceof StoreError)) throw error;
      for (const rings of this.#watchers.values()) for (const ring of rings) ring();
    }
  }

  /** Rings for what was written since the last look, by any process. */
  #lookForWrites(): void {
    const version = this.#dataVersion();
    if (version === this.#seenVersion) return;
    this.#seenVersion = version;
    const rows = this.#statements.since.all(this.#seenRow) as unknown as { row: number; name: string }[];
    // Rows ascend in the order of their commits.
    this.#seenRow = rows.at(-1)?.row ?? this.#seenRow;
    for (const { name } of rows) this.#ring(name);
  }

  #dataVersion(): number {
    return (this.#statements.version.get() as { data_version: number }).data_version;
  }

  #newestRow(): number {
    return (this.#statements.newest.get() as { row: number }).row;
  }
}

/** Syncs a file's bytes, and its name in the folder. Settles when neither is under way. */
async function syncBoth(handle: FileHandle, folder: string): Promise<void> {
  const names = openSync(folder, "r");
  try {
    const both = [handle.datasync(), syncToDisk(names)];
    await Promise.allSettled(both);
    await Promise.all(both);
  } finally {
    closeSync(names);
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

function kindOf(name: string): ObjectKind | undefined {
  const kind = kindOfObject(name) ?? kindIn(name);
  return kind && OBJECT_KINDS[kind];
}

/** True for a name whose octets never change. */
function isWrittenOnce(name: string): boolean {
  return kindOf(name)?.writes === "once";
}
