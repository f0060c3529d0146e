import { createScanner } from "@restante/mime";
import { EngineError } from "../../errors.ts";
import { SharedCache } from "../../shared-cache.ts";
import type { Body } from "./contents.ts";
import { type Breathe, summarize } from "./digest.ts";
import { bytesOf, DECODED_WEIGHT, RECORD_BYTES } from "./open-entry.ts";
import { decodeSummary, type Summary } from "./summary.ts";

/** A full summary that was made of a body, encoded and open. */
interface MadeSummary {
  readonly encoded: Uint8Array;
  readonly summary: Summary;
}

/**
 * Full summaries of emails that came with one of format 1, made of their bodies when they are first needed, and kept a
 * while. Those that a checkpoint is to write into row pages wait here for it. All are known by the emails' ids: whatever
 * becomes of rows, a summary never gets to another email.
 */
export class FullSummaries {
  readonly #breathe: Breathe;
  readonly #made = new SharedCache<string, MadeSummary>();
  readonly #waiting = new Map<string, { readonly page: number; readonly encoded: Uint8Array }>();
  /** Emails whose bodies are damaged: they are not tried again while the account is open. */
  readonly #damaged = new Set<string>();

  constructor(breathe: Breathe) {
    this.#breathe = breathe;
  }

  dispose(): void {
    this.#made.dispose();
    for (const { encoded } of this.#waiting.values()) encoded.fill(0);
    this.#waiting.clear();
  }

  /** The full summary of the email `id`, whose body `open` gives; undefined if the body is damaged or gone. Errors:
   * `unavailable`. */
  async get(id: string, open: () => Promise<Body>): Promise<MadeSummary | undefined> {
    if (this.#damaged.has(id)) return undefined;
    try {
      return await this.#made.get(id, async () => {
        const value = await this.#make(await open());
        const parts = [value.encoded, ...bytesOf(value.summary)];
        const wipe = (): void => {
          for (const bytes of parts) bytes.fill(0);
        };
        return { value, bytes: value.encoded.length * DECODED_WEIGHT + RECORD_BYTES, wipe };
      });
    } catch (error) {
      if (!(error instanceof EngineError) || (error.code !== "corrupt" && error.code !== "expunged")) throw error;
      if (error.code === "corrupt") this.#damaged.add(id);
      return undefined;
    }
  }

  async #make(body: Body): Promise<MadeSummary> {
    const scanner = createScanner();
    for await (const piece of body.read(0, body.size)) {
      scanner.push(piece);
      await this.#breathe?.();
    }
    const structure = scanner.finish();
    if (structure.size !== body.size) throw new EngineError("corrupt", "a message's body is cut off");
    const encoded = await summarize(structure, this.#breathe);
    return { encoded, summary: decodeSummary(encoded) };
  }

  /** The next checkpoint is to write it, into this row page. */
  wait(id: string, page: number, encoded: Uint8Array): void {
    this.#waiting.set(id, { page, encoded });
  }

  /** A page holds it now. */
  settle(id: string): void {
    this.#waiting.delete(id);
  }

  findWaiting(id: string): Uint8Array | undefined {
    return this.#waiting.get(id)?.encoded;
  }

  /** Row pages for which a summary waits. */
  waitingPages(): number[] {
    return [...this.#waiting.values()].map(({ page }) => page);
  }
}
