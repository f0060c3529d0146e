import sodium from "libsodium-wrappers";

/**
 * The primitives everything here is made of: libsodium's, in WebAssembly, the same in Node and in a browser. A platform's
 * faster functions (`CryptoPlatform`) give the same bytes.
 */

/** Resolves when the primitives may be used. */
export const ready: Promise<void> = sodium.ready;

export const KEY_BYTES = 32;
export const TAG_BYTES = 16;
export const NONCE_BYTES = 12;
export const HASH_BYTES = 32;

/** BLAKE2b-256. */
export function hash(bytes: Uint8Array): Uint8Array {
  return sodium.crypto_generichash(HASH_BYTES, bytes, null);
}

/** BLAKE2b-256 with a key: a MAC, and how keys are derived. */
export function keyedHash(key: Uint8Array, ...pieces: readonly Uint8Array[]): Uint8Array {
  return sodium.crypto_generichash(HASH_BYTES, pieces.length === 1 ? pieces[0]! : concat(...pieces), key);
}

/** A keyed hash of what comes piece by piece. It must be disposed: it holds memory that nobody collects. */
export interface KeyedHash extends Disposable {
  update(bytes: Uint8Array): void;
  /** 32 bytes; nothing may be added after. */
  end(): Uint8Array;
}

export function createKeyedHash(key: Uint8Array): KeyedHash {
  const state = sodium.crypto_generichash_init(key, HASH_BYTES);
  let result: Uint8Array | undefined;
  const end = (): Uint8Array => {
    result ??= sodium.crypto_generichash_final(state, HASH_BYTES);
    return result;
  };
  return {
    update(bytes) {
      if (result) throw new Error("the hash has ended");
      sodium.crypto_generichash_update(state, bytes);
    },
    end,
    [Symbol.dispose]: () => void end(),
  };
}

/** A key for one purpose out of another. */
export function deriveKey(key: Uint8Array, purpose: string): Uint8Array {
  return keyedHash(key, utf8(`restante:${purpose}`));
}

/** In constant time. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && sodium.memcmp(a, b);
}

export function concat(...pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Base64 for URLs, without padding: RFC 4648 §5. */
export function toBase64Url(bytes: Uint8Array): string {
  return sodium.to_base64(bytes, sodium.base64_variants.URLSAFE_NO_PADDING);
}

/** The bytes; undefined for what is none. */
export function fromBase64Url(text: string): Uint8Array | undefined {
  try {
    return sodium.from_base64(text, sodium.base64_variants.URLSAFE_NO_PADDING);
  } catch {
    return undefined;
  }
}

// X-Wing: X25519 and ML-KEM-768 joined (draft-connolly-cfrg-xwing-kem).

export const KEM_CIPHERTEXT_BYTES = 1120;
export const KEM_PUBLIC_KEY_BYTES = 1216;

export interface KemKeyPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

export function kemKeyPair(seed: Uint8Array): KemKeyPair {
  const pair = sodium.crypto_kem_xwing_seed_keypair(seed);
  return { publicKey: pair.publicKey, secretKey: pair.privateKey };
}

/** X-Wing, as a platform does it; the bytes are the same everywhere. */
export interface Kem {
  /** A fresh shared secret, and what lets the owner find it again. */
  encapsulate(publicKey: Uint8Array): { readonly ciphertext: Uint8Array; readonly secret: Uint8Array };
  /** `seed` is what the key pair was made of. */
  decapsulate(ciphertext: Uint8Array, publicKey: Uint8Array, seed: Uint8Array): Promise<Uint8Array>;
}

/** libsodium's. `random` gives so many random bytes. */
export function sodiumKem(random: (bytes: number) => Uint8Array): Kem {
  return {
    encapsulate(publicKey) {
      const made = sodium.crypto_kem_xwing_enc_deterministic(publicKey, random(64));
      return { ciphertext: made.ciphertext, secret: made.sharedSecret };
    },
    // X-Wing's secret key is the seed itself.
    decapsulate: async (ciphertext, _publicKey, seed) => sodium.crypto_kem_xwing_dec(ciphertext, seed),
  };
}

// Ed25519: RFC 8032.

export const SIGNATURE_BYTES = 64;

export interface SigningKeyPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

export function signingKeyPair(seed: Uint8Array): SigningKeyPair {
  const pair = sodium.crypto_sign_seed_keypair(seed);
  return { publicKey: pair.publicKey, secretKey: pair.privateKey };
}

export function sign(message: Uint8Array, secretKey: Uint8Array): Uint8Array {
  return sodium.crypto_sign_detached(message, secretKey);
}

export function verify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    return sodium.crypto_sign_verify_detached(signature, message, publicKey);
  } catch {
    // libsodium throws on lengths that can't be right: no good signature either.
    return false;
  }
}
