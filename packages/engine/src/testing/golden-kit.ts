import {
  type CryptoPlatform,
  concat,
  hash,
  sodiumKem,
  sodiumOpen,
  sodiumSeal,
  sodiumVerify,
  utf8,
} from "../crypto/index.ts";

/** Kit of the tests of stored shapes. */
export const GOLDEN: string = `${import.meta.dirname}/../../testdata/golden`;

export const pattern = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * seed + (i >> 8)) & 255);

/** Counts up instead of being random. */
export function fixedPlatform(): CryptoPlatform {
  let next = 0;
  const random = (length: number): Uint8Array => Uint8Array.from({ length }, () => next++ & 255);
  return {
    random,
    kem: sodiumKem(random),
    verify: sodiumVerify,
    argon2id: async (password, salt, parameters, length) =>
      hash(concat(password, salt, utf8(JSON.stringify(parameters)))).subarray(0, length),
    aeadSeal: sodiumSeal,
    aeadOpen: sodiumOpen,
  };
}
