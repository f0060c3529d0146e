import { hexText } from "../../bay/entry.ts";
import { EngineError } from "../../errors.ts";
import { generationOf } from "../keys/slots.ts";
import type { MandatePlace, MandateStore } from "../mandates/mandate-store.ts";
import type { Platform } from "../platform.ts";
import type { SignedInBy } from "../session.ts";
import { decodePushSubscription, encodePushSubscription, type PushSubscription } from "./push-subscription.ts";

/** Subscriptions of one account. */
export const PUSH_SUBSCRIPTIONS_MAX = 20;
/** Milliseconds that one lasts: RFC 8620 §7.2 asks for two days at least. Its client says again that it is there. */
export const PUSH_MS_MAX: number = 7 * 24 * 60 * 60_000;
/** Milliseconds after which one that was never verified makes room for another. */
const UNVERIFIED_MS: number = 60 * 60_000;
const URL_CHARS_MAX = 2_000;
const CLIENT_CHARS_MAX = 256;
const TYPES_MAX = 100;
const TYPE_CHARS_MAX = 100;
const CODE_BYTES = 16;

export type KnownSubscription = PushSubscription & { readonly id: string };

/** A push subscription as its client asks for it. */
export interface NewPushSubscription extends Pick<PushSubscription, "client" | "url" | "keys" | "types"> {
  readonly expiresMs: number | undefined;
}

/** How one may be changed: RFC 8620 §7.2.2. */
export interface PushSubscriptionChange {
  /** The verification code, as it was pushed. */
  readonly code?: string;
  readonly expiresMs?: number | undefined;
  readonly types?: readonly string[] | undefined;
}

/** One that can't be so, and by what. */
export class PushRefusal extends Error {
  readonly property: "url" | "keys" | "client" | "types" | "expires" | "code";

  constructor(property: PushRefusal["property"]) {
    super(`the push subscription's ${property} can't be so`);
    this.name = "PushRefusal";
    this.property = property;
  }
}

/** An account's devices that are woken. They are mandates and nothing else: no log tells of them. */
export class PushSubscriptions {
  readonly #platform: Platform;
  readonly #account: Uint8Array;

  constructor(platform: Platform, account: Uint8Array) {
    this.#platform = platform;
    this.#account = account;
  }

