import type { Op } from "../../mail/ops/op.ts";

/** Entries that are remembered: the store tells of one within a poll, some seconds. */
const ENTRIES_MAX = 4096;

/** True for an op that changes nothing that anybody is shown: it keeps an account's log short and its part of the store clean. */
export function isUpkeep({ kind }: Op): boolean {
  return kind === "checkpoint" || kind === "condemn" || kind === "forget" || kind === "requires";
}

/**
 * Which entries of logs are this process's own upkeep, by their names in the store: who hears of an account by names alone
 * would be woken by them for nothing.
 */
export class QuietEntries {
  readonly #entries = new Map<string, Promise<boolean>>();

  /** One is about to be stored. The returned function is to be told whether it was: the name may be taken by another's. */
  begin(name: string): (isStored: boolean) => void {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#entries.delete(name);
    this.#entries.set(name, promise);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= ENTRIES_MAX) break;
      this.#entries.delete(oldest);
    }
    return resolve;
  }

  /** Tells of what was stored under this name, at once or when it is known whose it is; not of own upkeep. */
  tellOfOthers(name: string | undefined, tell: () => void): void {
    const entry = name === undefined ? undefined : this.#entries.get(name);
    if (!entry) tell();
    else
      void entry.then((isQuiet) => {
        if (!isQuiet) tell();
      });
  }
}
