import { createCipheriv, createDecipheriv, createSecretKey, randomFillSync } from "node:crypto";
import { CryptoError } from "../crypto/errors.ts";
import { type CryptoPlatform, sodiumOpen, sodiumSeal } from "../crypto/platform.ts";
import { TAG_BYTES } from "../crypto/primitives.ts";
import { Argon2Pool } from "./argon2-pool.ts";
import { nodeKem, nodeVerify } from "./asymmetric.ts";
import { countGarbage } from "./garbage.ts";

/** Below this libsodium's WebAssembly is faster than a call into OpenSSL; the bytes are the same. */
const SMALL_BYTES = 2048;
const RANDOM_POOL_BYTES = 8192;
const CIPHER = "chacha20-poly1305";

/** Node's platform. Argon2 runs in threads of its own, never in libuv's pool, which it would stall for file reads. */
export function nodePlatform(): CryptoPlatform & { dispose(): Promise<void> } {
  const argon2 = new Argon2Pool();
  return {
    random,
    argon2id: (password, salt, parameters, bytes, lane) => argon2.hash({ password, salt, parameters, bytes }, lane),
    aeadSeal: (key, nonce, associated, plain, out) =>
      (plain.length <= SMALL_BYTES ? sodiumSeal : seal)(key, nonce, associated, plain, out),
    aeadOpen: (key, nonce, associated, sealed) =>
      (sealed.length <= SMALL_BYTES ? sodiumOpen : open)(key, nonce, associated, sealed),
    kem: nodeKem,
    verify: nodeVerify,
    dispose: () => argon2.dispose(),
  };
}

let pool = new Uint8Array(0);
let taken = 0;

/** Random bytes out of a pool: one call to the kernel for many. Bytes handed out are wiped from the pool. */
function random(bytes: number): Uint8Array {
  if (bytes > RANDOM_POOL_BYTES / 8) return randomFillSync(new Uint8Array(bytes));
  if (taken + bytes > pool.length) {
    pool = randomFillSync(new Uint8Array(RANDOM_POOL_BYTES));
    taken = 0;
  }
  const out = pool.slice(taken, taken + bytes);
  pool.fill(0, taken, taken + bytes);
  taken += bytes;
  return out;
}

function seal(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, plain: Uint8Array, out: Uint8Array): void {
  // A key object skips what Node asks of raw bytes: about 10 µs.
  const cipher = createCipheriv(CIPHER, createSecretKey(key), nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associated, { plaintextLength: plain.length });
  out.set(cipher.update(plain));
  countGarbage(plain.length);
  cipher.final();
  out.set(cipher.getAuthTag(), plain.length);
}

function open(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, sealed: Uint8Array): Uint8Array {
  const length = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, createSecretKey(key), nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(associated, { plaintextLength: length });
  decipher.setAuthTag(sealed.subarray(length));
  const plain = decipher.update(sealed.subarray(0, length));
  countGarbage(length);
  try {
    decipher.final();
  } catch {
    throw new CryptoError("corrupt", "sealed bytes do not open");
  }
  return new Uint8Array(plain.buffer, plain.byteOffset, plain.length);
}
