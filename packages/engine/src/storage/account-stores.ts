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
import { surelyNotDone } from "./surely-not-done.ts";

/** Stores of accounts that are kept open; beyond it, those that nobody uses are closed, the longest unused first. */
const OPEN_MAX = 256;

/** How long nothing of an account is asked for before its objects may lie elsewhere from then on. Work that begins in one
 * store ends there: a delivery writes its note within two hours of its body. */
export const UNUSED_MS: number = 3 * 60 * 60_000;

interface Opened {
  readonly store: Promise<ObjectStore>;
  uses: number;
  /** Another took its place: it is closed when nobody uses it. */
  isRetired: boolean;
  /** Called then: who watches goes over. */
  readonly onRetired: Set<() => void>;
}

type Work<T> = (store: ObjectStore, onRetired?: Set<() => void>) => Promise<T>;

/** Where an account's objects lie. */
interface Place<Settings> {
  /** Undefined: in the common store. */
  settings: Settings | undefined;
  uses: number;
  usedAt: number;
  /** Other settings were said meanwhile, and that it stays was told. */
  isOverdue: boolean;
}

export interface AccountStoresOptions<Settings> {
  /** For all accounts that have none of their own, and for what is no account's. */
  readonly common: ObjectStore;
  readonly open: (settings: Settings) => Promise<ObjectStore>;
  /** Compares two settings: the same, the same place by other keys, or two places. */
  readonly compare: (one: Settings, other: Settings) => "same" | "other-keys" | "elsewhere";
  /** Milliseconds that only go forward. */
  readonly now: () => number;
  /** Told that an account is in use, and stays where it is although it was assigned to another place. */
  readonly onStay: (account: string) => void;
}

/**
 * Many stores as one: some accounts have one of their own, a bucket with its own credentials. Which those are is said
 * by `assign`, at each lookup.
 *
 * Invariant: an account lies in one place at a time, or what is written upon what was read could be written elsewhere.
 * So other keys to the same place count at once, another place when nothing of the account was asked for in
 * {@link UNUSED_MS}, or in the next process.
 */
export class AccountStores<Settings> implements ObjectStore {
  readonly #options: AccountStoresOptions<Settings>;
  /** Accounts that were assigned, or used. */
  readonly #places = new Map<string, Place<Settings>>();
  /** The one used last comes last. */
  readonly #opened = new Map<string, Opened>();
  #closed = false;

  constructor(options: AccountStoresOptions<Settings>) {
    this.#options = options;
  }

