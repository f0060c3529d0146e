import { encode } from "cborg";
import { decodeCbor } from "./cbor.ts";
import { CryptoError } from "./errors.ts";
import type { CryptoPlatform } from "./platform.ts";
import { concat, deriveKey, KEM_CIPHERTEXT_BYTES, KEY_BYTES } from "./primitives.ts";
import type { RecipientRecord } from "./record.ts";
import { currentVersion, purposeKey, type Ring } from "./ring.ts";
import { openObject, type SealContext, sealObject } from "./sealed-object.ts";

/**
 * A body's first bytes (docs/formats/body.md): its own key, wrapped, and what is needed to give the mail back if every
 * page were lost. The body itself follows, a sealed object under that key, bound to the body's id and never to a place:
 * it moves from a note or an entry into a pack unchanged.
 *
 *     preamble  format 1 ‖ wrap 1 (0 root, 1 KEM) ‖ key version 2 ‖ length of the box 4 ‖ [KEM ciphertext 1120] ‖ box
 *     box       sealed object of kind `body-key`: CBOR [key 32, received ms, mailbox, [flag …]]
 */
const FORMAT = 1;
const HEAD_BYTES = 8;
/** Bytes of a box at most: a path, some flags. */
const BOX_BYTES_MAX = 65_536;

export interface Salvage {
  readonly key: Uint8Array;
  readonly receivedMs: number;
  /** The mailbox's path when it arrived; "" for a delivery. */
  readonly mailbox: string;
  readonly flags: readonly string[];
}

/** A delivery's shared secret and the ciphertext that carries it to the owner: made before the mail is there. */
export interface Encapsulated {
  readonly ciphertext: Uint8Array;
  readonly secret: Uint8Array;
}

export function wrapForOwner(platform: CryptoPlatform, ring: Ring, bodyId: string, salvage: Salvage): Uint8Array {
  const { version } = currentVersion(ring);
  const context = boxContext(platform, purposeKey(ring, version, "body"), version, ring.account, bodyId);
  return preamble(0, version, new Uint8Array(0), sealObject(context, encodeSalvage(salvage)));
}

export function wrapForDelivery(
  platform: CryptoPlatform,
  to: RecipientRecord,
  kem: Encapsulated,
  bodyId: string,
  salvage: Salvage,
): Uint8Array {
  const context = boxContext(platform, deriveKey(kem.secret, "body"), to.keyVersion, to.account, bodyId);
  return preamble(1, to.keyVersion, kem.ciphertext, sealObject(context, encodeSalvage(salvage)));
}

/** How long the preamble at the start of these bytes is. Throws CryptoError `corrupt`. */
export function preambleLength(bytes: Uint8Array): number {
  if (bytes.length < HEAD_BYTES || bytes[0] !== FORMAT || bytes[1]! > 1) throw new CryptoError("corrupt", "not a body");
  const box = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4);
  if (box > BOX_BYTES_MAX) throw new CryptoError("corrupt", "not a body");
  return HEAD_BYTES + (bytes[1] === 1 ? KEM_CIPHERTEXT_BYTES : 0) + box;
}

/** The facts that a body's preamble holds for salvage. Throws CryptoError. */
export async function openPreamble(
  platform: CryptoPlatform,
  ring: Ring,
  bodyId: string,
  bytes: Uint8Array,
): Promise<Salvage> {
  const length = preambleLength(bytes);
  const version = new DataView(bytes.buffer, bytes.byteOffset).getUint16(2);
  const delivered = bytes[1] === 1;
  const boxAt = HEAD_BYTES + (delivered ? KEM_CIPHERTEXT_BYTES : 0);
  const key = delivered
    ? deriveKey(await decapsulate(platform, ring, version, bytes.slice(HEAD_BYTES, boxAt)), "body")
    : purposeKey(ring, version, "body");
  const plain = openObject(boxContext(platform, key, version, ring.account, bodyId), bytes.subarray(boxAt, length));
  const value = decodeCbor(plain, "body");
  if (!Array.isArray(value) || value.length !== 4) throw new CryptoError("corrupt", "not a body");
  const [bodyKey, receivedMs, mailbox, flags] = value as unknown[];
  const good =
    bodyKey instanceof Uint8Array &&
    bodyKey.length === KEY_BYTES &&
    Number.isFinite(receivedMs) &&
    typeof mailbox === "string" &&
    Array.isArray(flags) &&
    flags.every((flag) => typeof flag === "string");
  if (!good) throw new CryptoError("corrupt", "not a body");
  return { key: bodyKey, receivedMs: receivedMs as number, mailbox, flags };
}

/** The shared secret of a KEM ciphertext. Throws CryptoError `unknown-key` or `corrupt`. */
export async function decapsulate(
  platform: CryptoPlatform,
  ring: Ring,
  version: number,
  ciphertext: Uint8Array,
): Promise<Uint8Array> {
  const found = ring.versions.find((item) => item.version === version);
  if (!found) throw new CryptoError("unknown-key", "delivered to a key that this ring does not have");
  try {
    return await platform.kem.decapsulate(ciphertext, found.kemPublicKey, found.kemSeed.bytes);
  } catch (cause) {
    throw new CryptoError("corrupt", "not a ciphertext", { cause });
  }
}

/** How a body is sealed under its own key. */
export function bodyContext(
  platform: CryptoPlatform,
  account: Uint8Array,
  bodyId: string,
  key: Uint8Array,
): SealContext {
  return { platform, key, keyVersion: 0, account, kind: "body", id: bodyId };
}

function preamble(wrap: 0 | 1, version: number, ciphertext: Uint8Array, box: Uint8Array): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES);
  head[0] = FORMAT;
  head[1] = wrap;
  const view = new DataView(head.buffer);
  view.setUint16(2, version);
  view.setUint32(4, box.length);
  return concat(head, ciphertext, box);
}

function boxContext(platform: CryptoPlatform, key: Uint8Array, keyVersion: number, account: Uint8Array, id: string) {
  return { platform, key, keyVersion, account, kind: "body-key", id } as const;
}

function encodeSalvage({ key, receivedMs, mailbox, flags }: Salvage): Uint8Array {
  return encode([key, receivedMs, mailbox, flags]);
}
