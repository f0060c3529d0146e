import { CacheRoom, SharedCache } from "../shared-cache.ts";
import { kindOfObject } from "./object-kinds.ts";
import type {
  ByteRange,
  GetOptions,
  Got,
  Listed,
  ListOptions,
  ObjectStore,
  Put,
  PutIfAbsent,
  Ring,
  StoreOptions,
  WatchOptions,
} from "./object-store.ts";

/** Small sealed objects that a process keeps of what it wrote and read last, for all its accounts: the logs' tails of a
 * dozen that are written to as fast as they can, or of hundreds. */
export const RECENT_BYTES_MAX: number = 16 * 2 ** 20;
/** A larger one would push too many others out; it is more than a batch of ops. */
const OBJECT_BYTES_MAX: number = 2 * 2 ** 20;
/** Memory of a copy beside its bytes, about. */
const COPY_BYTES = 512;

/** `<account>/log/<n>`, `<account>/note/<name>`: objects that the next checkpoint reads again, and clients that fetch new
 * mail. */
const isKept = (name: string): boolean => ["log", "note"].includes(kindOfObject(name) ?? "");

interface Copy {
  readonly bytes: Uint8Array;
  readonly created: number;
}

/**
 * A remote store of which the log entries and notes that were just written or read are kept in memory, as sealed as they
 * are. A copy answers only those who say that it will do (`copyAgeMaxMs`): what an entry holds that was applied, or a note
 * that was listed. Whoever asks where the log ends, or whether something is there, asks the store.
 *
 * It stands around all stores of a process, so that it sees every date that they tell: a copy's age is reckoned by the
 * newest of them, and no process that was frozen takes an old copy for a new one. Of two stores whose clocks differ, that
 * age is as much too large or too small: who asks for it leaves room.
 */
export class RecentStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #copies: SharedCache<string, Copy>;
  /** Notes and entries whose put is not over, by name. */
  readonly #putting = new Map<string, Promise<unknown>>();
  /** The newest date that the store has told. */
  #newest = Number.NEGATIVE_INFINITY;

  constructor(store: ObjectStore, bytesMax: number = RECENT_BYTES_MAX) {
    this.#store = store;
    this.#copies = new SharedCache(new CacheRoom(bytesMax));
  }

  async get(name: string, range?: ByteRange, options: GetOptions = {}): Promise<Got> {
    const copy = options.copyAgeMaxMs === undefined ? undefined : this.#copies.peek(name);
    if (copy && this.#newest - copy.created <= options.copyAgeMaxMs!) {
      const bytes = copy.bytes.slice(range?.start, range?.end);
      return { found: true, bytes, size: copy.bytes.length, created: copy.created, now: this.#newest };
    }
    const got = this.#seen(await this.#store.get(name, range, options));
    if (!got.found) this.#copies.forget(name);
    else if (!range) this.#keep(name, got.bytes, got.created);
    return got;
  }

  put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, options?: StoreOptions): Promise<Put> {
    return this.#keepPut(name, content, this.#store.put(name, content, options));
  }

  putIfAbsent(name: string, content: Uint8Array, options?: StoreOptions): Promise<PutIfAbsent> {
    return this.#keepPut(name, content, this.#store.putIfAbsent(name, content, options));
  }

  async list(prefix: string, options?: ListOptions): Promise<Listed> {
    return this.#seen(await this.#store.list(prefix, options));
  }

  async delete(names: readonly string[], options?: StoreOptions): Promise<{ readonly now: number }> {
    const deleted = this.#seen(await this.#store.delete(names, options));
    for (const name of names) this.#copies.forget(name);
    return deleted;
  }

  /** Rings for what is put here once its copy is kept: whoever is rung for asks for it at once. */
  watch(prefix: string, ring: Ring, options?: WatchOptions): () => void {
    const ringAfterPut = (name?: string): void => {
      const now = (): void => ring(name);
      const putting = name === undefined ? undefined : this.#putting.get(name);
      if (putting !== undefined) putting.then(now, now);
      else now();
    };
    return this.#store.watch(prefix, ringAfterPut, options);
  }

  async dispose(): Promise<void> {
    this.#copies.dispose();
    await this.#store.dispose();
  }

  #keepPut<T extends Put | PutIfAbsent>(
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    put: Promise<T>,
  ): Promise<T> {
    if (!isKept(name) || !(content instanceof Uint8Array)) return put.then((answer) => this.#seen(answer));
    const kept = put
      .then((answer) => {
        this.#seen(answer);
        if (!("outcome" in answer) || answer.outcome === "stored") this.#keep(name, content, answer.now);
        return answer;
      })
      .finally(() => this.#putting.delete(name));
    this.#putting.set(name, kept);
    return kept;
  }

  #seen<T extends { readonly now: number }>(answer: T): T {
    this.#newest = Math.max(this.#newest, answer.now);
    return answer;
  }

  #keep(name: string, bytes: Uint8Array, created: number): void {
    if (isKept(name) && bytes.length <= OBJECT_BYTES_MAX)
      this.#copies.keep(name, { value: { bytes: bytes.slice(), created }, bytes: bytes.length + COPY_BYTES });
  }
}
