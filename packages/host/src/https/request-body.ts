import type { Readable } from "node:stream";
import type { Deadline, Deadlines } from "./deadlines.ts";
import { BODY_BYTES_PER_SECOND_MIN, BODY_GRACE_MS } from "./limits.ts";
import { Problem } from "./problem.ts";

/** Events after which there may be something to read. */
const NEWS = ["readable", "end", "close", "error"] as const;

export interface BodySource {
  readonly source: Readable;
  /** Asked at its end, with the octets that have come: HTTP/2 ends a body that was cut off as it ends a whole one. */
  readonly isWhole: (received: number) => Promise<boolean>;
  /** Its length as its sender says, if they do. */
  readonly announced: number | undefined;
  readonly bytesMax: number;
}

/**
 * A request's body. Its sender has so much time in all, and more for what has come: so a slow line is told from somebody who
 * holds us up. Time in which nobody asks for more of it does not count.
 */
export class RequestBody {
  readonly #from: BodySource;
  readonly #deadlines: Deadlines;
  readonly #deadline: Deadline;
  #isTaken = false;
  #wake: () => void = ignore;
  #failure: Error | undefined;

  constructor(from: BodySource, deadlines: Deadlines, deadline: Deadline) {
    this.#from = from;
    this.#deadlines = deadlines;
    this.#deadline = deadline;
  }

  /** True while a reader waits for more of the body. */
  get isAwaited(): boolean {
    return this.#wake !== ignore;
  }

  /** Its sender is too slow: whoever waits for it is told. */
  fail(error: Error): void {
    this.#failure = error;
    this.#wake();
  }

  /** Throws Problem 413 or 408, or 400 where the connection ends within it. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    if (this.#isTaken) throw new Error("a request's body is read twice");
    this.#isTaken = true;
    const { source, isWhole, announced = 0, bytesMax } = this.#from;
    if (announced > bytesMax) throw tooLarge(bytesMax);
    const tell = (): void => this.#wake();
    for (const event of NEWS) source.on(event, tell);
    try {
      let received = 0;
      let waitedMs = 0;
      for (;;) {
        const chunk = source.read() as Buffer | null;
        if (chunk) {
          received += chunk.length;
          if (received > bytesMax) throw tooLarge(bytesMax);
          yield chunk;
        } else if (source.readableEnded || source.destroyed) {
          if (await isWhole(received)) return;
          throw new Problem(400, "The connection ended within the body");
        } else waitedMs += await this.#wait(BODY_GRACE_MS + (received / BODY_BYTES_PER_SECOND_MIN) * 1000 - waitedMs);
      }
    } finally {
      // The listener of errors stays: one may still come.
      for (const event of NEWS) if (event !== "error") source.off(event, tell);
    }
  }

  /** Resolves with the milliseconds it took until there were news. */
  async #wait(limitMs: number): Promise<number> {
    const begun = this.#deadlines.now;
    this.#deadline.expect(limitMs);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = ignore;
    this.#deadline.expect();
    if (this.#failure) throw this.#failure;
    return this.#deadlines.now - begun;
  }
}

function tooLarge(bytesMax: number): Problem {
  const detail = bytesMax === 0 ? "No body is taken here" : `At most ${bytesMax} octets are taken here`;
  return new Problem(413, detail, { jmap: "limit", limit: "maxSizeRequest" });
}

function ignore(): void {}
