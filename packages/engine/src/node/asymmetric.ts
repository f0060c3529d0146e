import {
  createHash,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
  verify,
} from "node:crypto";
import { promisify } from "node:util";
import { CryptoError } from "../crypto/errors.ts";
import { concat, KEM_CIPHERTEXT_BYTES, KEM_PUBLIC_KEY_BYTES, type Kem, SIGNATURE_BYTES } from "../crypto/index.ts";

/**
 * X-Wing (draft-connolly-cfrg-xwing-kem §5) out of OpenSSL's ML-KEM-768 and X25519: the bytes are libsodium's, at a
 * third of the time. Both halves' keys stand in fixed DER frames. Secrets are taken out in libuv's threads, some 25 µs each.
 */
const ML_KEM_PUBLIC_BYTES = 1184;
const ML_KEM_CIPHERTEXT_BYTES = 1088;
const ML_KEM_SEED_BYTES = 64;
const X25519_BYTES = 32;
const ED25519_BYTES = 32;
const LABEL = Buffer.from("\\.//^\\", "latin1");

const FRAMES = {
  mlKemPublic: Buffer.from("308204b2300b0609608648016503040402038204a100", "hex"),
  mlKemPrivate: Buffer.from("3054020100300b060960864801650304040204428040", "hex"),
  x25519Public: Buffer.from("302a300506032b656e032100", "hex"),
  ed25519Public: Buffer.from("302a300506032b6570032100", "hex"),
  x25519Private: Buffer.from("302e020100300506032b656e04220420", "hex"),
} as const;

interface Halves {
  readonly mlKem: KeyObject;
  readonly x25519: KeyObject;
}

const decapsulateAside = promisify(decapsulate);
const agreeAside = promisify(diffieHellman);
const verifyAside = promisify(verify);

/** Keys as OpenSSL holds them, for as long as the bytes that they were made of are held. */
const publicKeys = new WeakMap<Uint8Array, Halves>();
const privateKeys = new WeakMap<Uint8Array, Halves>();
const signersKeys = new WeakMap<Uint8Array, KeyObject>();

export const nodeKem: Kem = {
  encapsulate(publicKey) {
    if (publicKey.length !== KEM_PUBLIC_KEY_BYTES) throw new CryptoError("corrupt", "not a public key");
    const to = keptOf(publicKeys, publicKey, () => ({
      mlKem: publicOf(FRAMES.mlKemPublic, publicKey.subarray(0, ML_KEM_PUBLIC_BYTES)),
      x25519: publicOf(FRAMES.x25519Public, publicKey.subarray(ML_KEM_PUBLIC_BYTES)),
    }));
    const { sharedKey, ciphertext } = encapsulate(to.mlKem);
    const own = generateKeyPairSync("x25519");
    // As DER it would take fifteen times as long.
    const ownPublic = Buffer.from(own.publicKey.export({ format: "jwk" }).x!, "base64url");
    const shared = diffieHellman({ privateKey: own.privateKey, publicKey: to.x25519 });
    return {
      ciphertext: concat(ciphertext, ownPublic),
      secret: combine(sharedKey, shared, ownPublic, publicKey.subarray(ML_KEM_PUBLIC_BYTES)),
    };
  },

  async decapsulate(ciphertext, publicKey, seed) {
    if (ciphertext.length !== KEM_CIPHERTEXT_BYTES) throw new CryptoError("corrupt", "not a ciphertext");
    const own = keptOf(privateKeys, seed, () => {
      const expanded = createHash("shake256", { outputLength: ML_KEM_SEED_BYTES + X25519_BYTES })
        .update(seed)
        .digest();
      const made = {
        mlKem: privateOf(FRAMES.mlKemPrivate, expanded.subarray(0, ML_KEM_SEED_BYTES)),
        x25519: privateOf(FRAMES.x25519Private, expanded.subarray(ML_KEM_SEED_BYTES)),
      };
      expanded.fill(0);
      return made;
    });
    const theirs = ciphertext.subarray(ML_KEM_CIPHERTEXT_BYTES);
    const [sharedKey, shared] = await Promise.all([
      decapsulateAside(own.mlKem, ciphertext.subarray(0, ML_KEM_CIPHERTEXT_BYTES)),
      agreeAside({ privateKey: own.x25519, publicKey: publicOf(FRAMES.x25519Public, theirs) }),
    ]);
    return combine(sharedKey, shared, theirs, publicKey.subarray(ML_KEM_PUBLIC_BYTES));
  },
};

/** Ed25519 (RFC 8032) by OpenSSL: half of libsodium's time in WebAssembly, and in another thread. */
export async function nodeVerify(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): Promise<boolean> {
  if (signature.length !== SIGNATURE_BYTES || publicKey.length !== ED25519_BYTES) return false;
  const key = keptOf(signersKeys, publicKey, () => publicOf(FRAMES.ed25519Public, publicKey));
  return verifyAside(null, message, key, signature);
}

function keptOf<T extends object>(known: WeakMap<Uint8Array, T>, bytes: Uint8Array, make: () => T): T {
  const kept = known.get(bytes);
  if (kept) return kept;
  const made = make();
  known.set(bytes, made);
  return made;
}

function publicOf(frame: Buffer, bytes: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([frame, bytes]), format: "der", type: "spki" });
}

function privateOf(frame: Buffer, bytes: Uint8Array): KeyObject {
  const key = Buffer.concat([frame, bytes]);
  const made = createPrivateKey({ key, format: "der", type: "pkcs8" });
  key.fill(0);
  return made;
}

function combine(mlKem: Uint8Array, x25519: Uint8Array, ciphertext: Uint8Array, publicKey: Uint8Array): Uint8Array {
  const hash = createHash("sha3-256").update(mlKem).update(x25519).update(ciphertext).update(publicKey).update(LABEL);
  return new Uint8Array(hash.digest());
}
