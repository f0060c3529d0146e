import type { Witness } from "./applied-log.ts";
import type { ReadingEnded } from "./log-end.ts";
import type { Push, ReadEntry } from "./machine.ts";
import type { Manifest } from "./manifest.ts";
import type { Position } from "./position.ts";
import type { Captured, CaptureSource, Thorough } from "./snapshots.ts";

/**
 * A replicated state machine made out of a store, with no coordinator.
 *
 * Invariant: an op is visible in `state` only once its entry is stored; `push` resolves only then, with the outcome.
 * A state object may be replaced as a whole (merge mode's rewind, a reload): readers take `bay.state` anew after each
 * await, and know memberships by uid or by name, never by row, across one.
 */
export interface Bay<State, Op, Outcome> {
  readonly state: State;
  /** The last entry applied: what ops that bring bodies or notes name as their view. */
  readonly position: Position;
  /** Stores and applies the op. Rejects with EngineError `unavailable` (surely not done) or `unknown-outcome`. */
  push(push: Push<Op>): Promise<Outcome>;
  /** Applies all that was stored before the call. Rejects with EngineError `unavailable` or `corrupt`. */
  sync(): Promise<void>;
  /** Calls back after ops were applied, own and others', or the state was replaced. Returns what ends that. */
  onApplied(listener: () => void): () => void;
  /** Tells what each entry carried that this process stored, once it is applied: who looks that up need not read it. Returns
   * what ends that. */
  onStored(listener: (n: Position, entry: ReadEntry<Op>) => void): () => void;
  /** Content of entry `n`, which was applied; undefined if it is gone from the log. */
  readEntry(n: Position): Promise<ReadEntry<Op> | undefined>;
  dispose(): Promise<void>;
}

/** Sentences for why nothing can be pushed. */
export const BARRED = {
  damaged:
    "a part of this account is damaged in the store: what came before it can be read, and nothing can be changed (bring a backup of the store back, or take all mail out by restante export --salvage)",
  partial:
    "a part of this account is lost in the store: what is left can be read, and nothing can be changed (bring a backup of the store back, or mend what the rest of it can give by restante check ADDRESS --repair)",
  "rolled-back":
    "the store shows an older history than was seen here before: nothing can be changed until the owner accepts that (restante account accept-history)",
  "cut-off":
    "somebody ended this account in the store, and no server that is trusted here says that it was moved or deleted: it can be read, and nothing can be changed (restante export)",
} as const;

/** The log as those hold it who care for it: what keeps it short, compares it with what was seen, and opens accounts. */
export interface Log<State, Op, Outcome> extends Bay<State, Op, Outcome> {
  /** Why nothing can be pushed now, though the log can be read; undefined if it can. */
  readonly barred: keyof typeof BARRED | undefined;
  /** The store shows an older or another history than this host has seen. Nothing is pushed upon it. */
  readonly isRolledBack: boolean;
  /** True if the witness is too old to be compared with the store's history. */
  readonly isUncompared: boolean;
  /** The owner goes on from the history that the store shows. */
  acceptHistory(): void;
  /** The owner goes on from what is left, and from what `recover` brings back of the rest. A checkpoint would say that this is
   * all that there is: none but its own is made meanwhile. Where it fails, all stays as lost as it was. */
  acceptLoss<T>(recover: () => Promise<T>): Promise<T>;
  readonly isRecovering: boolean;
  /** Why this log can be read no further: all that is asked from now on is refused by it. */
  readonly ended: ReadingEnded | undefined;
  /** The present end of the log, for the host to keep. */
  readonly witness: Witness;
  /** Entries that were applied since the checkpoint that this process knows to be the newest, and their bytes. */
  readonly tail: { readonly entries: number; readonly bytes: number };
  /** The entry up to which the newest checkpoint goes, if that could not be read when the log was opened: nothing is missing,
   * for now. */
  readonly lostCheckpoint: Position | undefined;
  /** Begins a checkpoint of the state as it is now. Others' pushes and our own go on meanwhile. */
  capture(source: CaptureSource<State>, thorough: Thorough): Promise<Captured>;
  /** Another process's checkpoint is current. */
  noteCheckpoint(manifest: Pick<Manifest, "covers" | "hashes">): void;
  /** The manifest of a checkpoint and its hash; undefined if it is gone. Throws EngineError `corrupt`. */
  readManifest(covers: Position): Promise<{ readonly manifest: Manifest; readonly hash: Uint8Array } | undefined>;
  /** Goes over to the state of the checkpoint that covers entries up to `covers`, and what came since: as after a rewind,
   * rows are others, and what they tell is the same. Throws EngineError. */
  restart(covers: Position): Promise<void>;
}

export type { Push };
