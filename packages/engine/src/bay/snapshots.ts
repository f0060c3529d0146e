import type { SealedKind } from "./machine.ts";
import type { Position } from "./position.ts";

/** The state of a checkpoint that covers entries up to `covers`. */
export type LoadState<State> = (body: Uint8Array, pages: PageStore, covers: Position) => Promise<State>;

/** Copies what must be written of a state, at once, before it moves on; the checkpoint is to cover entries up to `covers`. */
export type CaptureSource<State> = (state: State, covers: Position, thorough: Thorough) => Capture;

/** Extent of a checkpoint. `changes`: it writes what changed. `sweep`: it also leaves removals out of all that it names.
 * `anew`: it gives rows other numbers and leaves dead ones out; a process that goes on from it must load it. */
export type Thorough = "changes" | "sweep" | "anew";

export interface Capture {
  /** How many emails it has: what the announcing op tells. */
  readonly emails: number;
  /** Which numbering of rows it keeps to, and whether nothing is left in it of what was removed: told too. */
  readonly numbering: Position;
  readonly sweeps: boolean;
  /** Writes the pages; resolves with the manifest's body. */
  write(pages: PageStore): Promise<Uint8Array>;
  /** The checkpoint, which covers entries up to `entry`, is in force: what was written need not be written again. */
  commit(entry: Position): void;
  /** The checkpoint is not in force: its changes must be written again. */
  abandon(): void;
}

/** A checkpoint that is being made: written, then announced by an op, then in force. */
export interface Captured {
  /** Writes the pages, then the manifest. Throws what the store said, or EngineError `conflict` if another process was faster;
   * nothing is lost by that. */
  write(): Promise<Written>;
  /** The op that announces it was accepted. */
  commit(): void;
  /** The checkpoint was not announced, or could not be written. */
  abandon(): void;
}

/** Facts of a checkpoint for the announcing op. */
export interface Written {
  readonly covers: Position;
  readonly manifest: Uint8Array;
  readonly emails: number;
  readonly numbering: Position;
  readonly sweeps: boolean;
}

/** Sealed pages of an account, and packs of bodies. */
export interface PageStore {
  /** Resolves with the page's name. */
  write(kind: PageKind, content: Uint8Array): Promise<string>;
  /** Throws EngineError `corrupt` if it is missing or damaged. */
  read(kind: PageKind, name: string): Promise<Uint8Array>;
  /** A name for a pack that will be put. */
  packName(): string;
  /** Stores bodies that are sealed already, as they are. */
  putPack(name: string, content: Uint8Array): Promise<void>;
}
export type PageKind = Exclude<SealedKind, "entry" | "manifest">;
