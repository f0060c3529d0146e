import type { NewObject } from "../storage/object-store.ts";
import type { Span } from "./entry.ts";
import type { Position } from "./position.ts";
import type { WriterId } from "./writer.ts";

/**
 * A machine that Bay replicates: a state that ops change. Bay orders ops, stores them and applies them, and does not know
 * their meaning. `apply` is total and pure.
 */
export interface Machine<State, Op, Outcome> {
  initial(): State;
  encodeOp(op: Op): Uint8Array;
  /** Throws RangeError on bytes that no known version of `encodeOp` makes. */
  decodeOp(bytes: Uint8Array): Op;
  /** True for an op that goes on when the store is nearly full: it removes something, or makes room later. */
  isEssential(op: Op): boolean;
  /** Applies an op in steps: between two of them others may read the state, and nobody changes it. */
  apply(state: State, placed: Placed<Op>): Iterator<undefined, Outcome>;
}

/** An op at its place in the log. */
export interface Placed<Op> {
  readonly op: Op;
  readonly writer: WriterId;
  readonly sequence: number;
  /** The entry it came in and its place there, from 0. */
  readonly entry: Position;
  readonly place: number;
  /** True if the op's author had applied that op. */
  readonly knows: (writer: WriterId, sequence: number) => boolean;
  /** Its author judged it already: merge mode. */
  readonly judged: boolean;
}

/** An op to push, with what its `attachment` places mean, in order. */
export interface Push<Op> {
  readonly op: Op;
  readonly attachments?: readonly Uint8Array[];
  /** Objects that the op names, stored with its entry at the latest; names as the store knows them. */
  readonly along?: readonly NewObject[];
}

/** A log entry as it was read, for those who look up what an op carried. */
export interface ReadEntry<Op> {
  readonly ops: readonly Op[];
  readonly attachments: readonly (readonly Span[])[];
}

/** How Bay's objects are sealed: bound to the account and to the object's kind and id. */
export interface Sealer {
  seal(kind: SealedKind, id: string, content: Uint8Array): Uint8Array;
  /** Throws an EngineError `corrupt` if the bytes are not that object. */
  open(kind: SealedKind, id: string, bytes: Uint8Array): Uint8Array;
  hash(bytes: Uint8Array): Uint8Array;
}
export type SealedKind =
  | "entry"
  | "manifest"
  | "columns"
  | "rows"
  | "headers"
  | "references"
  | "values"
  | "hashes"
  | "texts"
  | "ids";
