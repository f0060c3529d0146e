/** Something that is due at a time. */
export interface Due {
  readonly id: string;
  readonly dueMs: number;
}

/** Items by the time at which they are due, of each id one. Setting and taking cost the logarithm of how many there are. */
export class Schedule<Item extends Due> {
  readonly #byId = new Map<string, Item>();
  /** A heap, the earliest first. One that was replaced or taken away stays in it until its turn. */
  readonly #heap: Item[] = [];

  get size(): number {
    return this.#byId.size;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** In place of what had its id. */
  set(item: Item): void {
    this.#byId.set(item.id, item);
    this.#heap.push(item);
    for (let at = this.#heap.length - 1; at > 0; ) {
      const above = (at - 1) >> 1;
      if (this.#heap[above]!.dueMs <= this.#heap[at]!.dueMs) break;
      this.#swap(at, above);
      at = above;
    }
  }

  /** When the next is due; undefined if there is none. */
  get nextMs(): number | undefined {
    while (this.#heap.length > 0 && this.#byId.get(this.#heap[0]!.id) !== this.#heap[0]) this.#dropFirst();
    return this.#heap[0]?.dueMs;
  }

  /** Takes one that is due by now, the earliest; undefined if none is. */
  take(nowMs: number): Item | undefined {
    const next = this.nextMs;
    if (next === undefined || next > nowMs) return undefined;
    const item = this.#heap[0]!;
    this.#byId.delete(item.id);
    this.#dropFirst();
    return item;
  }

  #dropFirst(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    for (let at = 0; ; ) {
      let next = at;
      for (const below of [2 * at + 1, 2 * at + 2])
        if (below < this.#heap.length && this.#heap[below]!.dueMs < this.#heap[next]!.dueMs) next = below;
      if (next === at) return;
      this.#swap(at, next);
      at = next;
    }
  }

  #swap(a: number, b: number): void {
    const item = this.#heap[a]!;
    this.#heap[a] = this.#heap[b]!;
    this.#heap[b] = item;
  }
}
