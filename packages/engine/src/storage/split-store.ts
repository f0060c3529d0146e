import { listOurs, mergeLists } from "./list-ours.ts";
import { liesWithLog } from "./object-kinds.ts";
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
 * Two stores as one: the log and what belongs to it in one, all else in the other (`storage.log_kind`). A small store
 * that can create atomically serves a large one that can't.
 *
 * Dates of the two are never compared: a name's `created` and the `now` beside it come from the same store, but for a
 * list over both kinds, which gets the earlier `now`, so that no age comes out too large.
 */
export class SplitStore implements ObjectStore {
  readonly #log: ObjectStore;
  readonly #rest: ObjectStore;

  constructor(log: ObjectStore, rest: ObjectStore) {
    this.#log = log;
    this.#rest = rest;
  }

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, options: StoreOptions = {}): Promise<Put> {
    const store = this.#of(name);
    return store.put(name, content, await this.#putAhead(store, options));
  }

  async putIfAbsent(name: string, content: Uint8Array, options: StoreOptions = {}): Promise<PutIfAbsent> {
    if (this.#of(name) !== this.#log)
      throw new StoreError("invalid", "only what belongs to the log can be created if absent");
    return this.#log.putIfAbsent(name, content, await this.#putAhead(this.#log, options));
  }

  get(name: string, range?: ByteRange, options?: StoreOptions): Promise<Got> {
    return this.#of(name).get(name, range, options);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<Listed> {
    if (isWithinKind(prefix)) return this.#of(prefix).list(prefix, options);
    // Each may hold what is the other's to hold, from before the log was kept apart: it is no object of this store.
    const lists = [this.#log, this.#rest].map((store) =>
      listOurs(store, prefix, options, (name) => this.#of(name) === store),
    );
    return mergeLists(await Promise.all(lists), options.limit);
  }

  async delete(names: readonly string[], options?: StoreOptions): Promise<{ readonly now: number }> {
    const [inLog, inRest] = [this.#log, this.#rest].map((store) => names.filter((name) => this.#of(name) === store));
    const answers = await Promise.all([
      ...(inLog!.length > 0 ? [this.#log.delete(inLog!, options)] : []),
      ...(inRest!.length > 0 || inLog!.length === 0 ? [this.#rest.delete(inRest!, options)] : []),
    ]);
    return { now: Math.min(...answers.map(({ now }) => now)) };
  }

  watch(prefix: string, ring: Ring, options?: WatchOptions): () => void {
    if (isWithinKind(prefix)) return this.#of(prefix).watch(prefix, ring, options);
    const ends = [this.#log, this.#rest].map((store) => store.watch(prefix, ring, options));
    return () => {
      for (const end of ends) end();
    };
  }

  async dispose(): Promise<void> {
    await Promise.all([this.#log.dispose(), this.#rest.dispose()]);
  }

  /** Stores what goes along in the other store than the object that names it; what is left goes along. */
  async #putAhead(store: ObjectStore, { along = [], ...options }: StoreOptions): Promise<StoreOptions> {
    const elsewhere = along.filter(({ name }) => this.#of(name) !== store);
    await surelyNotDone(Promise.all(elsewhere.map(({ name, content }) => this.#of(name).put(name, content, options))));
    return { ...options, along: along.filter((object) => !elsewhere.includes(object)) };
  }

  #of(name: string): ObjectStore {
    return liesWithLog(name) ? this.#log : this.#rest;
  }
}

/** `<account>/<kind>/` and more: all names under it are of one kind. */
function isWithinKind(prefix: string): boolean {
  return prefix.split("/").length > 2;
}
