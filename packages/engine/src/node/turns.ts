import { EngineError } from "../errors.ts";

export interface TurnLimits {
  /** At work at once. */
  readonly runningMax: number;
  /** Behind them; who comes after these is told to come again. */
  readonly waitingMax: number;
}

/** So many at once, so many behind them, in the order in which they came. */
export class Turns {
  readonly #limits: TurnLimits;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** Errors: `unavailable` when too many wait already; else what `work` throws. */
  async take<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running < this.#limits.runningMax) this.#running++;
    else if (this.#waiting.length >= this.#limits.waitingMax)
      throw new EngineError("unavailable", "too many wait for the directory, try again");
    // Work that ends hands its place on, so the count stays.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
