import type { Bay } from "../../bay/bay.ts";
import type { PageStore } from "../../bay/snapshots.ts";
import { EngineError } from "../../errors.ts";
import { SharedCache } from "../../shared-cache.ts";
import type { Op } from "../ops/op.ts";
import type { Outcome } from "../ops/outcome.ts";
import { findEntry, findPage, idKey, keyBytes } from "../state/reference-index.ts";
import type { MailState } from "../state/state.ts";
import { messageIdHash } from "./digest.ts";

const THREAD_BYTES = 8;

/**
 * Finds the conversation that a message belongs to: that of the nearest message which it refers to, or which refers to
 * it, else a new one (RFC 8621 §3). The author of an op writes threads into it; apply never computes them.
 */
export class Threads {
  readonly #bay: Bay<MailState, Op, Outcome>;
  readonly #pageStore: PageStore;
  readonly #random: (bytes: number) => Uint8Array;
  readonly #pages = new SharedCache<string, Uint8Array>();

  constructor(bay: Bay<MailState, Op, Outcome>, pageStore: PageStore, random: (bytes: number) => Uint8Array) {
    this.#bay = bay;
    this.#pageStore = pageStore;
    this.#random = random;
  }

  /** Forgets all that is kept open. */
  dispose(): void {
    this.#pages.dispose();
  }

  /** The threads of messages that come together, in order, each told by its ids (hashes of 8 bytes, nearest first). */
  async assign(messages: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const keys = messages.map((ids) =>
      Array.from({ length: Math.floor(ids.length / 8) }, (_, at) => idKey(ids, at * 8)),
    );
    const known = await this.#find(new Set(keys.flat()));
    return keys.map((own) => {
      const near = own.find((key) => known.has(key));
      const thread = near === undefined ? this.#random(THREAD_BYTES) : known.get(near)!;
      for (const key of own) if (!known.has(key)) known.set(key, thread);
      return thread;
    });
  }

  /** Whether some message of the account has, had, or refers to this message id (without angle brackets). */
  async knows(messageId: string): Promise<boolean> {
    return (await this.#findRow(idKey(messageIdHash(messageId), 0))) !== undefined;
  }

  /** Whether all that message ids are looked up in can be read. Throws EngineError `unavailable`. */
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
        const row = await this.#findRow(key);
        const { state } = this.#bay;
        if (row !== undefined && row < state.emails.rows) found.set(key, state.threadOf(row));
      }),
    );
    return found;
  }

  async #findRow(key: string): Promise<number | undefined> {
    const { references } = this.#bay.state;
    const recent = references.findRecent(key);
    if (recent !== undefined) return recent;
    const hash = keyBytes(key);
    for (const run of references.runs) {
      const page = findPage(run, hash);
      const row = page && findEntry(await this.#page(page.name), hash);
      if (row !== undefined) return row;
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
