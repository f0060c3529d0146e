import { createKeyedHash, type KeyedHash } from "../../crypto/index.ts";
import type { NewObject } from "../../storage/object-store.ts";
import type { Platform } from "../platform.ts";

/** How long a delivery whose reply may not have been read is remembered. */
const KEEP_MS: number = 60 * 60_000;
/** Deliveries that are remembered at once, and bytes of their notes; beyond it the oldest go. */
const ENTRIES_MAX = 10_000;
const BYTES_MAX: number = 32 * 2 ** 20;

/** A note as it was put, or was to be. */
export interface SealedNote {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The body, where it is neither in the note nor stored already. */
  readonly along: readonly NewObject[];
}

interface Entry {
  readonly note: SealedNote;
  readonly at: number;
  /** The client that waits for the reply; undefined once it went without having read it, or was told to try again. */
  readonly client: Handover | undefined;
}

/**
 * Deliveries whose reply the client has perhaps not read: it will send them again (RFC 1047). One that is found here is
 * put again as the same bytes under the same name, so it stays one mail, also where the store can't refuse a second put.
 * It lasts from the first put until the client's next command shows that it has read the reply: equal mails that both
 * were acknowledged are two mails.
 */
export class Unsettled {
  readonly #monotonic: () => number;
  readonly #key: Uint8Array;
  /** By a keyed hash of message and recipient, oldest first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(platform: Pick<Platform, "monotonic" | "crypto">) {
    this.#monotonic = platform.monotonic;
    this.#key = platform.crypto.random(32);
  }

  /** For a client that hands messages over: one connection. */
  connect(): Handover {
    return new Handover(this);
  }

  /** The hash by which a message is known here, of the account, then of the message's bytes. */
  createFingerprint(): KeyedHash {
    return createKeyedHash(this.#key);
  }

  /** The note of an earlier try whose client is gone, or was told that it failed. */
  find(fingerprint: string): SealedNote | undefined {
    const entry = this.#entries.get(fingerprint);
    if (!entry || entry.client !== undefined || this.#monotonic() - entry.at > KEEP_MS) return undefined;
    return entry.note;
  }

  /** A note is about to be put for `client`. */
  hold(fingerprint: string, note: SealedNote, client: Handover): void {
    this.drop(fingerprint);
    this.#entries.set(fingerprint, { note, at: this.#monotonic(), client });
    this.#bytes += bytesOf(note);
    client.held.add(fingerprint);
    for (const [oldest, { at }] of this.#entries) {
      const isFull = this.#entries.size > ENTRIES_MAX || this.#bytes > BYTES_MAX;
      if (!isFull && this.#monotonic() - at <= KEEP_MS) break;
      this.drop(oldest);
    }
  }

  /** Forgets a note that was surely not stored, or whose client has read the reply. */
  drop(fingerprint: string, client?: Handover): void {
    const entry = this.#entries.get(fingerprint);
    if (!entry || (client && entry.client !== client)) return;
    this.#entries.delete(fingerprint);
    this.#bytes -= bytesOf(entry.note);
  }

  /** Its client was told to try again, or went. */
  doubt(fingerprint: string, client: Handover): void {
    const entry = this.#entries.get(fingerprint);
    if (entry?.client === client) this.#entries.set(fingerprint, { ...entry, client: undefined });
  }
}

function bytesOf({ bytes, along }: SealedNote): number {
  return along.reduce((sum, { content }) => sum + content.length, bytes.length);
}

/** Messages that one client has handed over since it was last heard of. */
export class Handover {
  readonly held: Set<string> = new Set();
  readonly #unsettled: Unsettled;

  constructor(unsettled: Unsettled) {
    this.#unsettled = unsettled;
  }

  /** The client goes on: it has read all replies. */
  settle(): void {
    for (const fingerprint of this.held) this.#unsettled.drop(fingerprint, this);
    this.held.clear();
  }

  /** The client is gone. */
  abandon(): void {
    for (const fingerprint of this.held) this.#unsettled.doubt(fingerprint, this);
    this.held.clear();
  }
}
