import { randomBytes } from "node:crypto";
import { type ObjectStore, type OwnBucket, StoreError } from "@restante/engine";
import {
  AccountStores,
  BlockCache,
  CachedStore,
  CheckedStore,
  findDamage,
  Hints,
  MemoryPlace,
  openDamagedStore,
  openEmbeddedStore,
  openS3Store,
  RecentStore,
  type S3Store,
  SplitStore,
} from "@restante/engine/node";
import { type Config, ConfigError, type Log, type Metrics, type StoreKind } from "@restante/host";
import { EXIT } from "./exit.ts";
import { meteredStore } from "./metered-store.ts";

/** Use of a store by a process. One that only delivers may have a key that can neither read nor list. One that checks must
 * see the store itself and no cache. One that salvages reads the rest of a damaged store. */
export type Use = "all" | "deliver" | "check" | "salvage";

/** No object is named so: a list of these asks a bucket whether it is there, and costs it nothing. */
const NOTHING = "reach/";

export interface OpenedStore {
  readonly store: ObjectStore;
  /** Throws ConfigError where no log can be kept there. A store that is away is asked again by its first write. */
  check(): Promise<void>;
  /** Throws StoreError where it does not answer now, or no log can be kept there. */
  reach(): Promise<void>;
  /** Frees what killed processes left of uploads. */
  sweep(): Promise<void>;
  /** The objects of `account` lie in this bucket: said at each lookup, before any is asked for. */
  place(account: string, bucket: OwnBucket): void;
  dispose(): Promise<void>;
}

export interface Opening {
  readonly config: Config;
  /** Where the embedded store is. */
  readonly folder: string;
  readonly cacheFolder: string;
  /** Where the processes of this host tell each other what they wrote. */
  readonly hintsFolder: string;
  readonly log: Log;
  readonly use: Use;
  readonly metrics?: Metrics | undefined;
}

/** The store that the configuration names: one, or two of which the log's is another than the rest's. */
export async function openStore(opening: Opening): Promise<OpenedStore> {
  const { kind, log_kind } = opening.config.storage;
  if (log_kind === kind && kind !== "s3")
    throw new ConfigError("storage.log_kind names the same store as storage.kind: leave it out");
  const stores = new Stores(opening);
  const isApart = log_kind !== "";
  // The store of the log is checked before anything is written there.
  const rest = await stores.openKind(kind, "s3", !isApart);
  const whole = isApart ? new SplitStore(await stores.openKind(log_kind, "s3log", true), rest) : rest;
  // Objects of an embedded store are near: only a bucket needs the cache of recent objects.
  const isRemote = kind === "s3" || log_kind === "s3";
  const store = isRemote && opening.use === "all" ? new RecentStore(whole) : whole;
  return {
    store,
    check: () => stores.check(),
    reach: () => stores.reach(),
    sweep: () => stores.sweep(),
    place: (account, bucket) => stores.place(account, bucket),
    async dispose() {
      await store.dispose();
      stores.dispose();
    },
  };
}

/** All that one process opens. */
class Stores {
  readonly #opening: Opening;
  readonly #buckets = new Set<S3Store>();
  readonly #checked: CheckedStore[] = [];
  #byAccount: AccountStores<OwnBucket> | undefined;
  #cache: BlockCache | undefined;
  #hints: Hints | undefined;

  constructor(opening: Opening) {
    this.#opening = opening;
  }

