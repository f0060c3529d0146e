import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { logNumber } from "../../storage/names.ts";
import { kindOfObject } from "../../storage/object-kinds.ts";
import { damageText, isDamage } from "./failure.ts";
import {
  type NewRow,
  type RowContent,
  SCHEMA_VERSION,
  type ToWorker,
  type WorkerOptions,
  type WriteReply,
  type WriteRequest,
} from "./protocol.ts";
import { freeBytes, giveUpReserve, growReserve } from "./reserve.ts";
import { FILES_INDEX, SHAPE, TABLES } from "./schema.ts";

/**
 * The store's thread: all writes, in group commits. Requests that wait when a commit begins go into it, interactive ones
 * first; one sync of the disk serves them all. Creates are judged one by one inside the commit.
 */
const TRANSACTION_BYTES_MAX: number = 1024 * 1024;
const TRANSACTION_REQUESTS_MAX = 256;
const CHECKPOINT_PAGES = 1000;
const WAL_BYTES_MAX: number = 64 * 1024 * 1024;
/** Octets that the write-ahead log keeps when all of it is checkpointed. A commit into such room is synced in half the time
 * that it takes where the file grows. Somewhat more than {@link CHECKPOINT_PAGES}. */
const WAL_BYTES_KEPT: number = 8 * 1024 * 1024;
/** Commits between two looks at how long the write-ahead log is. */
const COMMITS_A_LOOK = 32;
const IDLE_MS = 2000;
/** Pages without content that the database keeps for what comes; more are given back to the disk, so many at once. */
const FREE_PAGES_KEPT = 1024;
const VACUUM_PAGES = 256;
/** How long a commit waits for another process's. */
const BUSY_MS = 5000;
/** SQLite's codes: SQLITE_FULL, and SQLITE_IOERR_SHMSIZE, the write-ahead log's index that finds no room to grow. */
const FULL = 13;
const SHM_SIZE = 4874;
const IO_ERROR = 10;
/** SQLITE_BUSY: another process is at it. */
const BUSY = 5;

const { folder, freeBytesMin, reserveBytes } = workerData as WorkerOptions;
const files = join(folder, "objects");
const port = parentPort!;
const database = openDatabase();
const queue: WriteRequest[] = [];
let scheduled = false;
let isClosing = false;
let commits = 0;
/** The write-ahead log holds key slots that were deleted, in the last of these commits. */
let holdsSlots = false;
let slotsDeletedIn = 0;
const idle = setTimeout(tidy, IDLE_MS).unref();

