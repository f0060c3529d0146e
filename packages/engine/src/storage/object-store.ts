/**
 * The one interface between Restante and the place where its bytes lie (an embedded database, an S3 bucket, a map in a
 * test). Every backend passes the contract suite in `contract.ts`.
 *
 * Names are `/`-separated printable ASCII, at most {@link NAME_BYTES_MAX} bytes; they sort bytewise. A store's answers are
 * hostile: callers open them with crypto before they believe them.
 *
 * Invariant: a write has happened, durably, when its promise resolves; when the promise rejects with `StoreError("unknown")`
 * it may or may not have happened, or happen later. Dates are the store's own, in milliseconds since 1970: no caller
 * compares them with its own clock.
 */
export interface ObjectStore {
  /** Creates or replaces the object. A stream is written as it comes, in bounded memory; if it throws, nothing is stored.
   * Each of its pieces may be overwritten once the next is asked for. */
  put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, options?: StoreOptions): Promise<Put>;
  /** Creates the object unless one of this name exists; of any number of concurrent callers exactly one gets `stored`. */
  putIfAbsent(name: string, content: Uint8Array, options?: StoreOptions): Promise<PutIfAbsent>;
  /** The object's bytes, or those of `range`, cut off at the object's end. An unknown name is an answer, not an error. */
  get(name: string, range?: ByteRange, options?: GetOptions): Promise<Got>;
  /** Objects whose names begin with `prefix` and sort after `after` (bytewise), in order, at most `limit`. */
  list(prefix: string, options?: ListOptions): Promise<Listed>;
  /** Deletes the objects; names that don't exist are no error. */
  delete(names: readonly string[], options?: StoreOptions): Promise<{ readonly now: number }>;
  /** Calls `ring` (a hint: spurious and merged calls are allowed) after objects under `prefix` may have been written,
   * by any process on this store, with the name of one where it is known. Returns what ends the watch. */
  watch(prefix: string, ring: Ring, options?: WatchOptions): () => void;
  /** Rings, before it returns, for all that was written before the call, each by its name. Returns a number that differs
   * whenever anything was written since. Absent where a store can't tell that without a request. */
  freshen?(): number;
  /** Waits for writes under way, then lets go of files and workers. Later calls reject with `StoreError("closed")`. */
  dispose(): Promise<void>;
}

export type Ring = (name?: string) => void;

export interface WatchOptions {
  /** True while somebody waits for a ring; by default always. A store that must be polled is polled less often while it is
   * false. */
  readonly isUrgent?: (() => boolean) | undefined;
  /** The newest name that who watches knows of: a store that must be asked is asked for later ones alone. */
  readonly after?: string | undefined;
}

export const NAME_BYTES_MAX = 512;

export interface StoreOptions {
  readonly signal?: AbortSignal;
  /** `bulk` work (packs, imports, checkpoints) waits behind `interactive` work; default `interactive`. */
  readonly priority?: "interactive" | "bulk";
  /** Goes on when the store is nearly full: what only removes, and what frees room later. */
  readonly essential?: boolean;
  /** New objects that this one names: stored before it or with it, at once where the store can, and stored too where a
   * create finds its name taken. */
  readonly along?: readonly NewObject[];
}
export interface GetOptions extends StoreOptions {
  /** A copy that is kept near will do, of an object that is at most so many milliseconds old by the store's dates: for
   * who asks what an object holds that never changes, and not whether it is there. */
  readonly copyAgeMaxMs?: number | undefined;
  /** Where the bytes of a range may be put if they fit: they stand there until the caller uses it for something else. A
   * store that keeps what it reads puts them elsewhere. */
  readonly room?: Uint8Array;
}
export interface NewObject {
  readonly name: string;
  readonly content: Uint8Array;
}
/** Bytes from `start` (0 is the first) up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}
export interface Put {
  readonly now: number;
}
export interface PutIfAbsent {
  readonly outcome: "stored" | "exists";
  readonly now: number;
}
export type Got =
  | {
      readonly found: true;
      readonly bytes: Uint8Array;
      readonly size: number;
      readonly created: number;
      readonly now: number;
    }
  | { readonly found: false; readonly now: number };
export interface ListOptions extends StoreOptions {
  readonly after?: string;
  readonly limit?: number;
}
export interface Listed {
  readonly objects: readonly { readonly name: string; readonly size: number; readonly created: number }[];
  readonly now: number;
}

/**
 * `unavailable`: surely not done, try later. `unknown`: may have been done. `full`: surely not done, the store has no
 * room. `closed`: after dispose. `invalid`: a name or range no store takes. `damaged`: the store names an object of which
 * it has lost bytes.
 */
export type StoreErrorCode = "unavailable" | "unknown" | "full" | "closed" | "invalid" | "damaged";

export class StoreError extends Error {
  readonly code: StoreErrorCode;
  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StoreError";
    this.code = code;
  }
}
