import { type ListedObject, listObjects } from "../../bay/list-objects.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import { equalBytes } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import type { ObjectStore } from "../../storage/object-store.ts";

const COPIES_AT_ONCE = 8;
/** Of an object in memory at once. */
const PIECE_BYTES: number = 4 * 2 ** 20;

export interface Copying {
  readonly from: ObjectStore;
  readonly to: ObjectStore;
  /** Of the account's objects, in both. */
  readonly prefix: string;
  /** Told the size of each object that went over or was there already. */
  readonly onDone?: (size: number) => void;
}

export interface CopyReport {
  /** Objects that went over now. */
  readonly copied: number;
  /** Objects that were there already, byte for byte. */
  readonly found: number;
}

type Wanted = (object: ListedObject) => boolean;

/**
 * Copies an account's objects, as they are sealed, from one store to another. The object of a name never changes, so each
 * goes over once, and is read again where it arrived; an object that is there already must be the same, byte for byte.
 */
export class Copier {
  readonly #copying: Copying;
  readonly #done = new Set<string>();
  #copied = 0;
  #found = 0;

  constructor(copying: Copying) {
    this.#copying = copying;
  }

  get report(): CopyReport {
    return { copied: this.#copied, found: this.#found };
  }

  /** All that is listed under `kind`. Errors: `conflict` where another object has the name; `unavailable`, `over-quota`. */
  copyAll(kind: string, isWanted: Wanted = () => true): Promise<void> {
    const { from, prefix } = this.#copying;
    return this.copyEach(listObjects(from, prefix + kind, { priority: "bulk" }), isWanted);
  }

  /** Several at once; when one fails, no other is begun, and those under way are waited for. */
  async copyEach(
    objects: Iterable<ListedObject> | AsyncIterable<ListedObject>,
    isWanted: Wanted = () => true,
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
    const { from, to, onDone } = this.#copying;
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

/** How many bytes the account's objects are, to be told of a move's progress. Errors: `unavailable`. */
export async function measureAccount(store: ObjectStore, prefix: string): Promise<number> {
  let bytes = 0;
  for await (const { size } of listObjects(store, prefix)) bytes += size;
  return bytes;
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

/** True if there is any object under `prefix`. */
export async function isAny(store: ObjectStore, prefix: string): Promise<boolean> {
  return (await asStoreFailure(store.list(prefix, { limit: 1 }))).objects.length > 0;
}
