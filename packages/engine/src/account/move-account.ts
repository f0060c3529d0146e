import { type Fence, fenceLog, findFence } from "../bay/fence.ts";
import { type ListedObject, listObjects } from "../bay/list-objects.ts";
import { asStoreFailure } from "../bay/store-failure.ts";
import { equalBytes } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import type { ObjectStore } from "../storage/object-store.ts";

/**
 * Moves an account from one store to another, object by object, with none of its keys. Servers may run on both.
 *
 * What never changes goes first, while the owner still writes. Then the log is ended (`fence.ts`), and what is there then
 * is all there is. Key slots go last: before they are there nobody can open the account in its new place, so nobody finds
 * half of it. Mail that is delivered to the old place afterwards goes over with the next call; what comes twice by that
 * is taken in once, by its numbers.
 *
 * Each object is read again where it arrived. Killed at any point, it goes on with the next call.
 */
export interface Moving {
  readonly from: ObjectStore;
  readonly to: ObjectStore;
  /** Of the account's objects, in both. */
  readonly prefix: string;
  /** Told the size of each object that went over or was there already. */
  readonly onDone?: (size: number) => void;
}

export interface MoveReport {
  /** Objects that went over now. */
  readonly copied: number;
  /** Objects that were there already, byte for byte. */
  readonly found: number;
}

/** What is large, and never changes under one name. */
const BULK = ["body/", "pack/", "page/"] as const;
/** What the log's end makes final. */
const FINAL = ["note/", "checkpoint/", "log/"] as const;
const COPIES_AT_ONCE = 8;
/** Of an object in memory at once. */
const PIECE_BYTES: number = 4 * 2 ** 20;
/** A delivery writes its note within two hours of its body: one this much older than the fence is no late one's. */
const LATE_BODY_MS: number = 3 * 60 * 60_000;

/**
 * Errors: `not-found` where `from` has no such account; `already-exists` where `to` has one that did not come from
 * there; `conflict` where it has another object of the same name, or the account was moved away from there; `unavailable`
 * and `over-quota`. What went over stays.
 */
export async function moveAccount(moving: Moving): Promise<MoveReport> {
  const mover = new Mover(moving);
  const { from, to, prefix } = moving;
  const fence = await findFence({ store: from, prefix });
  if (await isAny(to, `${prefix}slot/`)) {
    if (!fence)
      throw new EngineError("already-exists", "there is such an account already, which did not come from here");
    await mover.finish(fence);
  } else {
    if ((await isAny(to, `${prefix}log/`)) && (await findFence({ store: to, prefix })))
      throw new EngineError(
        "conflict",
        "the account was moved away from there: its objects there must be deleted first",
      );
    for (const kind of BULK) await mover.copyAll(kind);
    const ended = await fenceLog({ store: from, prefix });
    for (const kind of [...BULK, ...FINAL]) await mover.copyAll(kind, ({ name }) => name !== ended.name);
    await mover.finish(ended);
  }
  return mover.report;
}

/** How many bytes the account's objects are, to be told of a move's progress. Errors: `unavailable`. */
export async function measureAccount(store: ObjectStore, prefix: string): Promise<number> {
  let bytes = 0;
  for await (const { size } of listObjects(store, prefix)) bytes += size;
  return bytes;
}

class Mover {
  readonly #moving: Moving;
  readonly #done = new Set<string>();
  #copied = 0;
  #found = 0;

  constructor(moving: Moving) {
    this.#moving = moving;
  }

  get report(): MoveReport {
    return { copied: this.#copied, found: this.#found };
  }

  /** Gives the new place its ways in, then what was delivered to the old one. */
  async finish(fence: Fence): Promise<void> {
    const { from, prefix } = this.#moving;
    await this.copyAll("slot/");
    const notes: ListedObject[] = [];
    for await (const note of listObjects(from, `${prefix}note/`)) notes.push(note);
    if (notes.length === 0) return;
    await this.copyAll("body/", ({ created }) => created >= fence.created - LATE_BODY_MS);
    await this.#copyEach(notes, () => true);
    // They are safe; and what is found here the next time came since.
    await asStoreFailure(
      from.delete(
        notes.map(({ name }) => name),
        { essential: true },
      ),
    );
  }

  copyAll(kind: string, isWanted: (object: ListedObject) => boolean = () => true): Promise<void> {
    const { from, prefix } = this.#moving;
    return this.#copyEach(listObjects(from, prefix + kind, { priority: "bulk" }), isWanted);
  }

  /** Several at once; when one fails, no other is begun, and those under way are waited for. */
  async #copyEach(
    objects: Iterable<ListedObject> | AsyncIterable<ListedObject>,
    isWanted: (object: ListedObject) => boolean,
  ): Promise<void> {
    const next = takeTurns(objects);
    let isFailed = false;
    const worker = async (): Promise<void> => {
      for (let object = await next(); object && !isFailed; object = await next())
        if (isWanted(object)) await this.#copy(object);
    };
    const workers = Array.from({ length: COPIES_AT_ONCE }, () =>
      worker().catch((error: unknown) => {
        isFailed = true;
        throw error;
      }),
    );
    await Promise.allSettled(workers);
    await Promise.all(workers);
  }

  async #copy({ name }: ListedObject): Promise<void> {
    const { from, to, onDone } = this.#moving;
    if (this.#done.has(name)) return;
    const first = await readPiece(from, name, 0);
    // Gone since it was listed: nothing names it any more.
    if (!first) return;
    const isThere = await readPiece(to, name, 0);
    if (isThere) this.#found++;
    else {
      const whole = first.bytes.length === first.size;
      await asStoreFailure(
        to.put(name, whole ? first.bytes : contentOf(pieces(from, name, first)), { priority: "bulk" }),
      );
      this.#copied++;
    }
    for await (const { bytes, start, size } of pieces(from, name, first)) {
      const copy = await readPiece(to, name, start);
      if (copy?.size !== size || !equalBytes(copy.bytes, bytes))
        throw isThere
          ? new EngineError("conflict", `${name} is another object there`)
          : new EngineError("corrupt", `${name} does not come back as it was copied`);
    }
    this.#done.add(name);
    onDone?.(first.size);
  }
}

/** The next of them for whoever asks; undefined at their end. */
function takeTurns<T>(all: Iterable<T> | AsyncIterable<T>): () => Promise<T | undefined> {
  const iterator = (async function* () {
    yield* all;
  })();
  return async () => (await iterator.next()).value ?? undefined;
}

interface Piece {
  readonly bytes: Uint8Array;
  readonly start: number;
  /** Of the whole object. */
  readonly size: number;
}

async function readPiece(store: ObjectStore, name: string, start: number): Promise<Piece | undefined> {
  const range = { start, end: start + PIECE_BYTES };
  const got = await asStoreFailure(store.get(name, range, { priority: "bulk" }));
  return got.found ? { bytes: got.bytes, start, size: got.size } : undefined;
}

/** An object's pieces, in order, of which the first was read. */
async function* pieces(store: ObjectStore, name: string, first: Piece): AsyncGenerator<Piece> {
  yield first;
  for (let at = first.bytes.length; at < first.size; ) {
    const piece = await readPiece(store, name, at);
    if (!piece || piece.bytes.length === 0) throw new EngineError("unavailable", `${name} went while it was read`);
    yield piece;
    at += piece.bytes.length;
  }
}

async function* contentOf(all: AsyncIterable<Piece>): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of all) yield bytes;
}

async function isAny(store: ObjectStore, prefix: string): Promise<boolean> {
  return (await asStoreFailure(store.list(prefix, { limit: 1 }))).objects.length > 0;
}
