import { randomBytes } from "node:crypto";
import { type ObjectStore, StoreError } from "@restante/engine";
import { CheckedStore, openEmbeddedStore, openS3Store, SplitStore } from "@restante/engine/node";
import { MemoryPlace } from "@restante/engine/testing";
import { type Config, ConfigError, type Log, type S3Config, type StoreKind } from "@restante/host";
import { EXIT } from "./exit.ts";

/** What a process does to the store. One that only delivers may have a key that can neither read nor list. */
export type Use = "all" | "deliver";

export interface OpenedStore {
  readonly store: ObjectStore;
  /** Throws ConfigError where no log can be kept there. A store that is away is asked again by its first write. */
  check(): Promise<void>;
}

interface Opening {
  readonly config: Config;
  /** Where the embedded store is. */
  readonly folder: string;
  readonly log: Log;
  readonly use: Use;
}

/** The store that the configuration names: one, or two of which the log's is another than the rest's. */
export async function openStore(opening: Opening): Promise<OpenedStore> {
  const { kind, log_kind } = opening.config.storage;
  const { s3, s3log } = opening.config;
  if (log_kind === "") return openLogStore(opening, kind, ["s3", s3]);
  if (log_kind === kind && kind !== "s3")
    throw new ConfigError("storage.log_kind names the same store as storage.kind: leave it out");
  const log = await openLogStore(opening, log_kind, ["s3log", s3log]);
  const rest = await openKind(opening, kind, ["s3", s3]);
  return { ...log, store: new SplitStore(log.store, rest) };
}

type Section = readonly [name: string, settings: S3Config];

/** A store that holds the log: an S3 is believed to have create-if-absent only when it was seen to. */
async function openLogStore(opening: Opening, kind: StoreKind, section: Section): Promise<OpenedStore> {
  const store = await openKind(opening, kind, section);
  if (kind !== "s3" || opening.use === "deliver") return { store, check: async () => undefined };
  const checked = new CheckedStore(store, (bytes) => new Uint8Array(randomBytes(bytes)));
  return { store: checked, check: () => checkNow(checked, opening.log) };
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

async function openKind({ folder, log }: Opening, kind: StoreKind, section: Section): Promise<ObjectStore> {
  switch (kind) {
    case "memory":
      // For trying things out: it is gone when the process ends, and no other process sees it.
      return new MemoryPlace(Date.now).open();
    case "s3":
      return openBucket(section);
    case "embedded":
      return openEmbeddedStore({
        folder,
        onFatal(message) {
          // What the disk holds is unknown: nothing more may be acknowledged.
          log({ level: "error", event: "store failed", message });
          process.exit(EXIT.failed);
        },
      });
  }
}

async function openBucket([name, { path_style, access_key, secret_key, ...where }]: Section): Promise<ObjectStore> {
  try {
    return await openS3Store({ ...where, pathStyle: path_style, accessKey: access_key, secretKey: secret_key });
  } catch (error) {
    if (error instanceof StoreError && error.code === "invalid") throw new ConfigError(`[${name}]: ${error.message}`);
    throw error;
  }
}
