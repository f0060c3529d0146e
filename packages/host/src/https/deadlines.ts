import { TICK_MS } from "./limits.ts";

/** The door's clock, handed in so that tests need not wait. */
export interface DoorClock {
  /** Milliseconds that only go forward. */
  readonly monotonic: () => number;
  /** Calls `work` every so many milliseconds, until what it returns is called. */
  readonly every: (ms: number, work: () => void) => () => void;
}

export const DOOR_CLOCK: DoorClock = {
  monotonic: () => performance.now(),
  every(ms, work) {
    const timer = setInterval(work, ms).unref();
    return () => clearInterval(timer);
  },
};

/** Something that has only so long for what it is at. */
export interface Deadline {
  /** Lets the wait last so many milliseconds from now; without a number it may last for ever. */
  expect(ms?: number): void;
  /** Ends the wait. */
  end(): void;
}

interface Waiting {
  until: number;
  readonly onLate: () => void;
}

/**
 * The door's own clock: it looks every {@link TICK_MS} at all that has a time. Node's timers know requests of HTTP/1.1
 * alone, and a timer of its own for each request would cost more than most requests do.
 */
export class Deadlines {
  readonly #clock: DoorClock;
  readonly #waiting = new Set<Waiting>();
  readonly #stop: () => void;

  constructor(clock: DoorClock) {
    this.#clock = clock;
    this.#stop = clock.every(TICK_MS, () => this.#look());
  }

  get now(): number {
    return this.#clock.monotonic();
  }

  /** How many there are. */
  get size(): number {
    return this.#waiting.size;
  }

  /** `onLate` is called once each time that what was expected does not come. */
  begin(onLate: () => void): Deadline {
    const waiting: Waiting = { until: Number.POSITIVE_INFINITY, onLate };
    this.#waiting.add(waiting);
    return {
      expect: (ms = Number.POSITIVE_INFINITY) => {
        waiting.until = this.now + ms;
      },
      end: () => {
        this.#waiting.delete(waiting);
      },
    };
  }

  dispose(): void {
    this.#stop();
  }

  #look(): void {
    const { now } = this;
    for (const waiting of this.#waiting) {
      if (now < waiting.until) continue;
      waiting.until = Number.POSITIVE_INFINITY;
      waiting.onLate();
    }
  }
}
