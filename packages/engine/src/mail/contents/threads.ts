import type { Bay } from "../../bay/bay.ts";
import type { PageStore } from "../../bay/snapshots.ts";
import { keyedHash } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { SharedCache } from "../../shared-cache.ts";
import type { Op } from "../ops/op.ts";
import type { Outcome } from "../ops/outcome.ts";
import type { ReadState } from "../state/read-state.ts";
import { findEntry, findPage, idKey, keyBytes, threadKeys } from "../state/reference-index.ts";
import type { Conversation } from "./digest.ts";

const THREAD_BYTES = 8;

/** Hashes by which a message's thread is found. */
export type Threaded = Pick<Conversation, "ids" | "subject" | "root">;

/**
 * Finds the conversation that a message belongs to: that of the nearest message of the same base subject which it refers
 * to, or which refers to it, else a new one (RFC 8621 §3). The author of an op writes threads into it; apply never
 * computes them. A new one's id follows from the oldest message that is known of, under a key of the account: so two
 * processes that take in a message and its answer at once agree.
 */
export class Threads {
  readonly #bay: Bay<ReadState, Op, Outcome>;
  readonly #pageStore: PageStore;
  readonly #random: (bytes: number) => Uint8Array;
  readonly #key: () => Uint8Array;
  readonly #pages = new SharedCache<string, Uint8Array>();

  /** `key` gives the key that ids of threads are made under: the same for as long as the account lives. */
  constructor(
    bay: Bay<ReadState, Op, Outcome>,
    pageStore: PageStore,
    random: (bytes: number) => Uint8Array,
    key: () => Uint8Array,
  ) {
    this.#bay = bay;
    this.#pageStore = pageStore;
    this.#random = random;
    this.#key = key;
  }

  /** Forgets all that is kept open. */
  dispose(): void {
    this.#pages.dispose();
  }

  /** The threads of messages that come together, in order. */
  async assign(messages: readonly Threaded[]): Promise<Uint8Array[]> {
    const keys = messages.map((message) => keysOf(threadKeys(message)));
    // Messages that older releases took in are known by their ids alone.
    const bare = messages.map(({ ids }) => keysOf(ids));
    const known = await this.#find(new Set([...keys.flat(), ...bare.flat()]));
    return messages.map(({ root }, at) => {
      const near = keys[at]!.find((key) => known.has(key)) ?? bare[at]!.find((key) => known.has(key));
      const thread = near === undefined ? this.#begin(root) : known.get(near)!;
      for (const key of keys[at]!) if (!known.has(key)) known.set(key, thread);
      return thread;
    });
  }

  #begin(root: Uint8Array): Uint8Array {
    return root.length === 0 ? this.#random(THREAD_BYTES) : keyedHash(this.#key(), root).subarray(0, THREAD_BYTES);
  }

  /** True if all pages in which message ids are looked up can be read. Throws EngineError `unavailable`. */
  async isWhole(): Promise<boolean> {
    try {
      for (const { pages } of this.#bay.state.references.runs) for (const { name } of pages) await this.#page(name);
      return true;
    } catch (error) {
      if (error instanceof EngineError && error.code === "corrupt") return false;
      throw error;
    }
  }

  async #find(keys: ReadonlySet<string>): Promise<Map<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>();
    await Promise.all(
      [...keys].map(async (key) => {
        const number = await this.#findNumber(key);
        const { state } = this.#bay;
        const row = number === undefined ? undefined : state.findNumber(number);
        if (row !== undefined) found.set(key, state.threadOf(row));
      }),
    );
    return found;
  }

  async #findNumber(key: string): Promise<number | undefined> {
    const { references } = this.#bay.state;
    const recent = references.findRecent(key);
    if (recent !== undefined) return recent;
    const hash = keyBytes(key);
    for (const run of references.runs) {
      const page = findPage(run, hash);
      const number = page && findEntry(await this.#page(page.name), hash);
      if (number !== undefined) return number;
    }
    return undefined;
  }

  #page(name: string): Promise<Uint8Array> {
    return this.#pages.get(name, async () => {
      const value = await this.#pageStore.read("references", name);
      return { value, bytes: value.length };
    });
  }
}

/** Hashes of 8 bytes, each as a map's key. */
function keysOf(hashes: Uint8Array): string[] {
  return Array.from({ length: Math.floor(hashes.length / 8) }, (_, at) => idKey(hashes, at * 8));
}
