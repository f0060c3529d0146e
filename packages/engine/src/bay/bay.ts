import type { Push, ReadEntry } from "./machine.ts";

/**
 * A replicated state machine made out of a store, with no coordinator.
 *
 * Invariant: an op is visible in `state` only once its entry is stored; `push` resolves only then, with the outcome.
 * A state object may be replaced as a whole (merge mode's rewind, a reload): readers take `bay.state` anew after each
 * await, and know memberships by uid or by name, never by row, across one.
 */
export interface Bay<State, Op, Outcome> {
  readonly state: State;
  /** The number of the last entry applied: what ops that bring bodies or notes name as their view. */
  readonly position: number;
  /** Stores and applies the op. Rejects with EngineError `unavailable` (surely not done) or `unknown-outcome`. */
  push(push: Push<Op>): Promise<Outcome>;
  /** Applies all that was stored before the call. Rejects with EngineError `unavailable` or `corrupt`. */
  sync(): Promise<void>;
  /** Calls back after ops were applied, own and others', or the state was replaced. Returns what ends that. */
  onApplied(listener: () => void): () => void;
  /** Tells what each entry carried that this process stored, once it is applied: who looks that up need not read it. Returns
   * what ends that. */
  onStored(listener: (n: number, entry: ReadEntry<Op>) => void): () => void;
  /** What entry `n`, which was applied, carried; undefined if it is gone from the log. */
  readEntry(n: number): Promise<ReadEntry<Op> | undefined>;
  dispose(): Promise<void>;
}

export type { Push };
