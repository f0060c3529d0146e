import {
  type ByteRange,
  type Got,
  type Listed,
  type ListOptions,
  type ObjectStore,
  type Put,
  type PutIfAbsent,
  type Ring,
  StoreError,
  type StoreOptions,
  type WatchOptions,
} from "../../storage/object-store.ts";
import { BLOCK_BYTES, type Block, type BlockCache } from "./block-cache.ts";

/** Objects that never change under their name, and may be large: `<account>/<kind>/<random>`. */
const KEPT = /^[^/]+\/(?:page|pack|body)\//;

/**
 * A remote store of which the immutable objects that were read are kept near. What the cache holds is read without a
 * request, so it can be read while the store is away.
 *
 * A block is asked for whole, all that a range lacks by one request, and what several ask for at once by one too: small
 * bodies lie side by side in packs. What this process deletes is dropped; what
 * others delete stays readable here until it is pushed out, sealed as it is: names of objects that are gone stand in no
 * state.
 */
export class CachedStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #cache: BlockCache;
  /** Requests for kept objects on their way, by what they ask for. */
  readonly #underWay = new Map<string, Promise<Got>>();
  #closed = false;

  constructor(store: ObjectStore, cache: BlockCache) {
    this.#store = store;
    this.#cache = cache;
  }

  async get(name: string, range?: ByteRange, options?: StoreOptions): Promise<Got> {
    if (!KEPT.test(name) || (range && !(range.start >= 0 && range.start < range.end)))
      return this.#store.get(name, range, options);
    const wanted = range ?? { start: 0, end: Number.POSITIVE_INFINITY };
    const kept = await this.#read(name, wanted);
    if (kept) return kept;
    const from = Math.floor(wanted.start / BLOCK_BYTES) * BLOCK_BYTES;
    const to = Math.ceil(wanted.end / BLOCK_BYTES) * BLOCK_BYTES;
    const got = await this.#shared(name, { start: from, end: to }, options);
    if (!got.found) return got;
    const bytes = got.bytes.slice(wanted.start - from, Math.max(0, wanted.end - from));
    return { ...got, bytes };
  }

  async delete(names: readonly string[], options?: StoreOptions): Promise<{ readonly now: number }> {
    const deleted = await this.#store.delete(names, options);
    const kept = names.filter((name) => KEPT.test(name));
    if (kept.length > 0) await this.#cache.drop(kept);
    return deleted;
  }

  put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, options?: StoreOptions): Promise<Put> {
    return this.#store.put(name, content, options);
  }

  putIfAbsent(name: string, content: Uint8Array, options?: StoreOptions): Promise<PutIfAbsent> {
    return this.#store.putIfAbsent(name, content, options);
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

  /** These blocks, by a request that is on its way already if there is one; they are kept before it resolves. */
  #shared(name: string, blocks: ByteRange, options: StoreOptions = {}): Promise<Got> {
    // Whoever may give up has a request of their own.
    if (options.signal) return this.#fetch(name, blocks, options);
    const key = `${name} ${blocks.start} ${blocks.end} ${options.priority}`;
    const shared =
      this.#underWay.get(key) ?? this.#fetch(name, blocks, options).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, shared);
    return shared;
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

  async #keep(name: string, from: number, { bytes, size, created }: Got & { readonly found: true }): Promise<void> {
    for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
      const block = bytes.subarray(at, at + BLOCK_BYTES);
      // A block that is not whole is the object's last, or the store has sent too little.
      if (block.length < BLOCK_BYTES && from + at + block.length !== size) return;
      await this.#cache.put(name, (from + at) / BLOCK_BYTES, { bytes: block, size, created });
    }
  }
}
