/** Waited in vain for a turn: nothing was sent. */
export class NoTurn extends Error {
  constructor() {
    super("too many requests wait for the store");
    this.name = "NoTurn";
  }
}

interface Waiting {
  readonly go: () => void;
}

/**
 * At most so many at once; who is interactive goes before bulk work, and waits for no longer than `turnMs`: behind a
 * store that hangs, who comes last is not to wait for all who came before. Bulk work has time.
 */
export class Queue {
  readonly #max: number;
  readonly #turnMs: number;
  readonly #waiting = { interactive: new Set<Waiting>(), bulk: new Set<Waiting>() };
  #running = 0;

  constructor(max: number, turnMs: number) {
    this.#max = max;
    this.#turnMs = turnMs;
  }

  /** Throws {@link NoTurn}, and as `work` does. */
  async run<T>(priority: "interactive" | "bulk", work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#max) this.#running++;
    else await this.#turn(priority);
    try {
      return await work();
    } finally {
      const next = first(this.#waiting.interactive) ?? first(this.#waiting.bulk);
      // The place goes to a waiting request without becoming free.
      if (next) next.go();
      else this.#running--;
    }
  }

  #turn(priority: "interactive" | "bulk"): Promise<void> {
    const waiting = this.#waiting[priority];
    return new Promise((resolve, reject) => {
      const entry: Waiting = {
        go() {
          clearTimeout(timer);
          waiting.delete(entry);
          resolve();
        },
      };
      const giveUp = (): void => {
        waiting.delete(entry);
        reject(new NoTurn());
      };
      const timer = priority === "bulk" ? undefined : setTimeout(giveUp, this.#turnMs);
      waiting.add(entry);
    });
  }
}

function first<T>(set: ReadonlySet<T>): T | undefined {
  for (const each of set) return each;
  return undefined;
}
