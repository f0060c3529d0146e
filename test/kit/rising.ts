/** Values by when they were told; answers what the highest was that had been told before a time. */
export class Rising {
  readonly #times: number[] = [];
  readonly #highest: number[] = [];

  constructor(told: readonly { readonly at: number; readonly value: number }[]) {
    let highest = 0;
    for (const { at, value } of told.toSorted((a, b) => a.at - b.at)) {
      highest = Math.max(highest, value);
      this.#times.push(at);
      this.#highest.push(highest);
    }
  }

  /** 0 if nothing had been told. */
  highestBefore(time: number): number {
    let [low, high] = [0, this.#times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#times[middle]! < time) low = middle + 1;
      else high = middle;
    }
    return this.#highest[low - 1] ?? 0;
  }
}
