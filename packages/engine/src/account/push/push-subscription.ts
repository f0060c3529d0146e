import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";

/** Keys to which a device's push messages are encrypted: RFC 8291. */
export interface PushSubscriptionKeys {
  /** A P-256 public key, uncompressed: 65 octets. */
  readonly p256dh: Uint8Array;
  /** 16 octets. */
  readonly auth: Uint8Array;
}

/** A device that is to be woken when something changes: RFC 8620 §7.2. */
export interface PushSubscription {
  /** The owner's address, and the key slot by which the device came in: it ends with that. */
  readonly address: string;
  readonly slot: string | undefined;
  /** The name that its client has for itself. */
  readonly client: string;
  readonly url: string;
  /** Undefined: what is told is told in the clear. */
  readonly keys: PushSubscriptionKeys | undefined;
  /** The verification code, by which its client proves that it hears us. */
  readonly code: string;
  readonly isVerified: boolean;
  /** Milliseconds since 1970. */
  readonly madeMs: number;
  readonly expiresMs: number;
  /** Data types; undefined for all. */
  readonly types: readonly string[] | undefined;
}

const FORMAT = 1;

export function encodePushSubscription(one: PushSubscription): Uint8Array {
  const { address, slot = null, client, url, keys, code, isVerified, madeMs, expiresMs, types = null } = one;
  const sealedTo = keys ? [keys.p256dh, keys.auth] : null;
  return encode([FORMAT, address, slot, client, url, sealedTo, code, isVerified, madeMs, expiresMs, types]);
}

/** Throws RangeError on bytes that {@link encodePushSubscription} does not make. */
export function decodePushSubscription(bytes: Uint8Array): PushSubscription {
  const fields = Fields.decode(bytes);
  if (fields.integer() !== FORMAT) throw new RangeError("push subscription of an unknown format");
  const one = {
    address: fields.text(),
    slot: fields.optional((slot) => slot.text()),
    client: fields.text(),
    url: fields.text(),
    keys: fields.optional((outer) => {
      const keys = outer.nested();
      const both = { p256dh: keys.bytes(65), auth: keys.bytes(16) };
      keys.end();
      return both;
    }),
    code: fields.text(),
    isVerified: fields.boolean(),
    madeMs: fields.number(),
    expiresMs: fields.number(),
    types: fields.optional((types) => types.texts()),
  };
  fields.end();
  return one;
}
