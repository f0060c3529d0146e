import { hexText } from "../../bay/entry.ts";
import { listObjects } from "../../bay/list-objects.ts";
import { asStoreFailure, eachOrDamage, orDamage } from "../../bay/store-failure.ts";
import {
  hash,
  openObject,
  openRange,
  outboundContext,
  outboundMailContext,
  sealObject,
  sealStream,
} from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { collect, tap } from "../../streams.ts";
import type { Platform } from "../platform.ts";
import type { EndedKeeper } from "./older-history.ts";
import { type Claim, decodeClaim, decodeQueued, encodeClaim, encodeQueued, type QueuedMail } from "./queued.ts";

const QUEUE = "outbound/queue/";
const MAIL = "outbound/mail/";
const CLAIM = "outbound/claim/";
const DONE = "outbound/done/";

/** Octets of a message up to which it lies in the object that names it. */
const INLINE_BYTES_MAX: number = 16 * 1024;
/** Claims of one mail. */
const CLAIM_DIGITS = 6;
/** Mails whose accounts are remembered. */
const ACCOUNTS_MAX = 100_000;
/** How often a mail is put whose answer is lost, and milliseconds between: a minute. */
const PUT_TRIES = 12;
const PUT_AGAIN_MS = 5_000;
/** Milliseconds after which a claim whose holder says no more counts for nothing. */
export const LEASE_MS: number = 15 * 60_000;

/** A place in the queue: its name tells when it is due, so that a list of names is a schedule. */
export interface QueuePlace {
  readonly id: string;
  readonly releaseMs: number;
}

/** A claim as it stands in the store. */
export interface StoredClaim {
  readonly number: number;
  readonly claim: Claim;
  /** Milliseconds since it was written, by the store's own clock. */
  readonly ageMs: number;
}

export interface QueueOptions {
  readonly store: ObjectStore;
  readonly platform: Platform;
  /** The same on all hosts of the store. */
  readonly serverKey: Uint8Array;
  /** Told of mails that end, where that is kept. */
  readonly ended?: EndedKeeper | undefined;
}

/** A mail that is to be queued, and its octets. */
export type NewMail = Omit<QueuedMail, "content" | "size" | "needsEightBit">;

/** A mail that is ready to be queued. */
export interface PreparedMail {
  /** Octets. */
  readonly size: number;
  /** Queues it, durably when it resolves; again is no error. Errors: `unavailable`, `unknown-outcome`, `over-quota`. */
  put(): Promise<void>;
}

/**
 * Mail that waits to be sent, of all accounts of a store. Each step of it is a create that one alone can win: nothing else
 * decides who sends a mail, and whether its owner may still take it back. All of it is sealed under the server key.
 */
export class OutboundQueue {
  readonly #options: QueueOptions;
  /** Mails that are being put: who puts one tells of it. */
  readonly #putting = new Set<string>();
  /** Accounts of mails that were looked for, by name: what has a name never changes. */
  readonly #accounts = new Map<string, Uint8Array>();

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** Queues a mail, durably when it resolves; again is no error, and changes nothing. Resolves with how many octets it has.
   * Errors: those of {@link prepare}; `unknown-outcome`. */
  async put(mail: NewMail, source: AsyncIterable<Uint8Array>): Promise<number> {
    const { size, put } = await this.prepare(mail, source);
    await put();
    return size;
  }

