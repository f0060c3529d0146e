import { CryptoError } from "./errors.ts";
import type { Argon2Parameters, CryptoPlatform } from "./platform.ts";
import { concat, deriveKey, equalBytes, hash, keyedHash, utf8 } from "./primitives.ts";
import { decodeRing, encodeRing, type Ring } from "./ring.ts";
import { openObject, sealObject } from "./sealed-object.ts";

/**
 * Key slots (docs/formats/ring-and-slots.md): the ring sealed under one secret, one immutable object a slot.
 *
 *     slot     format 1 ‖ kind 1 ‖ account 16 ‖ salt 32 ‖ memory KiB 4 ‖ passes 4 ‖ parallelism 1 ‖ commitment 32 ‖ sealed ring
 *
 * A password goes through Argon2id (after the pepper, a MAC under a key that is not in the store); codes of 128 random
 * bits need no slow function. ChaCha20-Poly1305 commits to no key, so a slot says which key is meant: the commitment.
 */
const SLOT_FORMAT = 1;
const SLOT_KINDS = { password: 1, recovery: 2, app: 3 } as const;
export type SlotKind = keyof typeof SLOT_KINDS;
const SALT_BYTES = 32;
const HEAD_BYTES: number = 2 + 16 + SALT_BYTES + 9 + 32;

export const PASSWORD_PARAMETERS: Argon2Parameters = { memoryKiB: 64 * 1024, passes: 3, parallelism: 1 };
/** A slot that asks for more than this is hostile. */
const MEMORY_KIB_MAX: number = 1024 * 1024;
const PASSES_MAX = 16;
const PARALLELISM_MAX = 8;
const NO_KDF: Argon2Parameters = { memoryKiB: 0, passes: 0, parallelism: 0 };

export interface SlotSecret {
  readonly kind: SlotKind;
  /** The password's UTF-8, or the code's 16 bytes. */
  readonly secret: Uint8Array;
  /** Passwords only: a key of the front end's configuration. */
  readonly pepper?: Uint8Array;
}

/** Seals `ring` under the secret. `name` is the object's name within the account. */
export async function makeSlot(
  platform: CryptoPlatform,
  name: string,
  secret: SlotSecret,
  ring: Ring,
  parameters: Argon2Parameters = PASSWORD_PARAMETERS,
): Promise<Uint8Array> {
  const used = secret.kind === "password" ? parameters : NO_KDF;
  const salt = platform.random(SALT_BYTES);
  const key = await slotKey(platform, secret, salt, used);
  const head = new Uint8Array(HEAD_BYTES);
  head[0] = SLOT_FORMAT;
  head[1] = SLOT_KINDS[secret.kind];
  head.set(ring.account, 2);
  head.set(salt, 18);
  const view = new DataView(head.buffer);
  view.setUint32(50, used.memoryKiB);
  view.setUint32(54, used.passes);
  head[58] = used.parallelism;
  head.set(keyedHash(key, utf8("commitment")), 59);
  const plain = encodeRing(ring);
  const sealed = sealObject(contextOf(platform, key, ring.account, name), plain);
  plain.fill(0);
  key.fill(0);
  return concat(head, sealed);
}

/** The ring, or undefined if this is not the slot's secret. Rejects with CryptoError `corrupt`, or `busy`. */
export async function openSlot(
  platform: CryptoPlatform,
  name: string,
  bytes: Uint8Array,
  secret: SlotSecret,
): Promise<Ring | undefined> {
  if (bytes.length < HEAD_BYTES || bytes[0] !== SLOT_FORMAT || bytes[1] !== SLOT_KINDS[secret.kind])
    throw new CryptoError("corrupt", "key slot can't be read");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const parameters = { memoryKiB: view.getUint32(50), passes: view.getUint32(54), parallelism: bytes[58]! };
  if (secret.kind === "password" && !isSane(parameters)) throw new CryptoError("corrupt", "key slot asks for too much");
  const account = bytes.slice(2, 18);
  const key = await slotKey(platform, secret, bytes.slice(18, 50), parameters);
  try {
    if (!equalBytes(keyedHash(key, utf8("commitment")), bytes.slice(59, 91))) return undefined;
    const plain = openObject(contextOf(platform, key, account, name), bytes.subarray(HEAD_BYTES));
    const ring = decodeRing(plain);
    plain.fill(0);
    if (!equalBytes(ring.account, account)) throw new CryptoError("corrupt", "key slot of another account");
    return ring;
  } finally {
    key.fill(0);
  }
}

function isSane({ memoryKiB, passes, parallelism }: Argon2Parameters): boolean {
  const inRange = (value: number, max: number): boolean => value >= 1 && value <= max;
  return inRange(memoryKiB, MEMORY_KIB_MAX) && inRange(passes, PASSES_MAX) && inRange(parallelism, PARALLELISM_MAX);
}

async function slotKey(
  platform: CryptoPlatform,
  { kind, secret, pepper }: SlotSecret,
  salt: Uint8Array,
  parameters: Argon2Parameters,
): Promise<Uint8Array> {
  if (kind !== "password") return deriveKey(keyedHash(salt, secret), `slot:${kind}`);
  const input = pepper ? keyedHash(pepper, secret) : secret;
  return deriveKey(await platform.argon2id(input, salt, parameters, 32), "slot:password");
}

function contextOf(platform: CryptoPlatform, key: Uint8Array, account: Uint8Array, name: string) {
  return { platform, key: deriveKey(key, "ring"), keyVersion: 0, account, kind: "slot", id: name } as const;
}

// Codes that a person keeps: 128 random bits in Crockford's base 32, with a check of 2 characters.

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const CODE_CHARS = 26;

/** `xxxxx-xxxxx-…`: the code and its check. */
export function formatCode(code: Uint8Array): string {
  let bits = 0n;
  for (const byte of code) bits = (bits << 8n) | BigInt(byte);
  let text = "";
  for (let i = 0; i < CODE_CHARS; i++) {
    text = ALPHABET[Number(bits & 31n)]! + text;
    bits >>= 5n;
  }
  return (text + checkOf(code)).match(/.{1,4}/g)!.join("-");
}

/** The code's 16 bytes; undefined for what can't be one (a slip of the pen is found by the check). */
export function parseCode(text: string): Uint8Array | undefined {
  const chars = text.toLowerCase().replace(/[\s-]/g, "").replaceAll("o", "0").replace(/[il]/g, "1");
  if (chars.length !== CODE_CHARS + 2) return undefined;
  let bits = 0n;
  for (const char of chars.slice(0, CODE_CHARS)) {
    const value = ALPHABET.indexOf(char);
    if (value < 0) return undefined;
    bits = (bits << 5n) | BigInt(value);
  }
  if (bits >> 128n) return undefined;
  const code = new Uint8Array(16);
  for (let at = 15; at >= 0; at--) {
    code[at] = Number(bits & 255n);
    bits >>= 8n;
  }
  return checkOf(code) === chars.slice(CODE_CHARS) ? code : undefined;
}

function checkOf(code: Uint8Array): string {
  const [a, b] = hash(concat(utf8("restante:code"), code));
  return ALPHABET[a! & 31]! + ALPHABET[b! & 31]!;
}
