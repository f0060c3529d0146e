import type { ReadState } from "../mail/state/read-state.ts";
import type { Condition } from "./condition.ts";
import { type Searched, type SearchTools, search } from "./filter.ts";
import type { HeaderTools } from "./kept-headers.ts";
import { type Ground, KeptResults, modSeqOf, resultKey } from "./kept-results.ts";
import { type SortKey, sortFound } from "./sort.ts";
import { threadFound } from "./threading/thread.ts";
import type { ThreadAlgorithm, Threads } from "./threading/threads.ts";
import { asksNoText } from "./wanted.ts";

type Tools = SearchTools & HeaderTools;

/**
 * Results of searches, sorts and threads in mailboxes, kept for the same question of any session. A list whose client was
 * not told yet of all that its mailbox holds has places of its own: of those nothing is kept.
 */
export class MailboxResults {
  readonly #state: () => ReadState;
  readonly #places: KeptResults<Uint32Array>;
  readonly #threads: KeptResults<Threads>;

  constructor(state: () => ReadState, numbersMax?: number) {
    this.#state = state;
    this.#places = new KeptResults(({ length }) => length, numbersMax);
    this.#threads = new KeptResults(({ places, children }) => places.length + children.length, numbersMax);
  }

  /** `search` of `filter.ts`. An answer of the columns takes no longer than to keep it. */
  async search(list: Searched, condition: Condition, tools: Tools): Promise<Uint32Array> {
    const find = async (): Promise<Uint32Array> => Uint32Array.from(await search(list, condition, tools));
    if (asksNoText(condition)) return find();
    return this.#find(this.#places, list, resultKey(condition), find);
  }

  /** `sortFound` of `sort.ts`. */
  async sort(list: Searched, condition: Condition, keys: readonly SortKey[], tools: Tools): Promise<Uint32Array> {
    return this.#find(this.#places, list, resultKey(condition, keys), () => sortFound(list, condition, keys, tools));
  }

  /** `threadFound` of `threading/thread.ts`. */
  async thread(list: Searched, algorithm: ThreadAlgorithm, condition: Condition, tools: Tools): Promise<Threads> {
    const find = (): Promise<Threads> => threadFound(list, algorithm, condition, tools);
    return this.#find(this.#threads, list, resultKey(condition, algorithm), find);
  }

  async #find<T>(
    results: KeptResults<T>,
    list: Searched,
    query: string | undefined,
    find: () => Promise<T>,
  ): Promise<T> {
    const ground = this.#groundOf(list);
    if (!ground) return find();
    const key = query && `${ground.mailbox!.ordinal} ${query}`;
    const kept = results.find(key, ground);
    if (kept) return kept;
    const modSeq = modSeqOf(ground);
    const found = await find();
    results.keep(key, ground, modSeq, found);
    return found;
  }

  /** Undefined for what is not all of a mailbox as it is. */
  #groundOf({ mailboxNow: mailbox }: Searched): Ground | undefined {
    return mailbox && { state: this.#state(), mailbox };
  }
}
