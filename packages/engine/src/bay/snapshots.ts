import type { SealedKind } from "./machine.ts";

/** How a state becomes a checkpoint and comes back from one. */
export interface Snapshots<State> {
  /** Copies what must be written, at once, before the state moves on. */
  capture(state: State): Capture;
  load(body: Uint8Array, pages: PageStore): Promise<State>;
}

export interface Capture {
  /** Emails that the checkpoint covers: what the announcing op tells. */
  readonly covers: number;
  /** Writes the pages; resolves with the manifest's body. */
  write(pages: PageStore): Promise<Uint8Array>;
  /** The checkpoint is in force: what was written need not be written again. */
  commit(): void;
  /** It is not: it must. */
  abandon(): void;
}

/** Sealed pages of an account. */
export interface PageStore {
  /** Resolves with the page's name. */
  write(kind: PageKind, content: Uint8Array): Promise<string>;
  /** Throws EngineError `corrupt` if it is missing or damaged. */
  read(kind: PageKind, name: string): Promise<Uint8Array>;
}
export type PageKind = Exclude<SealedKind, "entry" | "manifest">;