const statements = {
  put: prepare(`INSERT INTO objects (row, name, created, size, bytes, file) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET row = iif(excluded.file IS NULL, row, excluded.row), created = excluded.created, size = excluded.size, bytes = excluded.bytes, file = excluded.file`),
  create: prepare(
    `INSERT INTO objects (row, name, created, size, bytes, file) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
  ),
  fileOf: prepare("SELECT file FROM objects WHERE name = ?"),
  remove: prepare("DELETE FROM objects WHERE name = ?"),
  floor: prepare("SELECT number FROM floors WHERE prefix = ?"),
  raiseFloor: prepare(`INSERT INTO floors (prefix, number) VALUES (?, ?)
    ON CONFLICT (prefix) DO UPDATE SET number = max(number, excluded.number)`),
  counters: prepare("SELECT date, row FROM counters"),
  setCounters: prepare("UPDATE counters SET date = ?, row = ?"),
} as const;

function prepare(sql: string): StatementSync {
  return database.prepare(sql);
}

function openDatabase(): DatabaseSync {
  const db = new DatabaseSync(join(folder, "store.sqlite"), { timeout: BUSY_MS });
  db.exec(SHAPE);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA secure_delete = ON;`);
  db.exec("BEGIN IMMEDIATE");
  const { user_version: version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  if (version > SCHEMA_VERSION) throw new Error("store was made by a newer version of Restante");
  if (version === 0) db.exec(TABLES);
  // Schema 1 counted in two places, so that a commit wrote a page more.
  if (version === 1)
    db.exec(`
      CREATE TABLE counters (date INTEGER NOT NULL, row INTEGER NOT NULL);
      INSERT INTO counters SELECT last, (SELECT ifnull(max(seq), 0) FROM sqlite_sequence) FROM clock;
      DROP TABLE clock;`);
  // Before schema 3 each opening read the whole store to find the names of files, which stand behind the bytes.
  if (version < 3) db.exec(FILES_INDEX);
  db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  db.exec("COMMIT");
  db.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  return db;
}

port.on("message", (message: ToWorker) => {
  receive(message);
  if (!scheduled) commitNext();
});

function receive(message: ToWorker): void {
  if ("close" in message) isClosing = true;
  else queue.push(...message.requests);
}

/** Commits what waits, and lets others have their turn before the next. */
function commitNext(): void {
  // Messages that are here already ride along.
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
    receive(next.message as ToWorker);
  if (queue.length > 0) commitBatch(takeBatch());
  scheduled = queue.length > 0;
  if (scheduled) setImmediate(commitNext);
  else if (isClosing) close();
}

function takeBatch(): WriteRequest[] {
  if (queue.some((request) => request.bulk)) queue.sort((a, b) => Number(a.bulk) - Number(b.bulk) || a.id - b.id);
  let bytes = 0;
  let count = 0;
  while (count < queue.length && count < TRANSACTION_REQUESTS_MAX) {
    bytes += sizeOf(queue[count]!);
    if (count > 0 && bytes > TRANSACTION_BYTES_MAX) break;
    count++;
  }
  return queue.splice(0, count);
}

function sizeOf(request: WriteRequest): number {
  let bytes = 100;
  for (const { content } of rowsOf(request)) if (content.in === "row") bytes += content.bytes.length;
  return bytes;
}

function rowsOf(request: WriteRequest): readonly NewRow[] {
  return request.kind === "delete" ? [] : [...request.along, request.object];
}

function commitBatch(batch: readonly WriteRequest[]): void {
  const unneeded: string[] = [];
  try {
    port.postMessage({ replies: commit(batch, unneeded) });
  } catch (error) {
    if (isFatal(error)) fail(batch, error);
    // One of them spoils it for all: let each stand alone.
    else if (batch.length > 1) for (const request of batch) commitBatch([request]);
    else if (isFull(error) && isEssential(batch[0]!)) commitFromReserve(batch);
    else fail(batch, error);
    return;
  }
  for (const file of unneeded) removeFile(file);
  // Where others read the log just now it is tried again now and then.
  if (holdsSlots && (slotsDeletedIn === commits || commits % COMMITS_A_LOOK === 0)) truncate();
}

/** Once more, with the reserve's room. */
function commitFromReserve(batch: readonly WriteRequest[]): void {
  giveUpReserve(folder);
  const unneeded: string[] = [];
  try {
    port.postMessage({ replies: commit(batch, unneeded) });
  } catch (error) {
    fail(batch, error);
    return;
  }
  for (const file of unneeded) removeFile(file);
}

function isEssential(request: WriteRequest): boolean {
  return request.kind === "delete" || request.essential;
}

function fail(batch: readonly WriteRequest[], error: unknown): void {
  port.postMessage({ replies: batch.map(({ id }) => ({ id, now: 0, error: describe(error) })) });
}

/** One transaction. Throws with nothing done. */
function commit(batch: readonly WriteRequest[], unneeded: string[]): WriteReply[] {
  idle.refresh();
  if (++commits % COMMITS_A_LOOK === 0 && walBytes() > WAL_BYTES_MAX) truncate();
  database.exec("BEGIN IMMEDIATE");
  try {
    const counters = readCounters();
    const replies = batch.map((request) => write(request, counters, unneeded));
    statements.setCounters.run(counters.now, counters.row);
    database.exec("COMMIT");
    return replies;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

function write(request: WriteRequest, counters: Counters, unneeded: string[]): WriteReply {
  const { id } = request;
  const { now } = counters;
  if (request.kind === "delete") {
    for (const name of request.names) remove(name, unneeded);
    return { id, now };
  }
  for (const row of request.along) put(row, counters, unneeded);
  if (request.kind === "create") return { id, now, stored: create(request.object, counters, unneeded) };
  put(request.object, counters, unneeded);
  return { id, now };
}

function put({ name, content }: NewRow, counters: Counters, unneeded: string[]): void {
  const old = fileOf(name);
  if (old) unneeded.push(old);
  statements.put.run(++counters.row, name, counters.now, ...columnsOf(content));
}

/** Stores an object if its name is free. False if it is not. */
function create({ name, content }: NewRow, counters: Counters, unneeded: string[]): boolean {
  const log = logNumber(name);
  const floor = log ? (statements.floor.get(log.prefix) as { number: number } | undefined)?.number : undefined;
  const belowFloor = log !== undefined && floor !== undefined && log.number <= floor;
  const insert = () => statements.create.run(++counters.row, name, counters.now, ...columnsOf(content));
  const stored = !belowFloor && Number(insert().changes) > 0;
  if (!stored && content.in === "file") unneeded.push(content.file);
  return stored;
}

/** Size, bytes and file. */
function columnsOf(content: RowContent): [number, Uint8Array | null, string | null] {
  return content.in === "row" ? [content.bytes.length, content.bytes, null] : [content.size, null, content.file];
}

function remove(name: string, unneeded: string[]): void {
  const file = fileOf(name);
  if (file) unneeded.push(file);
  statements.remove.run(name);
  if (kindOfObject(name) === "slot") [holdsSlots, slotsDeletedIn] = [true, commits];
  const log = logNumber(name);
  if (log) statements.raiseFloor.run(log.prefix, log.number);
}

function fileOf(name: string): string | null | undefined {
  return (statements.fileOf.get(name) as { file: string | null } | undefined)?.file;
}

/** Counters that go on from one commit to the next: the store's date, which is the machine's but never goes back, and the
 * number of the newest row, which no other row ever had. */
interface Counters {
  readonly now: number;
  row: number;
}

function readCounters(): Counters {
  const { date, row } = statements.counters.get() as { date: number; row: number };
  return { now: Math.max(Date.now(), date), row };
}

/** The commit is done and can't be undone by this: a file that stays is named by no row, and swept by the next opening
 * that is alone. */
function removeFile(file: string): void {
  try {
    rmSync(join(files, file), { force: true, maxRetries: 0 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
  }
}

function isFatal(error: unknown): boolean {
  const { errcode } = error as { errcode?: number };
  // SQLITE_IOERR: after a failed sync nobody knows what the disk holds.
  return errcode !== undefined && (errcode & 0xff) === IO_ERROR && errcode !== SHM_SIZE;
}

function isFull(error: unknown): boolean {
  const { errcode, code } = error as { errcode?: number; code?: string };
  return code === "ENOSPC" || errcode === SHM_SIZE || (errcode !== undefined && (errcode & 0xff) === FULL);
}

function describe(error: unknown): WriteReply["error"] {
  const { message: said } = error as { message: string };
  // Nothing was written: who asked may ask again once it is mended.
  const message = isDamage(error) ? damageText(join(folder, "store.sqlite"), said) : said;
  return { code: isFatal(error) ? "fatal" : isFull(error) ? "full" : "unavailable", message };
}

/** When nothing has been written for a while, what the store doesn't need is given back to the disk: free pages, and the
 * write-ahead log. Then the reserve is made again. In short steps, which writes interrupt. */
function tidy(): void {
  let hasMore = vacuum();
  if (!hasMore) {
    giveBackLog();
    ifPossible(() => {
      hasMore = growReserve({ folder, bytes: reserveBytes, freeBytesMin });
    });
  }
  if (!hasMore) return;
  const before = commits;
  setImmediate(() => {
    if (commits === before && database.isOpen) tidy();
  });
}

/** Returns whether some pages were given back, and there may be more. */
function vacuum(): boolean {
  const free = freePages();
  if (free <= FREE_PAGES_KEPT) return false;
  return ifPossible(() => database.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`)) && freePages() < free;
}

function freePages(): number {
  return (database.prepare("PRAGMA freelist_count").get() as { freelist_count: number }).freelist_count;
}

function walBytes(): number {
  return statSync(join(folder, "store.sqlite-wal"), { throwIfNoEntry: false })?.size ?? 0;
}

function giveBackLog(): void {
  if (holdsSlots || walBytes() > WAL_BYTES_KEPT || freeBytes(folder) < freeBytesMin) truncate();
  else ifPossible(() => database.exec("PRAGMA wal_checkpoint(PASSIVE)"));
}

/** Nobody waits for others who read: a backup may do so for minutes. */
function truncate(): void {
  ifPossible(() => {
    database.exec("PRAGMA busy_timeout = 0");
    try {
      const { busy } = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as { busy: number };
      if (busy === 0) holdsSlots = false;
    } finally {
      database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    }
  });
}

/** Does what may as well be done later, when there is room, nobody else is at it, or what is damaged is mended. Returns
 * whether it was done. */
function ifPossible(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    const { errcode, syscall } = error as { errcode?: number; syscall?: string };
    const mayPass = isFull(error) || isDamage(error) || errcode === BUSY || syscall !== undefined;
    if (!mayPass) throw error;
    return false;
  }
}

function close(): void {
  clearTimeout(idle);
  if (holdsSlots) truncate();
  database.close();
  port.postMessage({ closed: true });
  port.close();
}

port.postMessage({ ready: true });
