import type { MailboxView } from "../mail/mailbox-view.ts";
import type { Condition } from "./condition.ts";
import { Filter, type Reader } from "./filter.ts";
import { ALONE, endedBy, type Pace } from "./pace.ts";
import { Scans } from "./scans.ts";
import { memberships } from "./verdict.ts";

/** Messages that are looked at between two looks at the view: its account may have another state by then. */
const MESSAGES_AT_ONCE = 4096;

export interface QueryOptions {
  readonly pace?: Pace;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal?: AbortSignal | undefined;
}

/** What is asked of an account's mail, for all protocols: how messages are found. One an account. */
export class Query {
  readonly #scans = new Scans();

  /**
   * Positions, ascending, of the view's messages that meet the condition.
   * Throws RangeError if there are too many conditions; what `signal` was aborted with; errors of reading: EngineError
   * `unavailable`, `corrupt`, `expunged`.
   */
  async search(view: MailboxView, condition: Condition, reader: Reader, options: QueryOptions = {}): Promise<number[]> {
    const pace = endedBy(options.pace ?? ALONE, options.signal);
    return this.#reading(async (beforeReading) => {
      const filter = new Filter(condition, { reader, world: memberships, pace, beforeReading });
      const hits: number[] = [];
      for (let from = 0; from < view.length; from += MESSAGES_AT_ONCE)
        for (const run of view.runsIn(from, Math.min(from + MESSAGES_AT_ONCE, view.length)))
          for (const at of await filter.select(run)) hits.push(run.position + at);
      return hits;
    });
  }

  /** Runs `work`, which calls what it is given before it reads headers or bodies: then no other does. */
  async #reading<Result>(work: (beforeReading: () => Promise<void>) => Promise<Result>): Promise<Result> {
    let end: (() => void) | undefined;
    try {
      return await work(async () => {
        end ??= await this.#scans.take();
      });
    } finally {
      end?.();
    }
  }
}
