import type { Platform } from "../account/platform.ts";

/** Time that passes when it is told to, for what waits for minutes. */
export class HandTime implements Pick<Platform, "now" | "monotonic" | "delay" | "every"> {
  #ms = 1_700_000_000_000;
  readonly #waiting = new Set<{ readonly at: number; readonly wake: () => void }>();

  readonly now = (): number => this.#ms;
  readonly monotonic = (): number => this.#ms;

  readonly delay = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const entry = { at: this.#ms + ms, wake: resolve };
      this.#waiting.add(entry);
      signal?.addEventListener("abort", () => {
        this.#waiting.delete(entry);
        resolve();
      });
    });

  readonly every = (ms: number, work: () => void): (() => void) => {
    let isOver = false;
    void (async () => {
      for (;;) {
        await this.delay(ms);
        if (isOver) return;
        work();
      }
    })();
    return () => {
      isOver = true;
    };
  };

  /** Lets so many milliseconds pass, and what waits for them do its work. */
  async pass(ms: number): Promise<void> {
    const end = this.#ms + ms;
    for (;;) {
      await settle();
      const next = [...this.#waiting].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#ms = Math.max(this.#ms, next.at);
      this.#waiting.delete(next);
      next.wake();
    }
    this.#ms = end;
    await settle();
  }
}

/** Some turns of the event loop: enough for what a test's store in memory has to do. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}
