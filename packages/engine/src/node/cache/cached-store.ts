import { kindOfObject, OBJECT_KINDS } from "../../storage/object-kinds.ts";
import {
  type ByteRange,
  type GetOptions,
  type Got,
  type Listed,
  type ListOptions,
  type NewObject,
  type ObjectStore,
  type Put,
  type PutIfAbsent,
  type Ring,
  StoreError,
  type StoreOptions,
  type WatchOptions,
} from "../../storage/object-store.ts";
import { BLOCK_BYTES, type Block, type BlockCache } from "./block-cache.ts";

/** Blocks that are asked for beyond those that somebody wants, at most. */
const AHEAD_BLOCKS_MAX = 8;
/** And at most so many for each that lies before them and is kept: who reads on wants the next, and of who does not no
 * more than thrice is read of what they wanted. */
const AHEAD_GROWTH = 2;

/** Objects that never change under their name, and may be large: `<account>/<kind>/<random>`. */
const isKept = (name: string): boolean => {
  const kind = kindOfObject(name);
  return kind !== undefined && OBJECT_KINDS[kind].mayBeLarge;
};

/** Blocks from `first` up to, not including, `end`. */
interface Blocks {
  readonly first: number;
  readonly end: number;
}

/** A request for blocks of an object. */
interface Reading extends ByteRange {
  readonly name: string;
  readonly priority: StoreOptions["priority"];
  readonly got: Promise<Got>;
}

/**
 * A remote store of which the immutable objects that were written or read are kept near; large ones, which are written as
 * streams, once they are read. Cached blocks are read without a request, also while the store is away.
 *
 * A block is asked for whole, all that a range lacks by one request, and what several ask for at once by one too: small
 * bodies lie side by side in packs. A reader that goes from block to block, in either direction, gets more at once the
 * longer it does. Objects that this process deletes are dropped; those that others delete stay readable here until they are
 * pushed out, sealed as they are: names of objects that are gone stand in no state.
 */
