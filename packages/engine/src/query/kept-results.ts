import type { ReadState } from "../mail/state/read-state.ts";
import type { Condition } from "./condition.ts";
import type { EmailQuery } from "./query-emails.ts";

/** Results that are kept of one account, and emails of all of them, 4 bytes each; characters of the query of one. */
const RESULTS_MAX = 8;
const EMAILS_MAX: number = 2 ** 18;
const QUERY_CHARS_MAX = 4_096;

interface Result {
  readonly emails: Uint32Array;
  readonly state: ReadState;
  readonly modSeq: number;
}

/** What queries found, for who asks for the next page: as long as nothing in the account changes. */
export class KeptResults {
  /** By the query; the one that was used last is the last. */
  readonly #results = new Map<string, Result>();

  /** Emails in the order of the query, if it was asked already and nothing changed since. */
  find(query: Omit<EmailQuery, "page">, state: ReadState): Uint32Array | undefined {
    const key = keyOf(query);
    const result = key === undefined ? undefined : this.#results.get(key);
    if (!result || result.state !== state || result.modSeq !== state.modSeq) return undefined;
    this.#results.delete(key!);
    this.#results.set(key!, result);
    return result.emails;
  }

  /** What was found in the state as it was at `modSeq`. */
  keep(query: Omit<EmailQuery, "page">, state: ReadState, modSeq: number, emails: Uint32Array): void {
    const key = keyOf(query);
    // What changed while it was looked for may be in it, or not.
    if (key === undefined || state.modSeq !== modSeq) return;
    this.#results.delete(key);
    this.#results.set(key, { emails, state, modSeq });
    let left = EMAILS_MAX;
    for (const [other, kept] of [...this.#results].reverse()) {
      const isStale = kept.state !== state || kept.modSeq !== modSeq;
      left -= isStale ? 0 : kept.emails.length;
      if (isStale || left < 0) this.#results.delete(other);
    }
    for (const oldest of this.#results.keys()) {
      if (this.#results.size <= RESULTS_MAX) break;
      this.#results.delete(oldest);
    }
  }
}

/** Equal for equal queries; undefined for one that is not kept: sets of ids may be long. */
function keyOf({ condition, sort = [], collapseThreads = false }: Omit<EmailQuery, "page">): string | undefined {
  if (namesIds(condition)) return undefined;
  const key = JSON.stringify([condition, sort, collapseThreads]);
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
