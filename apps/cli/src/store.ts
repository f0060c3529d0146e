import { randomBytes } from "node:crypto";
import { type ObjectStore, StoreError } from "@restante/engine";
import {
  BlockCache,
  CachedStore,
  CheckedStore,
  Hints,
  openEmbeddedStore,
  openS3Store,
  type S3Store,
  SplitStore,
} from "@restante/engine/node";
import { MemoryPlace } from "@restante/engine/testing";
import { type Config, ConfigError, type Log, type StoreKind } from "@restante/host";
import { EXIT } from "./exit.ts";

/** What a process does to the store. One that only delivers may have a key that can neither read nor list; one that
 * checks must see what the store has, not what is kept near. */
export type Use = "all" | "deliver" | "check";

export interface OpenedStore {
  readonly store: ObjectStore;
  /** Throws ConfigError where no log can be kept there. A store that is away is asked again by its first write. */
  check(): Promise<void>;
  /** Frees what killed processes left of uploads. */
  sweep(): Promise<void>;
}

interface Opening {
  readonly config: Config;
  /** Where the embedded store is. */
  readonly folder: string;
  readonly cacheFolder: string;
  /** Where the processes of this host tell each other what they wrote. */
  readonly hintsFolder: string;
  readonly log: Log;
  readonly use: Use;
}

/** The store that the configuration names: one, or two of which the log's is another than the rest's. */
export async function openStore(opening: Opening): Promise<OpenedStore> {
  const { kind, log_kind } = opening.config.storage;
  const buckets: S3Store[] = [];
  const sweep = async (): Promise<void> => {
    for (const bucket of buckets) await bucket.sweepUploads();
  };
  if (log_kind === "") {
    const all = await openKind(opening, kind, "s3", buckets);
    return { ...checked(opening, all, kind), sweep };
  }
  if (log_kind === kind && kind !== "s3")
    throw new ConfigError("storage.log_kind names the same store as storage.kind: leave it out");
  const log = checked(opening, await openKind(opening, log_kind, "s3log", buckets), log_kind);
  const rest = await openKind(opening, kind, "s3", buckets);
  return { store: new SplitStore(log.store, rest), check: log.check, sweep };
}

/** What holds the log: an S3 is believed to have create-if-absent only when it was seen to. */
function checked({ use, log }: Opening, store: ObjectStore, kind: StoreKind): Pick<OpenedStore, "store" | "check"> {
  if (kind !== "s3" || use === "deliver") return { store, check: async () => undefined };
  const checkedStore = new CheckedStore(store, (bytes) => new Uint8Array(randomBytes(bytes)));
  return { store: checkedStore, check: () => checkNow(checkedStore, log) };
}

async function checkNow(store: CheckedStore, log: Log): Promise<void> {
  try {
    await store.check();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code === "invalid") throw new ConfigError(error.message);
    log({ level: "warn", event: "the store can't be reached yet", error });
  }
}

async function openKind(
  opening: Opening,
  kind: StoreKind,
  section: "s3" | "s3log",
  buckets: S3Store[],
): Promise<ObjectStore> {
  const { config, folder, log } = opening;
  switch (kind) {
    case "memory":
      // For trying things out: it is gone when the process ends, and no other process sees it.
      return new MemoryPlace(Date.now).open();
    case "s3": {
      const bucket = await openBucket(opening, section);
      buckets.push(bucket);
      // Pages, packs and bodies are the rest's.
      return section === "s3" && opening.use === "all" ? cached(opening, bucket) : bucket;
    }
    case "embedded":
      return openEmbeddedStore({
        folder,
        freeBytesMin: config.storage.free_min,
        reserveBytes: config.storage.reserve_size,
        onFatal(message) {
          // What the disk holds is unknown: nothing more may be acknowledged.
          log({ level: "error", event: "store failed", message });
          process.exit(EXIT.failed);
        },
      });
  }
}

function cached({ config, cacheFolder, log }: Opening, store: ObjectStore): ObjectStore {
  const { cache_bytes } = config.storage;
  if (cache_bytes === 0) return store;
  const warn = (error: unknown): void => log({ level: "warn", event: "the cache can't be used", error });
  return new CachedStore(store, new BlockCache(cacheFolder, cache_bytes, warn));
}

async function openBucket({ config, hintsFolder, log }: Opening, section: "s3" | "s3log"): Promise<S3Store> {
  const { path_style, access_key, secret_key, ...where } = config[section];
  const settings = { ...where, pathStyle: path_style, accessKey: access_key, secretKey: secret_key };
  const warn = (error: unknown): void =>
    log({ level: "warn", event: "processes of this host can't tell each other what they wrote", error });
  try {
    return await openS3Store(settings, undefined, new Hints(hintsFolder, warn));
  } catch (error) {
    if (error instanceof StoreError && error.code === "invalid")
      throw new ConfigError(`[${section}]: ${error.message}`);
    throw error;
  }
}
