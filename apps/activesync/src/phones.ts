import type { KnownFolder } from "./folders/state.ts";
import type { SyncRequest } from "./sync/request.ts";

/** Phones that are remembered by one process: what is forgotten they say again. */
const PHONES_MAX = 20_000;
/** Searches of a phone whose later pages it may ask for. */
const SEARCHES_MAX = 8;
/** Pings of a phone that were answered with changes, and no Sync followed: from then on the next is held back, in
 * milliseconds, twice as long each time. */
const IDLE_PINGS_MAX = 2;
const HOLD_BACK_MS = 2_000;
const HOLD_BACK_MS_MAX = 60_000;

/** Folders and time of a Ping, which a phone need not repeat: MS-ASCMD §2.2.1.13. */
export interface PingRequest {
  readonly seconds: number | undefined;
  readonly folders: readonly string[];
}

const ignore = (): void => undefined;

/** Work that is done one after the other. */
class Lane {
  #last: Promise<unknown> = Promise.resolve();

  async pass<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const mine = (async () => {
      await before;
      return work();
    })();
    // The result, an answer of megabytes or a body, is not kept until the next work.
    this.#last = mine.then(ignore, ignore);
    return mine;
  }
}

/** One phone of one account, as this process knows it: nothing of it has to last. */
export class Phone {
  /** The last whole Sync: an empty one runs it again, by the keys that it came to. */
  lastSync: SyncRequest | undefined;
  lastPing: PingRequest | undefined;
  /** By folder, the key that was told last, where nothing else is stored but the one before it. */
  readonly keys: Map<string, string> = new Map();
  /** The folders that it was told last. */
  folders: { readonly key: string; readonly folders: readonly KnownFolder[] } | undefined;
  #endWait: (() => void) | undefined;
  readonly #commands = new Lane();
  readonly #bodies = new Lane();
  #idlePings = 0;
  readonly #searches = new Set<string>();

  /** One command at a time: what another brings meanwhile waits. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#commands.pass(work);
  }

  /** One large body at a time, beside the commands: one that comes slowly, or no more, holds up nothing but others like it. */
  async receiving<T>(work: () => Promise<T>): Promise<T> {
    return this.#bodies.pass(work);
  }

  /** A new request ends the wait of an old one. */
  endWait(): void {
    this.#endWait?.();
    this.#endWait = undefined;
  }

  /** `end` is called when the next request comes. Returns what says that the wait is over. */
  begunWait(end: () => void): () => void {
    this.endWait();
    this.#endWait = end;
    return () => {
      if (this.#endWait === end) this.#endWait = undefined;
    };
  }

  /** True for a page that may be asked for: the first, or a later one of a search whose first page was asked for. */
  searches(id: string, start: number): boolean {
    if (start > 0) return this.#searches.has(id);
    this.#searches.delete(id);
    this.#searches.add(id);
    for (const oldest of this.#searches) {
      if (this.#searches.size <= SEARCHES_MAX) break;
      this.#searches.delete(oldest);
    }
    return true;
  }

  /** The phone has synchronized: a Ping is answered at once again. */
  synced(): void {
    this.#idlePings = 0;
  }

  /** Milliseconds for which a Ping that tells of changes is held back. */
  pinged(): number {
    const more = this.#idlePings++ - IDLE_PINGS_MAX;
    return more < 0 ? 0 : Math.min(HOLD_BACK_MS_MAX, HOLD_BACK_MS * 2 ** Math.min(more, 10));
  }
}

/** All of them, the last used last. */
export class Phones {
  readonly #phones = new Map<string, Phone>();

  of(account: string, device: string): Phone {
    const name = `${account}/${device}`;
    const phone = this.#phones.get(name) ?? new Phone();
    this.#phones.delete(name);
    this.#phones.set(name, phone);
    for (const oldest of this.#phones.keys()) {
      if (this.#phones.size <= PHONES_MAX) break;
      this.#phones.delete(oldest);
    }
    return phone;
  }

  /** The server stops: who waits is answered. */
  endAll(): void {
    for (const phone of this.#phones.values()) phone.endWait();
  }
}