export class CachedStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #cache: BlockCache;
  /** Requests for kept objects on their way that others may wait for. */
  readonly #underWay = new Set<Reading>();
  #closed = false;

  constructor(store: ObjectStore, cache: BlockCache) {
    this.#store = store;
    this.#cache = cache;
  }

  async get(name: string, range?: ByteRange, { room: _, ...options }: GetOptions = {}): Promise<Got> {
    if (!isKept(name) || (range && !(range.start >= 0 && range.start < range.end)))
      return this.#store.get(name, range, options);
    const wanted = range ?? { start: 0, end: Number.POSITIVE_INFINITY };
    // All that is wanted is asked for once what was kept, or another asked for, proved to be no help.
    for (let isFirst = true; ; isFirst = false) {
      const kept = await this.#read(name, wanted);
      if (kept) return kept;
      const reading = this.#findReading(name, wanted, options) ?? this.#ask(name, wanted, options, isFirst);
      const got = await reading.got;
      if (!got.found) return got;
      if (reading.start > wanted.start || (reading.end < wanted.end && reading.end < got.size)) continue;
      const bytes = got.bytes.slice(wanted.start - reading.start, Math.max(0, wanted.end - reading.start));
      return { ...got, bytes };
    }
  }

  async delete(names: readonly string[], options?: StoreOptions): Promise<{ readonly now: number }> {
    const deleted = await this.#store.delete(names, options);
    const kept = names.filter((name) => isKept(name));
    if (kept.length > 0) await this.#cache.drop(kept);
    return deleted;
  }

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, options?: StoreOptions): Promise<Put> {
    const put = await this.#store.put(name, content, options);
    if (content instanceof Uint8Array) await this.#keepNew([{ name, content }], put.now);
    await this.#keepNew(options?.along, put.now);
    return put;
  }

  async putIfAbsent(name: string, content: Uint8Array, options?: StoreOptions): Promise<PutIfAbsent> {
    const created = await this.#store.putIfAbsent(name, content, options);
    await this.#keepNew(options?.along, created.now);
    return created;
  }

  list(prefix: string, options?: ListOptions): Promise<Listed> {
    return this.#store.list(prefix, options);
  }

  watch(prefix: string, ring: Ring, options?: WatchOptions): () => void {
    return this.#store.watch(prefix, ring, options);
  }

  async dispose(): Promise<void> {
    this.#closed = true;
    await this.#store.dispose();
  }

  /** A request on its way that brings some of what is wanted. */
  #findReading(name: string, wanted: ByteRange, { signal, priority }: StoreOptions): Reading | undefined {
    // A caller that may give up has a request of its own.
    if (signal) return undefined;
    for (const reading of this.#underWay)
      if (reading.name === name && reading.priority === priority)
        if (reading.start < wanted.end && wanted.start < reading.end) return reading;
    return undefined;
  }

  /** Asks for blocks of this range, or for those that it lacks, and for more if they are the next of what was read. */
  #ask(name: string, { start, end }: ByteRange, options: StoreOptions, onlyLacking: boolean): Reading {
    const whole = { first: Math.floor(start / BLOCK_BYTES), end: Math.ceil(end / BLOCK_BYTES) };
    const blocks = onlyLacking && end < Number.POSITIVE_INFINITY ? this.#lacking(name, whole) : whole;
    const range = { start: blocks.first * BLOCK_BYTES, end: blocks.end * BLOCK_BYTES };
    const got = this.#fetch(name, range, options).finally(() => this.#underWay.delete(reading));
    const reading: Reading = { ...range, name, priority: options.priority, got };
    if (!options.signal) this.#underWay.add(reading);
    return reading;
  }

  /** Of these blocks those from the first to the last that is not kept, and what who reads on will want next. */
  #lacking(name: string, { first, end }: Blocks): Blocks {
    /** How many blocks from `at` on, in steps of `step`, are kept, or are not. */
    const count = (at: number, step: 1 | -1, isKept: boolean, max: number): number => {
      let found = 0;
      while (found < max && at + found * step >= 0 && this.#cache.has(name, at + found * step) === isKept) found++;
      return found;
    };
    first += count(first, 1, true, end - first - 1);
    end -= count(end - 1, -1, true, end - first - 1);
    const before = count(first - 1, -1, true, AHEAD_BLOCKS_MAX / AHEAD_GROWTH);
    if (before > 0) return { first, end: end + count(end, 1, false, before * AHEAD_GROWTH) };
    const after = count(end, 1, true, AHEAD_BLOCKS_MAX / AHEAD_GROWTH);
    return { first: first - count(first - 1, -1, false, after * AHEAD_GROWTH), end };
  }

  async #fetch(name: string, blocks: ByteRange, options: StoreOptions): Promise<Got> {
    const isWhole = blocks.start === 0 && blocks.end === Number.POSITIVE_INFINITY;
    const got = await this.#store.get(name, isWhole ? undefined : blocks, options);
    if (got.found) await this.#keep(name, blocks.start, got);
    return got;
  }

  /** The range, if all of it is kept. Its dates are those of the object: nothing younger is known of the store. */
  async #read(name: string, { start, end }: ByteRange): Promise<Got | undefined> {
    if (this.#closed) throw new StoreError("closed", "store is closed");
    const blocks: Block[] = [];
    const first = Math.floor(start / BLOCK_BYTES);
    for (let at = first; at * BLOCK_BYTES < Math.min(end, blocks[0]?.size ?? end); at++) {
      const block = await this.#cache.get(name, at);
      if (!block) return undefined;
      blocks.push(block);
    }
    const [{ size, created }] = blocks as [Block];
    const joined = Buffer.concat(blocks.map(({ bytes }) => bytes));
    const offset = start - first * BLOCK_BYTES;
    const bytes = new Uint8Array(joined.subarray(offset, Math.min(end, size) - start + offset));
    return { found: true, bytes, size, created, now: created };
  }

  /** Keeps what was just stored, of the kinds that are kept. */
  async #keepNew(objects: readonly NewObject[] = [], created: number): Promise<void> {
    for (const { name, content } of objects)
      if (isKept(name)) await this.#keep(name, 0, { bytes: content, size: content.length, created });
  }

  async #keep(name: string, from: number, { bytes, size, created }: Block): Promise<void> {
    const blocks = Array.from({ length: Math.ceil(bytes.length / BLOCK_BYTES) }, (_, at) =>
      bytes.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES),
    );
    // A block that is not whole is the object's last, or the store has sent too little.
    if (from + bytes.length !== size && bytes.length % BLOCK_BYTES > 0) blocks.pop();
    await Promise.all(
      blocks.map((block, at) => this.#cache.put(name, from / BLOCK_BYTES + at, { bytes: block, size, created })),
    );
  }
}
