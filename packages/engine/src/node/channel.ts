/** Values that one side hands over and the other waits for, in order. */
export class Channel<T> {
  readonly #waiting: T[] = [];
  #take: ((value: T) => void) | undefined;

  put(value: T): void {
    const take = this.#take;
    this.#take = undefined;
    if (take) take(value);
    else this.#waiting.push(value);
  }

  /** The next value. One waits at a time. */
  take(): Promise<T> {
    const value = this.#waiting.shift();
    if (value !== undefined) return Promise.resolve(value);
    return new Promise((resolve) => {
      this.#take = resolve;
    });
  }
}
