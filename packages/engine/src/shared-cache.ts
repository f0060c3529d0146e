/**
 * A cache of the values read last, within so many bytes that all caches of one room share: the value that was used longest
 * ago goes first, whichever account's it is. So one account's long listing finds its pages again, and a thousand accounts
 * cost no more.
 */
export class CacheRoom {
  readonly #bytesMax: number;
  /** In order of use: the first was not used for longest. */
  readonly #kept = new Set<Kept>();
  /** The last in that order. */
  #newest: Kept | undefined;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(kept: Kept): void {
    this.#kept.add(kept);
    this.#newest = kept;
    this.#bytes += kept.bytes;
    for (const oldest of this.#kept) {
      if (this.#bytes <= this.#bytesMax) return;
      oldest.drop();
      this.remove(oldest);
    }
  }

  use(kept: Kept): void {
    // A listing asks for the same page many times in a row.
    if (kept === this.#newest) return;
    this.#newest = kept;
    this.#kept.delete(kept);
    this.#kept.add(kept);
  }

  remove(kept: Kept): void {
    if (this.#kept.delete(kept)) this.#bytes -= kept.bytes;
    if (kept === this.#newest) this.#newest = undefined;
  }
}

interface Kept {
  readonly bytes: number;
  readonly drop: () => void;
}

/** A value and about how many bytes it holds. */
export interface Weighed<V> {
  readonly value: V;
  readonly bytes: number;
  /** Zeroes what it holds: called when the account is closed, since somebody may still read what was only let go of. */
  readonly wipe?: () => void;
}

/** Bytes of pages, log entries and the like that a process keeps open for all its accounts: a listing of 20,000
 * messages. */
const OPEN_BYTES_MAX: number = 64 * 2 ** 20;
const processRoom = new CacheRoom(OPEN_BYTES_MAX);

/** One account's cached values of one kind, plain text of which none outlasts the account; or a store's copies of its sealed
 * objects. */
export class SharedCache<K, V> {
  readonly #room: CacheRoom;
  readonly #values = new Map<K, Kept & Weighed<V>>();
  readonly #underWay = new Map<K, Promise<V>>();
  #disposed = false;

  constructor(room: CacheRoom = processRoom) {
    this.#room = room;
  }

  /** The value under `key`, if it is cached. */
  peek(key: K): V | undefined {
    const kept = this.#values.get(key);
    if (!kept) return undefined;
    this.#room.use(kept);
    return kept.value;
  }

  /** The value under `key`. Several that ask while it is read wait for the same reading. A failure rejects for all of them;
   * the next call reads again. */
  get(key: K, read: () => Promise<Weighed<V>>): Promise<V> {
    const known = this.#underWay.get(key);
    if (known !== undefined) return known;
    const kept = this.peek(key);
    if (kept !== undefined) return Promise.resolve(kept);
    const reading = this.#read(key, read).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, reading);
    return reading;
  }

  async #read(key: K, read: () => Promise<Weighed<V>>): Promise<V> {
    const weighed = await read();
    this.keep(key, weighed);
    return weighed.value;
  }

  keep(key: K, weighed: Weighed<V>): void {
    if (this.#disposed) return;
    this.forget(key);
    const kept = { ...weighed, drop: () => this.#values.delete(key) };
    this.#values.set(key, kept);
    this.#room.add(kept);
  }

  forget(key: K): void {
    const kept = this.#values.get(key);
    if (!kept) return;
    this.#room.remove(kept);
    this.#values.delete(key);
  }

  /** Forgets all, and wipes it; a value that is still being read is given to its callers, and kept no more. */
  dispose(): void {
    this.#disposed = true;
    for (const [key, { wipe }] of this.#values) {
      wipe?.();
      this.forget(key);
    }
  }
}
