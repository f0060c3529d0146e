import sodium from "libsodium-wrappers";
import { CryptoError } from "./errors.ts";
import { type Kem, verify } from "./primitives.ts";

/** Functions that crypto needs of its platform. `portablePlatform` is enough everywhere; Node's own is faster. */
export interface CryptoPlatform {
  random(bytes: number): Uint8Array;
  /** Argon2id (RFC 9106) of `password`, `bytes` long. Rejects with CryptoError `busy` when too many wait in `lane`. */
  argon2id(
    password: Uint8Array,
    salt: Uint8Array,
    parameters: Argon2Parameters,
    bytes: number,
    lane: Argon2Lane,
  ): Promise<Uint8Array>;
  /** ChaCha20-Poly1305 (RFC 8439 §2.8): ciphertext ‖ tag, into `out`, which is as long as both. */
  aeadSeal(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, plain: Uint8Array, out: Uint8Array): void;
  /** Throws CryptoError `corrupt`. */
  aeadOpen(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array;
  readonly kem: Kem;
  /** True if an Ed25519 signature (RFC 8032) is good. */
  verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): Promise<boolean>;
}

/** Lane of a guess: `known` for an address that succeeded here before, and for a change of a password. It goes before a
 * stranger's. */
export type Argon2Lane = "known" | "stranger";

export interface Argon2Parameters {
  readonly memoryKiB: number;
  readonly passes: number;
  readonly parallelism: number;
}

export async function sodiumVerify(
  signature: Uint8Array,
  message: Uint8Array,
  publicKey: Uint8Array,
): Promise<boolean> {
  return verify(signature, message, publicKey);
}

export function sodiumSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  associated: Uint8Array,
  plain: Uint8Array,
  out: Uint8Array,
): void {
  out.set(sodium.crypto_aead_chacha20poly1305_ietf_encrypt(plain, associated, null, nonce, key));
}

export function sodiumOpen(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array {
  try {
    return sodium.crypto_aead_chacha20poly1305_ietf_decrypt(null, sealed, associated, nonce, key);
  } catch {
    throw new CryptoError("corrupt", "sealed bytes do not open");
  }
}
