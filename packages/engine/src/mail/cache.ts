/** Keeps what was read last, at most `most` values; who asks for one that is being read waits for the same. */
export class Cache<K, V> {
  readonly #most: number;
  readonly #values = new Map<K, Promise<V>>();

  constructor(most: number) {
    this.#most = most;
  }

  /** What is kept, or being read, under `key`. */
  peek(key: K): Promise<V> | undefined {
    return this.#values.get(key);
  }

  get(key: K, read: () => Promise<V>): Promise<V> {
    const known = this.#values.get(key);
    if (known !== undefined) {
      // To the end: the first in the map is the one that was not used for longest.
      this.#values.delete(key);
      this.#values.set(key, known);
      return known;
    }
    const value = read();
    this.#values.set(key, value);
    // A failure is told to who asked; the next one asks again.
    value.catch(() => this.#values.delete(key));
    if (this.#values.size > this.#most) this.#values.delete(this.#values.keys().next().value!);
    return value;
  }
}
