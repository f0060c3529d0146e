import { NO_CREATES, settleVerdict } from "./creates.ts";
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
} from "./object-store.ts";
import { surelyNotDone } from "./surely-not-done.ts";

/**
 * A store to which nothing is written before its verdict is known and good (`creates.ts`). Reads, and what removes, need
 * no verdict. A process that only delivers writes by `put` alone, with a key that can't read a verdict: it uses the store
 * without this.
 */
export class CheckedStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #random: (bytes: number) => Uint8Array;
  #checked: Promise<void> | undefined;

  constructor(store: ObjectStore, random: (bytes: number) => Uint8Array) {
    this.#store = store;
    this.#random = random;
  }

  /** Resolves if the store may be written. Throws StoreError `invalid` with the reason, or as the store fails. */
  check(): Promise<void> {
    this.#checked ??= this.#check().catch((error: unknown) => {
      // A store that was away is asked again; a verdict stays.
      if (!(error instanceof StoreError && error.code === "invalid")) this.#checked = undefined;
      throw error;
    });
    return this.#checked;
  }

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, options?: StoreOptions): Promise<Put> {
    await this.check();
    return this.#store.put(name, content, options);
  }

  async putIfAbsent(name: string, content: Uint8Array, options?: StoreOptions): Promise<PutIfAbsent> {
    await this.check();
    return this.#store.putIfAbsent(name, content, options);
  }

  get(name: string, range?: ByteRange, options?: StoreOptions): Promise<Got> {
    return this.#store.get(name, range, options);
  }

  list(prefix: string, options?: ListOptions): Promise<Listed> {
    return this.#store.list(prefix, options);
  }

  delete(names: readonly string[], options?: StoreOptions): Promise<{ readonly now: number }> {
    return this.#store.delete(names, options);
  }

  watch(prefix: string, ring: Ring, options?: WatchOptions): () => void {
    return this.#store.watch(prefix, ring, options);
  }

  dispose(): Promise<void> {
    return this.#store.dispose();
  }

  async #check(): Promise<void> {
    if ((await surelyNotDone(settleVerdict(this.#store, this.#random))) === "none")
      throw new StoreError("invalid", NO_CREATES);
  }
}
