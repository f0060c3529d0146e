import type { SealedKind } from "./machine.ts";

/** How a state becomes a checkpoint and comes back from one. */
export interface Snapshots<State> {
  /** Copies what must be written, at once, before the state moves on. */
  capture(state: State): Capture;
  /** The state of a checkpoint that covers entries up to `covers`. */
  load(body: Uint8Array, pages: PageStore, covers: number): Promise<State>;
}

export interface Capture {
  /** Emails that the checkpoint covers: what the announcing op tells. */
  readonly covers: number;
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
