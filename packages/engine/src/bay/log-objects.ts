import { EngineError } from "../errors.ts";
import { folderOf } from "../storage/object-kinds.ts";
import { type Got, type ObjectStore, StoreError, type StoreOptions } from "../storage/object-store.ts";
import {
  attachmentSpans,
  decodeHead,
  ENTRY_BYTES_MAX,
  type EntryHead,
  encodeHead,
  entryName,
  entryNumber,
  joinEntry,
  type Span,
  splitEntry,
} from "./entry.ts";
import type { Sealer } from "./machine.ts";
import { END_NUMBER, MANIFESTS, type Manifest, manifestName, manifestNumber, openManifest } from "./manifest.ts";
import { NOWHERE, type Position } from "./position.ts";
import { asStoreFailure } from "./store-failure.ts";

/** How long an unknown outcome is asked again before it is told. */
export const UNKNOWN_RETRY_MS = 60_000;
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 2_000;
/** Names of one listing of the log. */
export const LIST_ENTRIES_MAX = 1000;

export interface LogPlace {
  readonly store: ObjectStore;
  /** Prefix of the account's objects, with its trailing slash. */
  readonly prefix: string;
  readonly sealer: Sealer;
  /** Waits; handed in so that tests need no time. */
  readonly delay: (ms: number) => Promise<void>;
  /** Milliseconds of a clock that only goes forward. */
  readonly monotonic: () => number;
}

/** An entry of the log as it was read. */
export interface OpenedEntry {
  readonly head: EntryHead;
  /** Where each op's attachments lie in it. */
  readonly spans: readonly (readonly Span[])[];
}

export interface Created {
  readonly outcome: "stored" | "exists";
  /** The store's time. */
  readonly now: number;
  /** An earlier try's answer was lost: what exists may be that. */
  readonly doubtful: boolean;
}

/** The newest checkpoints, newest first, and the store's time of that listing. */
export interface ListedCheckpoints {
  readonly covers: readonly Position[];
  readonly now: number;
  /** Before them stands the one that ends the log. */
  readonly isEnded: boolean;
}

/** Answers that an opening may ask for before the keys are there. */
export interface Prefetched {
  readonly checkpoints: ListedCheckpoints;
  readonly manifest: Got | undefined;
  readonly entries: readonly Position[];
}

/** The log's objects in the store, one by one: entries and manifests. Their order is in `linear-bay.ts`; listings, which need
 * no key, stand below. */
export class LogObjects {
  readonly #place: LogPlace;

  constructor(place: LogPlace) {
    this.#place = place;
  }

  getEntry(n: Position): Promise<Got> {
    const { store, prefix } = this.#place;
    return asStoreFailure(store.get(prefix + entryName(n)));
  }

  /** An entry that was applied here: what it holds is no news of the store, so a copy will do. */
  getApplied(n: Position): Promise<Got> {
    const { store, prefix } = this.#place;
    return asStoreFailure(store.get(prefix + entryName(n), undefined, { copyAgeMaxMs: Number.POSITIVE_INFINITY }));
  }

  /** Throws EngineError `corrupt` if these bytes are not entry n. */
  openEntry(n: Position, bytes: Uint8Array): OpenedEntry {
    try {
      if (bytes.length > ENTRY_BYTES_MAX) throw new RangeError("entry is too large");
      const head = decodeHead(this.#place.sealer.open("entry", String(n), splitEntry(bytes)));
      return { head, spans: this.spansOf(head, bytes) };
    } catch (cause) {
      throw corrupt(`log entry ${n}`, cause);
    }
  }

  /** Where an entry's attachments lie. */
  spansOf(head: EntryHead, bytes: Uint8Array): Span[][] {
    return attachmentSpans(head, splitEntry(bytes).length, bytes.length);
  }

  sealEntry(n: Position, head: EntryHead, attachments: readonly Uint8Array[]): Uint8Array {
    return joinEntry(this.#place.sealer.seal("entry", String(n), encodeHead(head)), attachments);
  }

  /** Creates entry n, and with it the objects that its ops name, asking again with the same bytes for as long as the outcome is unknown. */
  async createEntry(
    n: Position,
    bytes: Uint8Array,
    options: Pick<StoreOptions, "along" | "essential">,
  ): Promise<Created> {
    const { store, prefix, delay, monotonic } = this.#place;
    const begun = monotonic();
    let waited = 0;
    let asked = false;
    for (let pause = RETRY_FIRST_MS; ; pause = Math.min(pause * 2, RETRY_MAX_MS)) {
      try {
        const { outcome, now } = await store.putIfAbsent(prefix + entryName(n), bytes, options);
        return { outcome, now, doubtful: asked };
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        // Surely not done, this time; an earlier try may yet have been.
        if (error.code !== "unknown" && !asked) throw error;
        asked = true;
        if (Math.max(waited, monotonic() - begun) >= UNKNOWN_RETRY_MS)
          throw new EngineError("unknown-outcome", "the store does not answer", { cause: error });
        waited += pause;
        await delay(pause);
      }
    }
  }

  /** Throws EngineError `corrupt` if these bytes are not the manifest of that checkpoint. */
  openManifest(covers: Position, bytes: Uint8Array): { readonly manifest: Manifest; readonly hash: Uint8Array } {
    const { sealer } = this.#place;
    try {
      return { manifest: openManifest(sealer, covers, bytes), hash: sealer.hash(bytes) };
    } catch (cause) {
      throw corrupt(`checkpoint ${covers}`, cause);
    }
  }
}

type Objects = Pick<LogPlace, "store" | "prefix">;

/** The numbers of entries after n, ascending; a part of them if they are many. */
export async function listEntries({ store, prefix }: Objects, n: Position): Promise<Position[]> {
  const after = prefix + entryName(n);
  const { objects } = await asStoreFailure(store.list(prefix + folderOf("log"), { after, limit: LIST_ENTRIES_MAX }));
  return objects.map(({ name }) => entryNumber(name.slice(prefix.length)));
}

export async function listCheckpoints({ store, prefix }: Objects, limit: number): Promise<ListedCheckpoints> {
  const { objects, now } = await asStoreFailure(store.list(prefix + MANIFESTS, { limit: limit + 1 }));
  const numbers = objects.map(({ name }) => manifestNumber(name));
  const isEnded = numbers[0] === END_NUMBER;
  return { covers: numbers.slice(isEnded ? 1 : 0).slice(0, limit), now, isEnded };
}

export function getManifest({ store, prefix }: Objects, covers: Position): Promise<Got> {
  return asStoreFailure(store.get(prefix + manifestName(covers)));
}

/** The first two round trips of an opening. They need no key, so they may be made while a password is tried. */
export async function prefetchLog(place: Objects): Promise<Prefetched> {
  const checkpoints = await listCheckpoints(place, 2);
  const [newest] = checkpoints.covers;
  const [manifest, entries] = await Promise.all([
    newest === undefined ? undefined : getManifest(place, newest),
    listEntries(place, newest ?? NOWHERE),
  ]);
  return { checkpoints, manifest, entries };
}

export function corrupt(what: string, cause: unknown): EngineError {
  return cause instanceof EngineError ? cause : new EngineError("corrupt", `${what} can't be read`, { cause });
}
