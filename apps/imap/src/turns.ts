import { setImmediate } from "node:timers/promises";
import { TURN_MS } from "./limits.ts";

/** Long work in steps: all connections share one thread, and each lets the others have their turn. */
export class Turns {
  #began = performance.now();

  /** Between two steps: waits for the others if this one has worked for {@link TURN_MS}. */
  async take(): Promise<void> {
    if (performance.now() - this.#began < TURN_MS) return;
    await setImmediate();
    this.#began = performance.now();
  }
}
