/** Requests to the store's thread, and its replies. */
export type WriteRequest =
  | {
      readonly id: number;
      readonly kind: "put" | "create";
      readonly object: NewRow;
      /** Put before it, in the same commit. */
      readonly along: readonly NewRow[];
      readonly bulk: boolean;
      /** May use the reserve. */
      readonly essential: boolean;
    }
  | { readonly id: number; readonly kind: "delete"; readonly names: readonly string[]; readonly bulk: boolean };

export interface NewRow {
  readonly name: string;
  readonly content: RowContent;
}

/** Bytes in the row, or a file that is whole and synced, as is its name. */
export type RowContent =
  | { readonly in: "row"; readonly bytes: Uint8Array }
  | { readonly in: "file"; readonly file: string; readonly size: number };

export interface WriteReply {
  readonly id: number;
  readonly now: number;
  readonly stored?: boolean;
  readonly error?: { readonly code: "full" | "unavailable" | "fatal"; readonly message: string };
}

/** Options with which the store's thread is started. */
export interface WorkerOptions {
  readonly folder: string;
  readonly freeBytesMin: number;
  readonly reserveBytes: number;
}

export type ToWorker = { readonly requests: readonly WriteRequest[] } | { readonly close: true };
export type FromWorker =
  | { readonly ready: true }
  | { readonly replies: readonly WriteReply[] }
  | { readonly closed: true };

export const APPLICATION_ID = 0x52737465;
export const SCHEMA_VERSION = 3;
/** Files that were not yet named by a row carried this at their end before their names told when they were begun. */
export const TEMPORARY_SUFFIX = ".new";
/** A database that is whole, and is to take the place of the damaged one: a repair was cut short while it stands. */
export const REPAIRED = "store.sqlite.repaired";
