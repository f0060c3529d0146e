import { EngineError } from "../errors.ts";

/** Long work in steps: all who share a thread share its turns, so whoever has the thread hands them in. */
export interface Pace {
  /** Whether it is time for the others: `take` would wait. */
  readonly isOver: () => boolean;
  /** Resolves at once, or when the others have had their turn. */
  readonly take: () => Promise<void>;
}

/** For who shares the thread with nobody. */
export const ALONE: Pace = { isOver: () => false, take: () => Promise.resolve() };

/** A pace that ends once nobody waits for the work any more: throws what `signal` was aborted with. */
export function endedBy(pace: Pace, signal: AbortSignal | undefined): Pace {
  if (!signal) return pace;
  return {
    isOver: () => signal.aborted || pace.isOver(),
    async take() {
      await pace.take();
      if (signal.aborted) throw signal.reason ?? new EngineError("unavailable", "nobody waits any more");
    },
  };
}
