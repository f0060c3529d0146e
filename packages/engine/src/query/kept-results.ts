import type { ModSeq } from "../mail/numbers.ts";
import type { ReadMailbox, ReadState } from "../mail/state/read-state.ts";
import type { Condition } from "./condition.ts";

/** Results that are kept of one account and kind, and numbers in all of them, 4 bytes each; characters of the query of one. */
const RESULTS_MAX = 8;
const NUMBERS_MAX: number = 2 ** 18;
const QUERY_CHARS_MAX = 4_096;

/** Where something is found: in one mailbox, or in all of an account. */
export interface Ground {
  readonly state: ReadState;
  readonly mailbox?: ReadMailbox | undefined;
}

/** The modseq that any change of the ground raises: the mailbox's, or the account's. */
export function modSeqOf({ state, mailbox }: Ground): ModSeq {
  return mailbox ? mailbox.highestModSeq : state.modSeq;
}

interface Result<T> extends Ground {
  readonly found: T;
  readonly modSeq: ModSeq;
}

/** Results of queries, kept for the same query and for its next page as long as nothing changes in their ground. */
export class KeptResults<T> {
  /** By the query; the one that was used last is the last. */
  readonly #results = new Map<string, Result<T>>();
  readonly #numbersIn: (found: T) => number;
  readonly #numbersMax: number;

  /** `numbersIn`: how many a result has; `numbersMax`: how many all of them may. */
  constructor(numbersIn: (found: T) => number, numbersMax: number = NUMBERS_MAX) {
    this.#numbersIn = numbersIn;
    this.#numbersMax = numbersMax;
  }

  /** The result of the query with this {@link resultKey}, if nothing changed since. Nobody may change it. */
  find(key: string | undefined, { state, mailbox }: Ground): T | undefined {
    const result = key === undefined ? undefined : this.#results.get(key);
    if (!result || result.state !== state || result.mailbox !== mailbox || !isFresh(result)) return undefined;
    this.#results.delete(key!);
    this.#results.set(key!, result);
    return result.found;
  }

  /** Keeps the result that was found in the ground as it was at `modSeq`. Changes during the query may be in it, or not, so a
   * result that is not fresh any more is not kept. */
  keep(key: string | undefined, { state, mailbox }: Ground, modSeq: ModSeq, found: T): void {
    if (key === undefined) return;
    this.#results.delete(key);
    this.#results.set(key, { state, mailbox, modSeq, found });
    let left = this.#numbersMax;
    for (const [other, kept] of [...this.#results].reverse()) {
      const isStale = kept.state !== state || !isFresh(kept);
      left -= isStale ? 0 : this.#numbersIn(kept.found);
      if (isStale || left < 0) this.#results.delete(other);
    }
    for (const oldest of this.#results.keys()) {
      if (this.#results.size <= RESULTS_MAX) break;
      this.#results.delete(oldest);
    }
  }
}

function isFresh(result: Ground & { readonly modSeq: ModSeq }): boolean {
  return modSeqOf(result) === result.modSeq;
}

/** Equal for equal conditions and details; undefined for what is not kept: sets of ids may be long. */
export function resultKey(condition: Condition, ...details: readonly unknown[]): string | undefined {
  if (namesIds(condition)) return undefined;
  const key = JSON.stringify([condition, ...details]);
  return key.length > QUERY_CHARS_MAX ? undefined : key;
}

function namesIds(condition: Condition): boolean {
  switch (condition.kind) {
    case "and":
    case "or":
      return condition.of.some(namesIds);
    case "not":
      return namesIds(condition.of);
    default:
      return condition.kind === "emails" || condition.kind === "threads";
  }
}
