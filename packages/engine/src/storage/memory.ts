import { collect } from "../streams.ts";
import { checkName, logNumber } from "./names.ts";
import {
  type Got,
  type Listed,
  type NewObject,
  type ObjectStore,
  type Put,
  type PutIfAbsent,
  type Ring,
  StoreError,
  type StoreOptions,
} from "./object-store.ts";

/**
 * A store of maps, for tests: a place that any number of stores (processes) share, with switches for the faults that
 * real stores show. A fault is armed for the next matching request, or decided anew for each by a hook.
 */
export interface Stored {
  readonly bytes: Uint8Array;
  readonly created: number;
}

export type Operation = "put" | "putIfAbsent" | "get" | "list" | "delete";

/** A fault that a request meets instead of its usual course. */
export type Fault =
  /** Not done, and said so. */
  | { readonly kind: "unavailable" }
  /** Done, and the answer is lost. */
  | { readonly kind: "lost-answer" }
  /** Not done yet: the answer is lost, and it is done when `release` is called. */
  | { readonly kind: "late"; readonly release: (run: () => void) => void }
  | { readonly kind: "full" }
  /** The answer never comes: the process is as good as dead. */
  | { readonly kind: "hang" };

export class MemoryPlace {
  readonly objects: Map<string, Stored> = new Map();
  readonly floors: Map<string, number> = new Map();
  /** True where a deleted log name refuses a create: the embedded store's does, a bucket's doesn't. */
  readonly hasFloors: boolean;
  /** Requests so far, by kind: what budgets are counted by. */
  readonly counts: Record<Operation, number> = { put: 0, putIfAbsent: 0, get: 0, list: 0, delete: 0 };
  /** The store's clock, milliseconds since 1970. */
  now: () => number;
  /** Asked before each request; undefined lets it go its way. */
  fault: (operation: Operation, name: string) => Fault | undefined = () => undefined;
  readonly #watchers = new Set<{ readonly prefix: string; readonly ring: Ring }>();

  constructor(now: () => number = () => 0, hasFloors = true) {
    this.now = now;
    this.hasFloors = hasFloors;
  }

  open(): ObjectStore {
    return new MemoryStore(this);
  }

  /** The place's present objects; {@link rollback} brings them back. */
  snapshot(): ReadonlyMap<string, Stored> {
    return new Map(this.objects);
  }

  rollback(snapshot: ReadonlyMap<string, Stored>): void {
    this.objects.clear();
    for (const [name, stored] of snapshot) this.objects.set(name, stored);
  }

  write(name: string, bytes: Uint8Array): void {
    this.objects.set(name, { bytes, created: this.now() });
    for (const { prefix, ring } of this.#watchers) if (name.startsWith(prefix)) queueMicrotask(() => ring(name));
  }

  watch(prefix: string, ring: Ring): () => void {
    const watcher = { prefix, ring };
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

class MemoryStore implements ObjectStore {
  readonly #place: MemoryPlace;
  #closed = false;

  constructor(place: MemoryPlace) {
    this.#place = place;
  }

  async put(
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    { along = [] }: StoreOptions = {},
  ): Promise<Put> {
    checkName(name);
    const bytes = await collect(content);
    await this.#putAll(along);
    await this.#request("put", name, () => this.#place.write(name, bytes));
    return { now: this.#place.now() };
  }

  async putIfAbsent(name: string, content: Uint8Array, { along = [] }: StoreOptions = {}): Promise<PutIfAbsent> {
    checkName(name);
    const bytes = content.slice();
    await this.#putAll(along);
    const outcome = await this.#request("putIfAbsent", name, () => {
      const log = logNumber(name);
      const belowFloor = log !== undefined && log.number <= (this.#place.floors.get(log.prefix) ?? -1);
      if (belowFloor || this.#place.objects.has(name)) return "exists" as const;
      this.#place.write(name, bytes);
      return "stored" as const;
    });
    return { outcome, now: this.#place.now() };
  }

  async #putAll(objects: readonly NewObject[]): Promise<void> {
    await Promise.all(objects.map(({ name, content }) => this.put(name, content)));
  }

  async get(name: string, range?: { readonly start: number; readonly end: number }): Promise<Got> {
    checkName(name);
    if (range && !(range.start >= 0 && range.start <= range.end)) throw new StoreError("invalid", "invalid range");
    return this.#request("get", name, () => {
      const stored = this.#place.objects.get(name);
      const now = this.#place.now();
      if (!stored) return { found: false, now };
      const bytes = range ? stored.bytes.slice(range.start, range.end) : stored.bytes.slice();
      return { found: true, bytes, size: stored.bytes.length, created: stored.created, now };
    });
  }

  async list(prefix: string, { after = "", limit = Number.POSITIVE_INFINITY } = {}): Promise<Listed> {
    return this.#request("list", prefix, () => {
      const names = [...this.#place.objects.keys()].filter((name) => name.startsWith(prefix) && name > after).sort();
      const objects = names.slice(0, limit).map((name) => {
        const { bytes, created } = this.#place.objects.get(name)!;
        return { name, size: bytes.length, created };
      });
      return { objects, now: this.#place.now() };
    });
  }

  async delete(names: readonly string[]): Promise<{ readonly now: number }> {
    for (const name of names) checkName(name);
    return this.#request("delete", names[0] ?? "", () => {
      for (const name of names) {
        this.#place.objects.delete(name);
        const log = logNumber(name);
        if (log && this.#place.hasFloors)
          this.#place.floors.set(log.prefix, Math.max(log.number, this.#place.floors.get(log.prefix) ?? -1));
      }
      return { now: this.#place.now() };
    });
  }

  watch(prefix: string, ring: Ring): () => void {
    return this.#place.watch(prefix, ring);
  }

  async dispose(): Promise<void> {
    this.#closed = true;
  }

  async #request<T>(operation: Operation, name: string, run: () => T): Promise<T> {
    if (this.#closed) throw new StoreError("closed", "store is closed");
    this.#place.counts[operation]++;
    const fault = this.#place.fault(operation, name);
    await Promise.resolve();
    switch (fault?.kind) {
      case undefined:
        return run();
      case "unavailable":
        throw new StoreError("unavailable", "store is away");
      case "full":
        throw new StoreError("full", "store is full");
      case "lost-answer":
        run();
        throw new StoreError("unknown", "answer was lost");
      case "late":
        fault.release(run);
        throw new StoreError("unknown", "answer was lost");
      case "hang":
        return new Promise(() => undefined);
    }
  }
}
