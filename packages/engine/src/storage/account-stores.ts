import { listOurs, mergeLists } from "./list-ours.ts";
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

/** Stores of accounts that are kept open; beyond it, those that nobody uses are closed, the longest unused first. */
const OPEN_MAX = 256;

interface Opened {
  readonly store: Promise<ObjectStore>;
  uses: number;
}

export interface AccountStoresOptions<Settings> {
  /** For all accounts that have none of their own, and for what is no account's. */
  readonly common: ObjectStore;
  readonly open: (settings: Settings) => Promise<ObjectStore>;
}

/**
 * Many stores as one: some accounts have one of their own, a bucket with its own credentials. Which those are is said
 * by `assign`, before the account's first object is asked for; what was said first stays, for as long as this lives.
 */
export class AccountStores<Settings> implements ObjectStore {
  readonly #options: AccountStoresOptions<Settings>;
  readonly #assigned = new Map<string, Settings>();
  /** The one used last comes last. */
  readonly #opened = new Map<string, Opened>();
  #closed = false;

  constructor(options: AccountStoresOptions<Settings>) {
    this.#options = options;
  }

  /** The objects of `account` (the first level of their names) lie in the store of these settings. */
  assign(account: string, settings: Settings): void {
    if (!this.#assigned.has(account)) this.#assigned.set(account, settings);
  }

  put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, options?: StoreOptions): Promise<Put> {
    return this.#use(accountOf(name), (store) => store.put(name, content, options));
  }

  putIfAbsent(name: string, content: Uint8Array, options?: StoreOptions): Promise<PutIfAbsent> {
    return this.#use(accountOf(name), (store) => store.putIfAbsent(name, content, options));
  }

  get(name: string, range?: ByteRange, options?: StoreOptions): Promise<Got> {
    return this.#use(accountOf(name), (store) => store.get(name, range, options));
  }

  async list(prefix: string, options: ListOptions = {}): Promise<Listed> {
    if (prefix.includes("/")) return this.#use(accountOf(prefix), (store) => store.list(prefix, options));
    const theirs = [...this.#assigned.keys()].filter((account) => account.startsWith(prefix));
    const lists = theirs.map((account) => this.#use(account, (store) => store.list(`${account}/`, options)));
    // The common store may still hold what has a store of its own now: it is no object of this one.
    const isCommon = (name: string): boolean => this.#owner(accountOf(name)) === "";
    return mergeLists(
      await Promise.all([listOurs(this.#options.common, prefix, options, isCommon), ...lists]),
      options.limit,
    );
  }

  async delete(names: readonly string[], options?: StoreOptions): Promise<{ readonly now: number }> {
    const byOwner = Map.groupBy(names, (name) => this.#owner(accountOf(name)));
    const answers = await Promise.all(
      [...byOwner].map(([owner, theirs]) => this.#use(owner, (store) => store.delete(theirs, options))),
    );
    return { now: Math.min(...answers.map(({ now }) => now)) };
  }

  watch(prefix: string, ring: Ring, options?: WatchOptions): () => void {
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    // It is in use until the watch ends.
    this.#use(accountOf(prefix), async (store) => {
      const stop = store.watch(prefix, ring, options);
      await ended;
      stop();
    }).catch(() => {
      // A watch is a hint: a store that can't be opened rings for nobody, and whoever asks it is told why.
    });
    return end;
  }

  async dispose(): Promise<void> {
    this.#closed = true;
    const opened = [...this.#opened.values()];
    this.#opened.clear();
    await Promise.all([this.#options.common.dispose(), ...opened.map(async ({ store }) => (await store).dispose())]);
  }

  /** Whose store holds this account's objects: its own, or the common one, "". */
  #owner(account: string): string {
    return this.#assigned.has(account) ? account : "";
  }

  async #use<T>(account: string, work: (store: ObjectStore) => Promise<T>): Promise<T> {
    if (this.#closed) throw new StoreError("closed", "store is closed");
    const settings = this.#assigned.get(account);
    if (settings === undefined) return work(this.#options.common);
    const opened = this.#opened.get(account) ?? { store: this.#options.open(settings), uses: 0 };
    this.#opened.delete(account);
    this.#opened.set(account, opened);
    opened.uses++;
    try {
      return await work(await opened.store);
    } catch (error) {
      // One that could not be opened is opened anew by the next.
      await opened.store.catch(() => this.#opened.delete(account));
      throw error;
    } finally {
      opened.uses--;
      await this.#closeUnused();
    }
  }

  async #closeUnused(): Promise<void> {
    if (this.#opened.size <= OPEN_MAX) return;
    const unused = [...this.#opened].find(([, { uses }]) => uses === 0);
    if (!unused) return;
    this.#opened.delete(unused[0]);
    await (await unused[1].store).dispose();
  }
}

function accountOf(name: string): string {
  const end = name.indexOf("/");
  return end < 0 ? name : name.slice(0, end);
}