  async openKind(kind: StoreKind, section: "s3" | "s3log", hasLog: boolean): Promise<ObjectStore> {
    const { config, folder, log } = this.#opening;
    switch (kind) {
      case "memory":
        // For trying things out: it is gone when the process ends, and no other process sees it.
        return new MemoryPlace(Date.now).open();
      case "s3": {
        const common = await this.#openBucket(section, hasLog);
        if (section !== "s3" || config.ldap.bucket_attribute === "") return common;
        const open = (own: OwnBucket): Promise<ObjectStore> => this.#openBucket(section, hasLog, own);
        const onStay = (account: string): void =>
          log({ level: "warn", event: "the directory names another bucket for an account in use: it stays", account });
        this.#byAccount = new AccountStores({ common, open, compare, now: () => performance.now(), onStay });
        return this.#byAccount;
      }
      case "embedded":
        if (this.#opening.use === "salvage") {
          const damage = findDamage(folder);
          if (damage.length > 0) {
            log({ level: "warn", event: "store.sqlite is damaged: it is read page by page", damage });
            return openDamagedStore(folder);
          }
        }
        return meteredStore(
          await openEmbeddedStore({
            folder,
            freeBytesMin: config.storage.free_min,
            reserveBytes: config.storage.reserve_size,
            onFatal(message) {
              // The disk's state is unknown now: nothing more may be acknowledged.
              log({ level: "error", event: "store failed", message });
              process.exit(EXIT.failed);
            },
          }),
          "embedded",
          this.#opening.metrics,
        );
    }
  }

  place(account: string, bucket: OwnBucket): void {
    this.#byAccount?.assign(account, bucket);
  }

  async check(): Promise<void> {
    for (const store of this.#checked)
      try {
        await store.check();
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        if (error.code === "invalid") throw new ConfigError(error.message);
        this.#opening.log({ level: "warn", event: "the store can't be reached yet", error });
      }
  }

  async reach(): Promise<void> {
    for (const store of this.#checked) await store.check();
    for (const bucket of this.#buckets) await bucket.list(NOTHING);
  }

  async sweep(): Promise<void> {
    for (const bucket of this.#buckets) await bucket.sweepUploads();
  }

  dispose(): void {
    this.#hints?.dispose();
  }

  /** A bucket as it is used: believed to have create-if-absent only when it was seen to, if it holds the log; pages, packs
   * and bodies, which are the rest's, are kept on disk. */
  async #openBucket(section: "s3" | "s3log", hasLog: boolean, own?: OwnBucket): Promise<ObjectStore> {
    const { use } = this.#opening;
    const bucket = await this.#openS3(section, own);
    const { cache_bytes } = this.#opening.config.storage;
    const isCached = section === "s3" && use === "all" && cache_bytes > 0;
    const metered = meteredStore(bucket, section, this.#opening.metrics);
    const store = isCached ? new CachedStore(metered, this.#cacheOf(cache_bytes)) : metered;
    if (!hasLog || use === "deliver") return store;
    const checked = new CheckedStore(store, (bytes) => new Uint8Array(randomBytes(bytes)));
    if (!own) this.#checked.push(checked);
    return checked;
  }

  async #openS3(section: "s3" | "s3log", own: OwnBucket | undefined): Promise<S3Store> {
    const { config, hintsFolder } = this.#opening;
    const { path_style, access_key, secret_key, ...where } = config[section];
    const settings = {
      ...where,
      bucket: own?.bucket ?? where.bucket,
      pathStyle: path_style,
      accessKey: own?.accessKey ?? access_key,
      secretKey: own?.secretKey ?? secret_key,
    };
    this.#hints ??= new Hints(hintsFolder, this.#warn("processes of this host can't tell each other what they wrote"));
    try {
      const bucket = await openS3Store(settings, undefined, this.#hints);
      if (!own) this.#buckets.add(bucket);
      return bucket;
    } catch (error) {
      if (own || !(error instanceof StoreError && error.code === "invalid")) throw error;
      throw new ConfigError(`[${section}]: ${error.message}`);
    }
  }

  #cacheOf(bytes: number): BlockCache {
    if (!this.#cache) {
      const cache = new BlockCache(this.#opening.cacheFolder, bytes, this.#warn("the cache can't be used"));
      this.#opening.metrics?.labelled(
        "cache",
        "The cache on disk: blocks found and missed so far, bytes kept",
        "what",
        () => ({
          ...cache.counts,
        }),
      );
      this.#cache = cache;
    }
    return this.#cache;
  }

  #warn(event: string): (error: unknown) => void {
    return (error) => this.#opening.log({ level: "warn", event, error });
  }
}

function compare(one: OwnBucket, other: OwnBucket): "same" | "other-keys" | "elsewhere" {
  if (one.bucket !== other.bucket) return "elsewhere";
  return one.accessKey === other.accessKey && one.secretKey === other.secretKey ? "same" : "other-keys";
}
