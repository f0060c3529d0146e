import { TimedOut } from "./failures.ts";
import type { S3Limits } from "./settings.ts";

/**
 * The time that one attempt of a request may take. A store may hold a request for minutes (Garage: 300 s), stall in the
 * midst of an answer, or send a byte now and then: its answer must begin in time, go on in time, and come at a least rate.
 */
export class TimeLimit implements Disposable {
  readonly #limits: S3Limits;
  readonly #controller = new AbortController();
  /** On the monotonic clock; what comes moves it on. */
  #endsAt: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: S3Limits, sentBytes: number) {
    this.#limits = limits;
    const answerMs = limits.answerMs + this.#msFor(sentBytes);
    this.#endsAt = performance.now() + answerMs + limits.bodyIdleMs;
    this.#arm(answerMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The answer has begun (0), or so many bytes of it have come. */
  came(bytes: number): void {
    this.#endsAt += this.#msFor(bytes);
    this.#arm(Math.min(this.#limits.bodyIdleMs, this.#endsAt - performance.now()));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #msFor(bytes: number): number {
    return (bytes / this.#limits.bytesPerSecondMin) * 1000;
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(new TimedOut("no answer in time")), Math.max(0, ms));
  }
}
