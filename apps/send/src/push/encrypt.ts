import { createCipheriv, createECDH, hkdfSync, randomBytes } from "node:crypto";

/** A subscriber's keys, to which push messages are encrypted: RFC 8291 §2. */
export interface PushKeys {
  /** Their P-256 public key, uncompressed: 65 octets. */
  readonly p256dh: Uint8Array;
  /** The authentication secret: 16 octets. */
  readonly auth: Uint8Array;
}

const RECORD_BYTES = 4096;
const TAG_BYTES = 16;
const SALT_BYTES = 16;
const PUBLIC_KEY_BYTES = 65;
/** Octets of a message in the one record that there is: RFC 8291 §4. */
export const PUSH_BYTES_MAX: number = RECORD_BYTES - TAG_BYTES - 1 - SALT_BYTES - 5 - PUBLIC_KEY_BYTES;
const LAST_RECORD = Uint8Array.of(2);

/** The random part of a message. Tests give the values of the RFC. */
interface Chance {
  readonly salt: Uint8Array;
  readonly privateKey: Uint8Array | undefined;
}

/**
 * A push message for one subscriber alone: RFC 8291 §3, in the one record of `aes128gcm` (RFC 8188 §2). Throws RangeError for
 * keys that are none, and for a message that is too long.
 */
export function encryptPush(
  plain: Uint8Array,
  { p256dh, auth }: PushKeys,
  { salt, privateKey }: Chance = { salt: randomBytes(SALT_BYTES), privateKey: undefined },
): Uint8Array {
  if (plain.length > PUSH_BYTES_MAX) throw new RangeError("a push message is too long");
  const sender = createECDH("prime256v1");
  const publicKey = privateKey ? publicKeyOf(sender, privateKey) : sender.generateKeys();
  const shared = secretWith(sender, p256dh);
  const keyInfo = Buffer.concat([Buffer.from("WebPush: info\0"), p256dh, publicKey]);
  const input = hkdf(shared, auth, keyInfo, 32);
  const key = hkdf(input, salt, Buffer.from("Content-Encoding: aes128gcm\0"), 16);
  const nonce = hkdf(input, salt, Buffer.from("Content-Encoding: nonce\0"), 12);
  const cipher = createCipheriv("aes-128-gcm", key, nonce);
  const sealed = Buffer.concat([cipher.update(plain), cipher.update(LAST_RECORD), cipher.final(), cipher.getAuthTag()]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(RECORD_BYTES);
  head[4] = publicKey.length;
  return Buffer.concat([salt, head, publicKey, sealed]);
}

function publicKeyOf(pair: ReturnType<typeof createECDH>, privateKey: Uint8Array): Buffer {
  pair.setPrivateKey(privateKey);
  return pair.getPublicKey();
}

function secretWith(pair: ReturnType<typeof createECDH>, theirs: Uint8Array): Buffer {
  try {
    return pair.computeSecret(theirs);
  } catch (cause) {
    throw new RangeError("not a public key", { cause });
  }
}

function hkdf(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, salt, info, length));
}