  /** The objects of `account` (the first level of their names) lie in the store of these settings. */
  assign(account: string, settings: Settings): void {
    const place = this.#places.get(account);
    if (!place) {
      this.#places.set(account, { settings, uses: 0, usedAt: Number.NEGATIVE_INFINITY, isOverdue: false });
      return;
    }
    const change = place.settings === undefined ? "elsewhere" : this.#options.compare(place.settings, settings);
    if (change === "same") return;
    const isUnused = place.uses === 0 && this.#options.now() - place.usedAt >= UNUSED_MS;
    if (change === "other-keys" || isUnused) {
      place.settings = settings;
      place.isOverdue = false;
      this.#retire(account);
    } else if (!place.isOverdue) {
      place.isOverdue = true;
      this.#options.onStay(account);
    }
  }

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, options?: StoreOptions): Promise<Put> {
    const along = options?.along ?? [];
    // Objects of no account lie in another store than the one that names them: they are stored before it.
    const ahead = along.filter((object) => this.#owner(accountOf(object.name)) !== this.#owner(accountOf(name)));
    if (ahead.length === 0) return this.#use(accountOf(name), (store) => store.put(name, content, options));
    await surelyNotDone(Promise.all(ahead.map((object) => this.put(object.name, object.content))));
    const others = { ...options, along: along.filter((object) => !ahead.includes(object)) };
    return this.#use(accountOf(name), (store) => store.put(name, content, others));
  }

  putIfAbsent(name: string, content: Uint8Array, options?: StoreOptions): Promise<PutIfAbsent> {
    return this.#use(accountOf(name), (store) => store.putIfAbsent(name, content, options));
  }

  get(name: string, range?: ByteRange, options?: StoreOptions): Promise<Got> {
    return this.#use(accountOf(name), (store) => store.get(name, range, options));
  }

  async list(prefix: string, options: ListOptions = {}): Promise<Listed> {
    if (prefix.includes("/")) return this.#use(accountOf(prefix), (store) => store.list(prefix, options));
    const theirs = [...this.#places.keys()].filter(
      (account) => account.startsWith(prefix) && this.#owner(account) !== "",
    );
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
    let isEnded = false;
    let leave: () => void = () => undefined;
    const watchAll = async (): Promise<void> => {
      while (!isEnded)
        // The store is in use until the watch ends.
        await this.#use(accountOf(prefix), async (store, onRetired) => {
          if (isEnded) return;
          const stop = store.watch(prefix, ring, options);
          await new Promise<void>((resolve) => {
            leave = resolve;
            onRetired?.add(resolve);
          });
          onRetired?.delete(leave);
          stop();
        });
    };
    watchAll().catch(() => {
      // A watch is a hint: a store that can't be opened rings for nobody, and whoever asks it is told why.
    });
    return () => {
      isEnded = true;
      leave();
    };
  }

  async dispose(): Promise<void> {
    this.#closed = true;
    const opened = [...this.#opened.values()];
    this.#opened.clear();
    await Promise.all([this.#options.common.dispose(), ...opened.map(async ({ store }) => (await store).dispose())]);
  }

  /** The key of the store that holds this account's objects: the account, or "" for the common store. */
  #owner(account: string): string {
    return this.#places.get(account)?.settings === undefined ? "" : account;
  }

  /** Works with the store where this account's objects lie, and what to be told in when another takes its place. */
  async #use<T>(account: string, work: Work<T>): Promise<T> {
    if (this.#closed) throw new StoreError("closed", "store is closed");
    const place = this.#places.get(account) ?? { settings: undefined, uses: 0, usedAt: 0, isOverdue: false };
    this.#places.set(account, place);
    place.uses++;
    try {
      if (place.settings === undefined) return await work(this.#options.common);
      return await this.#useOwn(account, place.settings, work);
    } finally {
      place.uses--;
      place.usedAt = this.#options.now();
    }
  }

  async #useOwn<T>(account: string, settings: Settings, work: Work<T>): Promise<T> {
    const opened = this.#opened.get(account) ?? {
      store: this.#options.open(settings),
      uses: 0,
      isRetired: false,
      onRetired: new Set(),
    };
    this.#opened.delete(account);
    this.#opened.set(account, opened);
    opened.uses++;
    try {
      return await work(await opened.store, opened.onRetired);
    } catch (error) {
      // One that could not be opened is opened anew by the next.
      await opened.store.catch(() => this.#opened.get(account) === opened && this.#opened.delete(account));
      throw error;
    } finally {
      opened.uses--;
      if (opened.isRetired) await closeIfUnused(opened);
      else await this.#closeUnused();
    }
  }

  /** Work that uses the store goes on to its end, but for watches. */
  #retire(account: string): void {
    const opened = this.#opened.get(account);
    if (!opened) return;
    this.#opened.delete(account);
    opened.isRetired = true;
    for (const tell of opened.onRetired) tell();
    void closeIfUnused(opened);
  }

  async #closeUnused(): Promise<void> {
    if (this.#opened.size <= OPEN_MAX) return;
    const unused = [...this.#opened].find(([, { uses }]) => uses === 0);
    if (!unused) return;
    this.#opened.delete(unused[0]);
    await (await unused[1].store).dispose();
  }
}

/** Closes one that is retired. One that could not be opened has nothing to close. */
async function closeIfUnused({ uses, store }: Opened): Promise<void> {
  if (uses === 0)
    await store.then(
      (open) => open.dispose(),
      () => undefined,
    );
}

function accountOf(name: string): string {
  const end = name.indexOf("/");
  return end < 0 ? name : name.slice(0, end);
}
