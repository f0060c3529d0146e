import type { SealedKind } from "./machine.ts";

/** How a state becomes a checkpoint and comes back from one. */
export interface Snapshots<State> {
  /** Copies what must be written, at once, before the state moves on; the checkpoint is to cover entries up to `covers`. */
  capture(state: State, covers: number, thorough: Thorough): Capture;
  /** The state of a checkpoint that covers entries up to `covers`. */
  load(body: Uint8Array, pages: PageStore, covers: number): Promise<State>;
  /** The same where some of its pages are lost: what the others tell. Throws EngineError `corrupt` if that is nothing. */
  loadLeft?(body: Uint8Array, pages: PageStore, covers: number): Promise<State>;
}

/** What a checkpoint does: it writes what changed; or it also leaves what was removed out of all it names; or it begins
 * anew, with another numbering of rows and without dead ones, and whoever goes on from it must load it. */
export type Thorough = "changes" | "sweep" | "anew";

export interface Capture {
  /** Emails that the checkpoint covers: what the announcing op tells. */
  readonly covers: number;
  /** Which numbering of rows it keeps to, and whether nothing is left in it of what was removed: told too. */
  readonly numbering: number;
  readonly sweeps: boolean;
  /** Writes the pages; resolves with the manifest's body. */
  write(pages: PageStore): Promise<Uint8Array>;
  /** The checkpoint, which covers entries up to `entry`, is in force: what was written need not be written again. */
  commit(entry: number): void;
  /** It is not: it must. */
  abandon(): void;
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