  /** All subscriptions of the account, whichever way in made them; expired ones are gone. Errors: `unavailable`. */
  async list(): Promise<readonly KnownSubscription[]> {
    const { mandates, now } = this.#platform;
    if (!mandates) return [];
    const found: KnownSubscription[] = [];
    const over: MandatePlace[] = [];
    for await (const { kind, account, id } of mandates.list("push", this.#account)) {
      const one = await readSubscription(mandates, { kind, account, id });
      if (one && one.expiresMs > now()) found.push({ ...one, id });
      else over.push({ kind, account, id });
    }
    await mandates.end(...over);
    return found;
  }

  /** Subscriptions that were made by the same way in: RFC 8620 §7.2 shows no others. */
  async listOf({ slot }: Pick<SignedInBy, "slot">): Promise<readonly KnownSubscription[]> {
    return (await this.list()).filter((one) => isSameWay(one.slot, slot));
  }

  /** Throws {@link PushRefusal}; errors: `over-quota`, `not-permitted` where nobody is woken, `unavailable`, `unknown-outcome`. */
  async create({ address, slot, terms }: SignedInBy, asked: NewPushSubscription): Promise<KnownSubscription> {
    const { crypto, now } = this.#platform;
    const mandates = this.#mandates();
    const madeMs = now();
    const expiresMs = expiryOf(asked.expiresMs, madeMs, terms);
    check(asked);
    await this.#makeRoom(mandates);
    const { client, url, keys, types } = asked;
    const code = hexText(crypto.random(CODE_BYTES));
    const one = { address, slot, client, url, keys, code, isVerified: false, madeMs, expiresMs, types };
    const id = hexText(crypto.random(16));
    await mandates.put({ kind: "push", account: this.#account, id }, encodePushSubscription(one));
    return { ...one, id };
  }

  /** Resolves with what it is then; undefined if there is none. Throws {@link PushRefusal}; errors: as {@link create}. */
  async update(way: SignedInBy, id: string, change: PushSubscriptionChange): Promise<KnownSubscription | undefined> {
    const before = (await this.listOf(way)).find((one) => one.id === id);
    if (!before) return undefined;
    if (change.code !== undefined && change.code !== before.code) throw new PushRefusal("code");
    const after = {
      ...before,
      isVerified: before.isVerified || change.code !== undefined,
      ...("types" in change && { types: change.types }),
      ...("expiresMs" in change && { expiresMs: expiryOf(change.expiresMs, this.#platform.now(), way.terms) }),
    };
    check(after);
    await this.#mandates().put({ kind: "push", account: this.#account, id }, encodePushSubscription(after));
    return after;
  }

  /** Resolves with whether there was one; of whatever way in if none is said. Errors: `unavailable`, `unknown-outcome`. */
  async end(id: string, way?: Pick<SignedInBy, "slot">): Promise<boolean> {
    const all = await (way ? this.listOf(way) : this.list());
    if (!all.some((one) => one.id === id)) return false;
    await this.#mandates().end({ kind: "push", account: this.#account, id });
    return true;
  }

  async #makeRoom(mandates: MandateStore): Promise<void> {
    const all = await this.list();
    if (all.length < PUSH_SUBSCRIPTIONS_MAX) return;
    const old = all.filter(({ isVerified, madeMs }) => !isVerified && this.#platform.now() - madeMs > UNVERIFIED_MS);
    if (old.length === 0) throw new EngineError("over-quota", "too many devices are woken");
    await mandates.end(...old.map(({ id }): MandatePlace => ({ kind: "push", account: this.#account, id })));
  }

  #mandates(): MandateStore {
    const { mandates } = this.#platform;
    if (!mandates) throw new EngineError("not-permitted", "this server wakes nobody");
    return mandates;
  }
}

/** Undefined for one that is gone, or can't be read. Errors: `unavailable`. */
export async function readSubscription(
  mandates: MandateStore,
  place: MandatePlace,
): Promise<PushSubscription | undefined> {
  const stored = await mandates.read(place);
  try {
    return stored && decodePushSubscription(stored.plain);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The same password sealed again is the same way in. */
function isSameWay(one: string | undefined, other: string | undefined): boolean {
  if (one === other) return true;
  const generation = one === undefined ? undefined : generationOf(one);
  return generation !== undefined && other !== undefined && generation === generationOf(other);
}

/** Throws {@link PushRefusal}. */
function expiryOf(asked: number | undefined, nowMs: number, terms: SignedInBy["terms"]): number {
  if (asked !== undefined && !(asked > nowMs)) throw new PushRefusal("expires");
  return Math.min(asked ?? Number.POSITIVE_INFINITY, nowMs + PUSH_MS_MAX, terms?.expiresMs ?? Number.POSITIVE_INFINITY);
}

/** Throws {@link PushRefusal}. */
function check({ client, url, keys, types = [] }: Omit<NewPushSubscription, "expiresMs">): void {
  if (client === "" || client.length > CLIENT_CHARS_MAX || !client.isWellFormed()) throw new PushRefusal("client");
  if (!isEndpoint(url)) throw new PushRefusal("url");
  if (keys && (keys.p256dh.length !== 65 || keys.p256dh[0] !== 4 || keys.auth.length !== 16))
    throw new PushRefusal("keys");
  if (types.length > TYPES_MAX || types.some((type) => type.length > TYPE_CHARS_MAX || !type.isWellFormed()))
    throw new PushRefusal("types");
}

function isEndpoint(text: string): boolean {
  if (text.length > URL_CHARS_MAX || !URL.canParse(text)) return false;
  const { protocol, username, password, hostname } = new URL(text);
  return protocol === "https:" && username === "" && password === "" && hostname !== "";
}