  /** Makes a mail ready to be queued: sealed, and its octets stored if they are many. It waits for nobody before it is put, and
   * octets that nothing names are swept. Errors: `unavailable`, `unknown-outcome`, `over-quota`; what the source throws. */
  async prepare(mail: NewMail, source: AsyncIterable<Uint8Array>): Promise<PreparedMail> {
    const { store, platform, serverKey } = this.#options;
    let needsEightBit = false;
    const looked = tap(source, (piece) => {
      needsEightBit ||= piece.some((octet) => octet > 127);
    });
    const { bytes, rest, size } = await beginning(looked);
    const name = queueName(mail);
    const seal = (queued: QueuedMail): Uint8Array =>
      sealObject(outboundContext(platform.crypto, serverKey, "outbound", name), encodeQueued(queued));
    const ready = (sealed: Uint8Array, octets: number): PreparedMail => ({
      size: octets,
      put: () => this.#put(mail.id, name, sealed),
    });
    if (rest === undefined)
      return ready(seal({ ...mail, needsEightBit, size: bytes.length, content: { in: "here", bytes } }), bytes.length);
    const key = platform.crypto.random(32);
    const sealed = sealStream(outboundMailContext(platform.crypto, key, mail.id), rest);
    // Two tries have two keys: which of them counts is told by the object that names it.
    await asStoreFailure(store.put(mailName(mail.id, key), sealed));
    return ready(seal({ ...mail, needsEightBit, size: size(), content: { in: "object", key } }), size());
  }

