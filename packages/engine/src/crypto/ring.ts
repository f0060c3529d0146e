import { encode } from "cborg";
import { decodeCbor } from "./cbor.ts";
import { CryptoError } from "./errors.ts";
import type { CryptoPlatform } from "./platform.ts";
import { deriveKey, KEY_BYTES, kemKeyPair } from "./primitives.ts";
import { Secret } from "./secret.ts";

/**
 * The key ring (docs/formats/ring-and-slots.md): everything of an account opens with it. Each version has a root, from
 * which keys come by purpose, and the key pair that mail is delivered to; old versions stay for reading.
 */
export interface Ring extends Disposable {
  /** 16 random bytes: who the owner is in all that is sealed, whatever the account is called. */
  readonly account: Uint8Array;
  readonly versions: readonly RingVersion[];
}
export interface RingVersion {
  readonly version: number;
  readonly root: Secret;
  /** The X-Wing seed and the public key that follows from it. */
  readonly kemSeed: Secret;
  readonly kemPublicKey: Uint8Array;
  /** Keys that were derived from the root, by purpose. */
  readonly purposeKeys: Map<Purpose, Secret>;
}
export type Purpose = "log" | "page" | "body" | "thread" | "ids" | "sign" | "repeat" | "device";

const RING_FORMAT = 1;

export function makeRing(platform: CryptoPlatform): Ring {
  return ringOf(platform.random(16), [makeVersion(platform, 1)]);
}

/** The same ring with a new root and key pair; the old ones stay, for reading. It has its own copies of all keys. */
export function rotateRing(platform: CryptoPlatform, ring: Ring): Ring {
  const { versions } = copyRing(ring);
  return ringOf(ring.account, [...versions, makeVersion(platform, currentVersion(ring).version + 1)]);
}

/** A copy with keys of its own, to be wiped by whoever asked for it. */
export function copyRing(ring: Ring): Ring {
  const versions = ring.versions.map(({ version, root, kemSeed }) =>
    versionOf(version, root.bytes.slice(), kemSeed.bytes.slice()),
  );
  return ringOf(ring.account, versions);
}

function makeVersion(platform: CryptoPlatform, version: number): RingVersion {
  return versionOf(version, platform.random(KEY_BYTES), platform.random(KEY_BYTES));
}

/** Takes both keys over: the arrays are zeroed. */
function versionOf(version: number, rootBytes: Uint8Array, seedBytes: Uint8Array): RingVersion {
  const root = new Secret(rootBytes);
  const kemSeed = new Secret(seedBytes);
  const { publicKey, secretKey } = kemKeyPair(kemSeed.bytes);
  secretKey.fill(0);
  return { version, root, kemSeed, kemPublicKey: publicKey, purposeKeys: new Map() };
}

function ringOf(account: Uint8Array, versions: readonly RingVersion[]): Ring {
  return {
    account,
    versions,
    [Symbol.dispose]() {
      for (const { root, kemSeed, purposeKeys } of versions)
        for (const secret of [root, kemSeed, ...purposeKeys.values()]) secret[Symbol.dispose]();
    },
  };
}

/** The version that new things are sealed under. */
export function currentVersion(ring: Ring): RingVersion {
  return ring.versions.at(-1)!;
}

/** The key of one purpose, wiped with the ring: nobody else keeps it. Throws CryptoError `unknown-key`. */
export function purposeKey(ring: Ring, version: number, purpose: Purpose): Uint8Array {
  const found = ring.versions.find((item) => item.version === version);
  if (!found) throw new CryptoError("unknown-key", "sealed under a key version that this ring does not have");
  const key = found.purposeKeys.get(purpose) ?? new Secret(deriveKey(found.root.bytes, purpose));
  found.purposeKeys.set(purpose, key);
  return key.bytes;
}

/** The key that ids of conversations are made under: the first root's, so that new keys don't change them. */
export function threadKey(ring: Ring): Uint8Array {
  return purposeKey(ring, ring.versions[0]!.version, "thread");
}

/** The key that message ids and subjects are hashed under, of the first root for the same reason. */
export function messageIdKey(ring: Ring): Uint8Array {
  return purposeKey(ring, ring.versions[0]!.version, "ids");
}

export function encodeRing(ring: Ring): Uint8Array {
  return encode([
    RING_FORMAT,
    ring.account,
    ring.versions.map(({ version, root, kemSeed }) => [version, root.bytes, kemSeed.bytes]),
  ]);
}

/** Throws CryptoError `corrupt`. */
export function decodeRing(bytes: Uint8Array): Ring {
  const value = decodeCbor(bytes, "key ring");
  if (!Array.isArray(value) || value.length !== 3 || value[0] !== RING_FORMAT) throw badRing();
  const [, account, versions] = value as [number, unknown, unknown];
  if (!(account instanceof Uint8Array) || account.length !== 16 || !Array.isArray(versions) || versions.length === 0)
    throw badRing();
  return ringOf(
    account.slice(),
    versions.map((item: unknown) => {
      if (!Array.isArray(item)) throw badRing();
      const [version, root, seed] = item as unknown[];
      if (!Number.isInteger(version) || !isKey(root) || !isKey(seed)) throw badRing();
      return versionOf(version as number, root, seed);
    }),
  );
}

function isKey(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length === KEY_BYTES;
}

function badRing(): CryptoError {
  return new CryptoError("corrupt", "key ring can't be read");
}
