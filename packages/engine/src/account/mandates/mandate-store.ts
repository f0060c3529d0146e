import { hexBytes, hexText } from "../../bay/entry.ts";
import { listObjects } from "../../bay/list-objects.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import { CryptoError, equalBytes, mandateContext, openObject, sealObject, serverHash } from "../../crypto/index.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { Platform } from "../platform.ts";
import { REQUESTS } from "./answer-request.ts";

/** Kinds of mandates, besides mail that waits. */
export type MandateKind = "vacation" | "push";

/** The account of a mandate, and its id there. An account has one vacation, whose id is "". */
export interface MandatePlace {
  readonly kind: MandateKind;
  /** 16 bytes. */
  readonly account: Uint8Array;
  readonly id: string;
}

export interface StoredMandate extends MandatePlace {
  /** Milliseconds since it was written, by the store's own clock. */
  readonly ageMs: number;
}

export interface MandateStoreOptions {
  readonly store: ObjectStore;
  readonly platform: Pick<Platform, "crypto" | "log">;
  /** The same on all hosts of the store. */
  readonly serverKey: Uint8Array;
  /** The key for push subscriptions of devices (RFC 9749 §3): a P-256 public key in base64url. */
  readonly pushKey?: string | undefined;
}

/** Names: no more levels, and no octet that a store does not take. */
const NAME = /^outbound\/(vacation|push)\/([0-9a-f]{32})(?:\.([0-9a-f]{1,64}))?$/;
const ANSWERED = "outbound/seen/";

/**
 * The mandates of all accounts of a store (docs/formats/outbound.md), sealed to the server's key and bound to their account,
 * kind and name. Everybody with that key reads them as long as they are there; the end of one deletes its bytes.
 */
export class MandateStore {
  readonly #options: MandateStoreOptions;

  constructor(options: MandateStoreOptions) {
    this.#options = options;
  }

  get store(): ObjectStore {
    return this.#options.store;
  }
  get pushKey(): string | undefined {
    return this.#options.pushKey;
  }

  /** Durable when it resolves; the last put counts. Errors: `unavailable`, `unknown-outcome`, `over-quota`. */
  async put(place: MandatePlace, plain: Uint8Array): Promise<void> {
    const { store, platform, serverKey } = this.#options;
    const name = nameOf(place);
    const context = mandateContext(platform.crypto, serverKey, { kind: place.kind, account: place.account, name });
    await asStoreFailure(store.put(name, sealObject(context, plain)));
  }

  /** Undefined where there is none, or none that opens: what somebody else made gives no leave. Errors: `unavailable`. */
  async read(place: MandatePlace): Promise<{ readonly plain: Uint8Array; readonly ageMs: number } | undefined> {
    const { store, platform, serverKey } = this.#options;
    const name = nameOf(place);
    const got = await asStoreFailure(store.get(name));
    if (!got.found) return undefined;
    try {
      const context = mandateContext(platform.crypto, serverKey, { kind: place.kind, account: place.account, name });
      return { plain: openObject(context, got.bytes), ageMs: got.now - got.created };
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      platform.log({ level: "warn", event: "a mandate does not open", name });
      return undefined;
    }
  }

  /** Deletes mandates from the store; again is no error. Errors: `unavailable`, `unknown-outcome`. */
  async end(...places: readonly MandatePlace[]): Promise<void> {
    if (places.length === 0) return;
    await asStoreFailure(this.#options.store.delete(places.map(nameOf), { essential: true }));
  }

  /** All of a kind, or one account's. Errors: `unavailable`. */
  async *list(kind: MandateKind, account?: Uint8Array): AsyncGenerator<StoredMandate> {
    const prefix = `outbound/${kind}/${account ? hexText(account) : ""}`;
    for await (const { name, now, created } of listObjects(this.#options.store, prefix)) {
      const place = placeOf(name);
      if (place) yield { ...place, ageMs: now - created };
    }
  }

  /** Tells of each that is made or changed by any process, where the store knows; again and again is possible. */
  watch(kind: MandateKind, tell: (place: MandatePlace | undefined) => void): () => void {
    return this.#options.store.watch(`outbound/${kind}/`, (name) =>
      tell(name === undefined ? undefined : placeOf(name)),
    );
  }

  /** The beginning of names of marks: those of one sender whom an account's vacation has answered, or of all of them. */
  answeredPrefix(account: Uint8Array, sender?: string): string {
    const prefix = `${ANSWERED}${hexText(account)}.`;
    if (sender === undefined) return prefix;
    const { serverKey } = this.#options;
    const hash = serverHash(serverKey, account, new TextEncoder().encode(sender)).subarray(0, 16);
    return `${prefix}${hexText(hash)}.`;
  }

  /** True where both have one key: names and bytes of one are those of the other. */
  hasKeyOf(other: MandateStore): boolean {
    return equalBytes(this.#options.serverKey, other.#options.serverKey);
  }

  /** The beginnings of names of an account's objects that say nothing under another key. */
  keyedPrefixes(account: Uint8Array): readonly string[] {
    return [this.answeredPrefix(account), `${REQUESTS}${hexText(account)}.`];
  }

  /** Forgets whom an account's vacation has answered. Errors: `unavailable`. */
  async forgetAnswered(account: Uint8Array): Promise<void> {
    await deleteAll(this.#options.store, [this.answeredPrefix(account)]);
  }
}

/** Deletes all mandates of an account, and requests upon them, with or without the key that opens them. Errors: `unavailable`. */
export async function deleteMandates(store: ObjectStore, account: Uint8Array): Promise<void> {
  const hex = hexText(account);
  await deleteAll(store, [`outbound/vacation/${hex}`, `outbound/push/${hex}`, ANSWERED + hex, REQUESTS + hex]);
}

const DELETED_AT_ONCE = 500;

async function deleteAll(store: ObjectStore, prefixes: readonly string[]): Promise<void> {
  for (const prefix of prefixes) {
    const names: string[] = [];
    for await (const { name } of listObjects(store, prefix)) names.push(name);
    for (let at = 0; at < names.length; at += DELETED_AT_ONCE)
      await asStoreFailure(store.delete(names.slice(at, at + DELETED_AT_ONCE), { essential: true }));
  }
}

function nameOf({ kind, account, id }: MandatePlace): string {
  return `outbound/${kind}/${hexText(account)}${id === "" ? "" : `.${id}`}`;
}

function placeOf(name: string): MandatePlace | undefined {
  const [, kind, account, id = ""] = NAME.exec(name) ?? [];
  return account === undefined ? undefined : { kind: kind as MandateKind, account: hexBytes(account), id };
}
