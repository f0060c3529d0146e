/** One long scan at a time: what reads headers and bodies of a whole mailbox waits for the one before it, so that an account
 * needs no more memory, and takes no more turns, for many searches than for one. */
export class Scans {
  readonly #waiting: (() => void)[] = [];
  #isRunning = false;

  /** Resolves when nobody else scans, with what ends this scan (again is no error). Rejects with the signal's reason when it
   * is aborted before. */
  async begin(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#isRunning) await this.#turn(signal);
    this.#isRunning = true;
    let isEnded = false;
    return () => {
      if (isEnded) return;
      isEnded = true;
      // A scan that ends hands its place on.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#isRunning = false;
    };
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(come), 1);
        reject(signal!.reason as Error);
      };
      const come = (): void => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      this.#waiting.push(come);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }
}