  async #put(id: string, name: string, sealed: Uint8Array): Promise<void> {
    const { store, platform } = this.#options;
    this.#putting.add(id);
    try {
      for (let tries = 1; ; tries++)
        try {
          await asStoreFailure(store.putIfAbsent(name, sealed));
          return;
        } catch (error) {
          // A lost answer is no refusal: its client would submit the mail again.
          const isLost = error instanceof EngineError && error.code === "unknown-outcome";
          if (!isLost || tries === PUT_TRIES) throw error;
          await platform.delay(PUT_AGAIN_MS);
        }
    } finally {
      this.#putting.delete(id);
    }
  }

  /** All that waits, by when it is due. Errors: `unavailable`. */
  async *list(): AsyncGenerator<QueuePlace> {
    for await (const { name } of listObjects(this.#options.store, QUEUE)) {
      const place = readPlace(name);
      if (place) yield place;
    }
  }

  /** Tells of each mail that is queued by others, where the store knows; again and again is possible. */
  watch(tell: (place: QueuePlace | undefined) => void): () => void {
    return this.#options.store.watch(QUEUE, (name) => {
      const place = name === undefined ? undefined : readPlace(name);
      if (!place || !this.#putting.has(place.id)) tell(place);
    });
  }

  /** A mail, and how long ago it was queued; undefined if it waits no more. Errors: `unavailable`, `corrupt`. */
  async open(place: QueuePlace): Promise<{ readonly mail: QueuedMail; readonly ageMs: number } | undefined> {
    const { store, platform, serverKey } = this.#options;
    const name = queueName(place);
    const got = await asStoreFailure(store.get(name));
    if (!got.found) return undefined;
    const context = outboundContext(platform.crypto, serverKey, "outbound", name);
    const plain = orDamage(() => openObject(context, got.bytes));
    try {
      return { mail: decodeQueued(place.id, plain), ageMs: got.now - got.created };
    } catch (cause) {
      throw new EngineError("corrupt", "a mail that waits to be sent can't be read", { cause });
    }
  }

  /** The account of a mail, in hex; undefined if it waits no more. Each mail is opened once, so that whoever looks for many accounts'
   * mail does not read all of it for each. Errors: `unavailable`, `corrupt`. */
  async accountOf(place: QueuePlace): Promise<string | undefined> {
    const name = queueName(place);
    const known = this.#accounts.get(name) ?? (await this.open(place))?.mail.account;
    if (!known) return undefined;
    if (this.#accounts.size < ACCOUNTS_MAX) this.#accounts.set(name, known);
    return hexText(known);
  }

  /** The octets of a mail. Throws EngineError `corrupt`, `unavailable`, perhaps after good ones. */
  read({ id, content, size }: QueuedMail): AsyncIterable<Uint8Array> {
    const { store, platform } = this.#options;
    if (content.in === "here") return once(content.bytes);
    const name = mailName(id, content.key);
    const read = async (start: number, end: number): Promise<Uint8Array> => {
      const got = await asStoreFailure(store.get(name, { start, end }));
      if (!got.found) throw new EngineError("corrupt", "a mail that waits to be sent is gone");
      return got.bytes;
    };
    return eachOrDamage(openRange(outboundMailContext(platform.crypto, content.key, id), read, 0, size));
  }

  /** The last claim of a mail; undefined if nobody claimed it yet. Errors: `unavailable`, `corrupt`. */
  async lastClaim(id: string): Promise<StoredClaim | undefined> {
    const { store, platform, serverKey } = this.#options;
    let last: string | undefined;
    for await (const { name } of listObjects(store, `${CLAIM}${id}.`)) last = name;
    if (last === undefined) return undefined;
    const got = await asStoreFailure(store.get(last));
    // The claim went with its mail.
    if (!got.found) return undefined;
    const context = outboundContext(platform.crypto, serverKey, "claim", last);
    const plain = orDamage(() => openObject(context, got.bytes));
    try {
      return { number: claimNumber(last), claim: decodeClaim(plain), ageMs: got.now - got.created };
    } catch (cause) {
      throw new EngineError("corrupt", "a claim can't be read", { cause });
    }
  }

  /** Resolves with whether the claim of this number is ours: of all who try one wins. Errors: `unavailable`,
   * `unknown-outcome`. */
  async claim(id: string, number: number, claim: Claim): Promise<boolean> {
    const name = claimName(id, number);
    // Room is freed by a claim that takes a mail away.
    const essential = claim.state === "canceled" || claim.state === "moved";
    const { store } = this.#options;
    const { outcome } = await asStoreFailure(store.putIfAbsent(name, this.#sealClaim(name, claim), { essential }));
    return outcome === "stored";
  }

  /** Writes the holder's claim anew, with the results so far. Its holder alone may do so. Errors: `unavailable`,
   * `unknown-outcome`. */
  async keep(id: string, number: number, claim: Claim): Promise<void> {
    const name = claimName(id, number);
    // Results are kept on a full disk too: else the mail goes again when the claim counts no more.
    await asStoreFailure(this.#options.store.put(name, this.#sealClaim(name, claim), { essential: true }));
  }

  #sealClaim(name: string, claim: Claim): Uint8Array {
    const { platform, serverKey } = this.#options;
    return sealObject(outboundContext(platform.crypto, serverKey, "claim", name), encodeClaim(claim));
  }

  /** Takes a mail back: with the next claim, while no recipient was accepted. Resolves with `too-late` where somebody has it in
   * hand or it has gone, in part or wholly. Errors: `unavailable`, `unknown-outcome`. */
  async cancel(id: string): Promise<"canceled" | "too-late"> {
    for (;;) {
      const ended = await this.#ended(id);
      if (ended) return ended === "canceled" ? "canceled" : "too-late";
      const last = await this.lastClaim(id);
      if (last?.claim.state === "canceled") return "canceled";
      const isAway = last?.claim.state === "sending" || last?.claim.state === "moved";
      const isGoing = isAway || last?.claim.recipients.some(({ state }) => state === "sent");
      if (isGoing) return "too-late";
      const claim: Claim = { ...this.#claimUpon(last, "canceled"), dueMs: 0 };
      // Claims go with their mail: one that was won may come after the end, of which is known by then.
      if (await this.claim(id, (last?.number ?? 0) + 1, claim))
        return ((await this.#ended(id)) ?? "canceled") === "canceled" ? "canceled" : "too-late";
    }
  }

  /** A claim of nobody who sends: of recipients it says what the last one said. */
  #claimUpon(last: StoredClaim | undefined, state: Claim["state"]): Claim {
    return { ...(last?.claim ?? UNCLAIMED), holder: hexText(this.#options.platform.crypto.random(16)), state };
  }

  /** Takes a mail out of the hands of all senders, some of whose recipients may have it: nobody sends it here any more. Resolves
   * with that claim, with `busy` where somebody is at it just now, and with `over` where it has ended. Again is no error.
   * Errors: `unavailable`, `unknown-outcome`, `corrupt`. */
  async seize(id: string, state: "canceled" | "moved"): Promise<StoredClaim | "busy" | "over"> {
    for (;;) {
      if (await this.#ended(id)) return "over";
      const last = await this.lastClaim(id);
      if (last?.claim.state === "canceled" || last?.claim.state === state) return last;
      if (last?.claim.state === "sending" && last.ageMs < LEASE_MS) return "busy";
      const claim = this.#claimUpon(last, state);
      const number = (last?.number ?? 0) + 1;
      if (!(await this.claim(id, number, claim))) continue;
      // Claims go with their mail: one that was won may come after the end.
      return (await this.#ended(id)) ? "over" : { number, claim, ageMs: 0 };
    }
  }

  /** True for a mail that has ended, or that {@link bar} told of: nobody here sends it. Errors: `unavailable`. */
  async isDone(id: string): Promise<boolean> {
    return (await this.#ended(id)) !== undefined;
  }

  async #ended(id: string): Promise<Ending | undefined> {
    const got = await asStoreFailure(this.#options.store.get(DONE + id, { start: 0, end: 1 }));
    if (!got.found) return undefined;
    switch (got.bytes[0]) {
      case DONE_OCTETS.canceled:
        return "canceled";
      case DONE_OCTETS.elsewhere:
        return "elsewhere";
      default:
        return "sent";
    }
  }

  /** Another store's sender has a mail in hand: nobody begins it here, and nobody takes it back. Errors: `unavailable`. */
  async bar(id: string): Promise<void> {
    const octets = Uint8Array.of(DONE_OCTETS.elsewhere);
    await asStoreFailure(this.#options.store.putIfAbsent(DONE + id, octets, { essential: true }));
  }

  /** Takes {@link bar} back, and that a mail went to another store; again is no error. Errors: `unavailable`. */
  async unbar(id: string): Promise<void> {
    if ((await this.#ended(id)) === "elsewhere")
      await asStoreFailure(this.#options.store.delete([DONE + id], { essential: true }));
  }

  /** True if both are one queue, by whatever ways their store is reached. Errors: `unavailable`. */
  async isIn(other: OutboundQueue): Promise<boolean> {
    const { store, platform } = this.#options;
    const mark = DONE + hexText(platform.crypto.random(16));
    await asStoreFailure(store.put(mark, Uint8Array.of(DONE_OCTETS.elsewhere), { essential: true }));
    try {
      return (await asStoreFailure(other.#options.store.get(mark, { start: 0, end: 1 }))).found;
    } finally {
      await asStoreFailure(store.delete([mark], { essential: true }));
    }
  }

  /** True for a mail that is queued. Errors: `unavailable`. */
  async has(place: QueuePlace): Promise<boolean> {
    const { found } = await asStoreFailure(this.#options.store.get(queueName(place), { start: 0, end: 1 }));
    return found;
  }

  /** A mail has ended, and whoever it concerns was told. First that it has is written; then it goes. `known`: who has read it need
   * not ask for the names of its objects. Errors: `unavailable`. */
  async end(
    place: QueuePlace,
    ending: Ending,
    known?: { readonly claims: number; readonly content: QueuedMail["content"] },
  ): Promise<void> {
    const { store } = this.#options;
    const octets = Uint8Array.of(DONE_OCTETS[ending]);
    await asStoreFailure(store.putIfAbsent(DONE + place.id, octets, { essential: true }));
    await this.drop(place, known);
    // One that went to another store may come back.
    if (ending !== "elsewhere") this.#note(place.id);
  }

  #note(id: string): void {
    try {
      this.#options.ended?.note(id);
    } catch (error) {
      this.#options.platform.log({ level: "warn", event: "witness can't be kept", error });
    }
  }

  /** Takes a mail away of which nothing is said: nobody was told. `known`: as for {@link end}. Errors: `unavailable`. */
  async drop(place: QueuePlace, known?: Parameters<OutboundQueue["end"]>[2]): Promise<void> {
    const { store } = this.#options;
    const names = [queueName(place)];
    // Several tries of one put have left several objects.
    if (known?.content.in !== "here")
      for await (const { name } of listObjects(store, MAIL + place.id)) names.push(name);
    if (known) for (let number = 1; number <= known.claims; number++) names.push(claimName(place.id, number));
    else for await (const { name } of listObjects(store, `${CLAIM}${place.id}.`)) names.push(name);
    await asStoreFailure(store.delete(names, { essential: true }));
  }

  /** Forgets which mails have ended, and what killed processes left of those that never were queued: after a week. `waiting`: ids of
   * all that are queued, listed a moment ago: of one that ended and was queued by a slow process again its end is known longer, so
   * that nobody sends it when it is due. Errors: `unavailable`. */
  async sweep(waiting: ReadonlySet<string>): Promise<void> {
    const { store } = this.#options;
    const old: string[] = [];
    for (const folder of [DONE, MAIL, CLAIM])
      for await (const { name, created, now } of listObjects(store, folder)) {
        const id = name.slice(folder.length, folder.length + ID_CHARS);
        const keptMs = !waiting.has(id) ? KEPT_MS : folder === DONE ? ID_FREE_MS : Number.POSITIVE_INFINITY;
        if (now - created >= keptMs) old.push(name);
      }
    for (let at = 0; at < old.length; at += SWEPT_AT_ONCE)
      await asStoreFailure(store.delete(old.slice(at, at + SWEPT_AT_ONCE), { priority: "bulk", essential: true }));
  }
}

/** The state of a mail that nobody ever claimed: nothing is known of its recipients. */
const UNCLAIMED: Omit<Claim, "holder" | "state"> = { dueMs: 0, tries: 0, isDelayTold: false, recipients: [] };

const DONE_OCTETS = { sent: 1, canceled: 2, elsewhere: 3 } as const;
/** How a mail ended: `sent` for whatever came of the sending, `elsewhere` where it went to another store. */
export type Ending = keyof typeof DONE_OCTETS;
/** How long it is known that a mail has ended: a week. */
export const KEPT_MS: number = 7 * 24 * 60 * 60_000;
/** A mail is held no longer, and no id comes again before. */
const ID_FREE_MS: number = 30 * 24 * 60 * 60_000;
const SWEPT_AT_ONCE = 500;
const ID_CHARS = 32;

function queueName({ id, releaseMs }: QueuePlace): string {
  return `${QUEUE}${Math.max(0, Math.floor(releaseMs)).toString(16).padStart(12, "0")}${id}`;
}

function readPlace(name: string): QueuePlace | undefined {
  const [, releaseMs, id] = /^outbound\/queue\/([0-9a-f]{12})([0-9a-f]{32})$/.exec(name) ?? [];
  return id === undefined ? undefined : { id, releaseMs: Number.parseInt(releaseMs!, 16) };
}

/** The mail whose object has this name, and whether it is its place in the queue; undefined for an object of none that waits. */
export function partOfMail(name: string): { readonly id: string; readonly isPlace: boolean } | undefined {
  const place = readPlace(name);
  if (place) return { id: place.id, isPlace: true };
  const [, id] = /^outbound\/(?:claim|mail)\/([0-9a-f]{32})\./.exec(name) ?? [];
  return id === undefined ? undefined : { id, isPlace: false };
}

function mailName(id: string, key: Uint8Array): string {
  // One try's among others.
  return `${MAIL}${id}.${hexText(hash(key).subarray(0, 8))}`;
}

function claimName(id: string, number: number): string {
  return `${CLAIM}${id}.${String(number).padStart(CLAIM_DIGITS, "0")}`;
}

function claimNumber(name: string): number {
  return Number(name.slice(name.lastIndexOf(".") + 1));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** A source's octets if they are few; else a stream of all of them, and how many it gave once it has ended. */
async function beginning(source: AsyncIterable<Uint8Array>): Promise<{
  readonly bytes: Uint8Array;
  readonly rest: AsyncIterable<Uint8Array> | undefined;
  readonly size: () => number;
}> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  const iterator = source[Symbol.asyncIterator]();
  for (;;) {
    const next = await iterator.next();
    if (next.done) return { bytes: await collect(each(pieces)), rest: undefined, size: () => size };
    pieces.push(next.value.slice());
    size += next.value.length;
    if (size > INLINE_BYTES_MAX) break;
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* pieces;
    for await (const piece of { [Symbol.asyncIterator]: () => iterator }) {
      size += piece.length;
      yield piece;
    }
  }
  return { bytes: new Uint8Array(0), rest: all(), size: () => size };
}

async function* each(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}
