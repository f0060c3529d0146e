import { hexText } from "../bay/entry.ts";
import { asStoreFailure } from "../bay/store-failure.ts";
import { bodyContext, encapsulate, hostId, makeNote, type SigningKeyPair, wrapForDelivery } from "../crypto/index.ts";
import { encodeDelivered } from "../mail/delivered.ts";
import { chain, takeBody } from "../mail/intake.ts";
import { bodyName } from "../mail/names.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import type { Platform } from "./platform.ts";
import { accountPrefix, type User } from "./users.ts";

/** What a delivering process is: the host's signing key and a name of its own. */
export interface Deliverer {
  readonly store: ObjectStore;
  readonly platform: Platform;
  readonly signer: SigningKeyPair;
  /** 16 random bytes, new at each start. */
  readonly stream: Uint8Array;
}

/**
 * Where mail for one account is put by those who can't read it: public-key delivery. Nothing here opens anything, not
 * even what was delivered a second ago.
 */
export class Dropbox {
  readonly #deliverer: Deliverer;
  readonly #user: User;
  readonly #prefix: string;
  #counter = 0;
  #givenUp: number[] = [];

  constructor(deliverer: Deliverer, user: User) {
    this.#deliverer = deliverer;
    this.#user = user;
    this.#prefix = accountPrefix(user.record);
  }

  /**
   * Stores a message, sealed to the account's owner; durable when it resolves. `before` stands in front of the message
   * (Return-Path and the like). Errors: `unavailable`, `over-quota`, `unknown-outcome`.
   */
  async deliver(before: Uint8Array, message: AsyncIterable<Uint8Array>): Promise<void> {
    const { store, platform, signer, stream } = this.#deliverer;
    const { record } = this.#user;
    const counter = ++this.#counter;
    const givenUp = this.#givenUp;
    try {
      const kem = encapsulate(platform.crypto, record);
      const id = platform.crypto.random(16);
      const key = platform.crypto.random(32);
      const receivedMs = platform.now();
      const bodyId = hexText(id);
      const preamble = wrapForDelivery(platform.crypto, record, kem, bodyId, {
        key,
        receivedMs,
        mailbox: "",
        flags: [],
      });
      const context = bodyContext(platform.crypto, record.account, bodyId, key);
      const taken = await takeBody(chain([before], message), context, preamble, receivedMs, (content) =>
        asStoreFailure(store.put(this.#prefix + bodyName(id), content)),
      );
      const name = noteName(receivedMs, platform.crypto.random(8));
      const summary = encodeDelivered({
        ...taken.digest,
        bodyId: id,
        key,
        receivedMs,
        receivedZone: 0,
        objectLength: taken.inline ? 0 : taken.length,
      });
      const origin = { host: hostId(signer.publicKey), stream, counter, givenUp };
      const note = makeNote(
        platform.crypto,
        record,
        { name, kem, origin, summary, ...(taken.inline ? { body: taken.inline } : {}) },
        signer,
      );
      await asStoreFailure(store.put(this.#prefix + name, note));
      this.#givenUp = this.#givenUp.filter((number) => !givenUp.includes(number));
    } catch (error) {
      this.#givenUp.push(counter);
      throw error;
    }
  }
}

/** `note/<milliseconds in 12 hex><16 random hex>`: names sort by time of delivery. */
function noteName(timeMs: number, random: Uint8Array): string {
  return `note/${Math.max(0, Math.floor(timeMs)).toString(16).padStart(12, "0")}${hexText(random)}`;
}
