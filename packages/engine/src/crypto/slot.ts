import { encode } from "cborg";
import { decodeCbor } from "./cbor.ts";
import { CryptoError } from "./errors.ts";
import type { Argon2Lane, Argon2Parameters, CryptoPlatform } from "./platform.ts";
import { concat, deriveKey, equalBytes, hash, keyedHash, utf8 } from "./primitives.ts";
import { currentVersion, decodeRing, encodeRing, purposeKey, type Ring } from "./ring.ts";
import { keyVersionOf, openObject, sealObject } from "./sealed-object.ts";

/**
 * Key slots (docs/formats/ring-and-slots.md): the ring sealed under one secret, one immutable object a slot.
 *
 *     slot     format 1 ‖ kind 1 ‖ account 16 ‖ salt 32 ‖ memory KiB 4 ‖ passes 4 ‖ parallelism 1 ‖ commitment 32 ‖ sealed ring
 *
 * The slot of an app password or a token also holds its label, sealed under the ring, so that the owner can tell one from
 * another: format 2, where the sealed ring has its length (4) in front and the sealed label behind.
 *
 * A password goes through Argon2id (after the pepper, a MAC under a key that is not in the store); codes of 128 random
 * bits need no slow function. ChaCha20-Poly1305 commits to no key, so a slot says which key is meant: the commitment.
 */
const SLOT_FORMAT = 1;
const LABELLED_FORMAT = 2;
const SLOT_KINDS = { password: 1, recovery: 2, app: 3, token: 4 } as const;
export type SlotKind = keyof typeof SLOT_KINDS;
const SALT_BYTES = 32;
const HEAD_BYTES: number = 2 + 16 + SALT_BYTES + 9 + 32;

export const PASSWORD_PARAMETERS: Argon2Parameters = { memoryKiB: 64 * 1024, passes: 3, parallelism: 1 };
/** A slot that asks for more than this is hostile. */
const MEMORY_KIB_MAX: number = 128 * 1024;
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

/** The owner's name of an app password or a token, and when it was made. */
export interface SlotLabel {
  readonly text: string;
  readonly madeMs: number;
  /** Tokens only. */
  readonly terms?: TokenTerms;
}

/** Until when a token is good, and for what: RFC 6749 §3.3. */
export interface TokenTerms {
  readonly expiresMs: number;
  readonly scope: string;
}

export interface SlotOptions {
  readonly parameters?: Argon2Parameters;
  readonly label?: SlotLabel;
}

/** Seals `ring` under the secret. `name` is the object's name within the account. */
export async function makeSlot(
  platform: CryptoPlatform,
  name: string,
  secret: SlotSecret,
  ring: Ring,
  { parameters = PASSWORD_PARAMETERS, label }: SlotOptions = {},
): Promise<Uint8Array> {
  const used = secret.kind === "password" ? parameters : NO_KDF;
  const salt = platform.random(SALT_BYTES);
  const key = await slotKey(platform, secret, salt, used, "known");
  const head = new Uint8Array(HEAD_BYTES);
  head[0] = label ? LABELLED_FORMAT : SLOT_FORMAT;
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
  if (!label) return concat(head, sealed);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, sealed.length);
  const { version } = currentVersion(ring);
  const terms = label.terms ? [label.terms.expiresMs, label.terms.scope] : [];
  const box = sealObject(labelContext(platform, ring, version, name), encode([label.text, label.madeMs, ...terms]));
  return concat(head, length, sealed, box);
}

/** The sealed ring in a slot, and the sealed label behind it, if there is one. Throws CryptoError `corrupt`. */
function splitSlot(bytes: Uint8Array): { readonly ring: Uint8Array; readonly label: Uint8Array | undefined } {
  const short = bytes.length < HEAD_BYTES;
  if (!short && bytes[0] === SLOT_FORMAT) return { ring: bytes.subarray(HEAD_BYTES), label: undefined };
  if (short || bytes[0] !== LABELLED_FORMAT || bytes.length < HEAD_BYTES + 4)
    throw new CryptoError("corrupt", "key slot can't be read");
  const end = HEAD_BYTES + 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(HEAD_BYTES);
  return { ring: bytes.subarray(HEAD_BYTES + 4, end), label: bytes.subarray(end) };
}

/** The label of an app password's slot, or a token's. Throws CryptoError. */
export function openSlotLabel(platform: CryptoPlatform, name: string, bytes: Uint8Array, ring: Ring): SlotLabel {
  const { label } = splitSlot(bytes);
  if (!label) throw new CryptoError("corrupt", "key slot has no label");
  const value = decodeCbor(openObject(labelContext(platform, ring, keyVersionOf(label), name), label), "label");
  const [text, madeMs, expiresMs, scope] = Array.isArray(value) ? (value as unknown[]) : [];
  if (typeof text !== "string" || typeof madeMs !== "number") throw new CryptoError("corrupt", "label can't be read");
  if (bytes[1] !== SLOT_KINDS.token) return { text, madeMs };
  if (typeof expiresMs !== "number" || typeof scope !== "string")
    throw new CryptoError("corrupt", "label can't be read");
  return { text, madeMs, terms: { expiresMs, scope } };
}

function labelContext(platform: CryptoPlatform, ring: Ring, version: number, name: string) {
  const key = purposeKey(ring, version, "log");
  return { platform, key, keyVersion: version, account: ring.account, kind: "slot-label", id: name } as const;
}

/** True for a password's slot whose parameters cost a guesser less than those of new slots. */
export function isWeakSlot(bytes: Uint8Array): boolean {
  const { memoryKiB, passes, parallelism } = parametersOf(bytes);
  const now = PASSWORD_PARAMETERS;
  return memoryKiB < now.memoryKiB || passes < now.passes || parallelism < now.parallelism;
}

function parametersOf(bytes: Uint8Array): Argon2Parameters {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { memoryKiB: view.getUint32(50), passes: view.getUint32(54), parallelism: bytes[58]! };
}

/** The ring, or undefined if this is not the slot's secret. Rejects with CryptoError `corrupt`, or `busy`. */
export async function openSlot(
  platform: CryptoPlatform,
  name: string,
  bytes: Uint8Array,
  secret: SlotSecret,
  lane: Argon2Lane = "known",
): Promise<Ring | undefined> {
  const { ring: sealed } = splitSlot(bytes);
  if (bytes[1] !== SLOT_KINDS[secret.kind]) throw new CryptoError("corrupt", "key slot of another kind");
  const parameters = parametersOf(bytes);
  if (secret.kind === "password" && !isSane(parameters)) throw new CryptoError("corrupt", "key slot asks for too much");
  const account = bytes.slice(2, 18);
  const key = await slotKey(platform, secret, bytes.slice(18, 50), parameters, lane);
  try {
    if (!equalBytes(keyedHash(key, utf8("commitment")), bytes.slice(59, 91))) return undefined;
    const plain = openObject(contextOf(platform, key, account, name), sealed);
    const ring = decodeRing(plain);
    plain.fill(0);
    if (!equalBytes(ring.account, account)) throw new CryptoError("corrupt", "key slot of another account");
    return ring;
  } finally {
    key.fill(0);
  }
}

/** Takes what it takes to try a secret on a slot, where there is none: so that it can't be told by the time. Rejects with
 * CryptoError `busy`. */
export async function tryNoSlot(platform: CryptoPlatform, secret: SlotSecret, lane: Argon2Lane): Promise<void> {
  (await slotKey(platform, secret, platform.random(SALT_BYTES), PASSWORD_PARAMETERS, lane)).fill(0);
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
  lane: Argon2Lane,
): Promise<Uint8Array> {
  if (kind !== "password") return deriveKey(keyedHash(salt, secret), `slot:${kind}`);
  const input = pepper ? keyedHash(pepper, secret) : secret;
  return deriveKey(await platform.argon2id(input, salt, parameters, 32, lane), "slot:password");
}

function contextOf(platform: CryptoPlatform, key: Uint8Array, account: Uint8Array, name: string) {
  return { platform, key: deriveKey(key, "ring"), keyVersion: 0, account, kind: "slot", id: name } as const;
}

// Codes that a person keeps: 128 random bits in Crockford's base 32, with a check of 2 characters.

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const CODE_BYTES = 16;
const CODE_CHARS = 26;
const CHECK_CHARS = 2;

/** `xxxx-xxxx-…`: the code and its check. */
export function formatCode(code: Uint8Array): string {
  return inGroups(writeBase32(code, CODE_CHARS) + checkOf(code));
}

/** The code's 16 bytes; undefined for what can't be one (a slip of the pen is found by the check). */
export function parseCode(text: string): Uint8Array | undefined {
  const chars = plainChars(text);
  if (chars.length !== CODE_CHARS + CHECK_CHARS) return undefined;
  const code = readBase32(chars.slice(0, CODE_CHARS), CODE_BYTES);
  return code && checkOf(code) === chars.slice(CODE_CHARS) ? code : undefined;
}

/** Random bytes of an app password's slot id; what its object is named after. */
export const APP_ID_BYTES = 5;
const APP_ID_CHARS = 8;

/** An app password: its slot's id, so that one request finds the slot, and a code. */
export function formatAppPassword(id: Uint8Array, code: Uint8Array): string {
  return inGroups(formatAppId(id) + writeBase32(code, CODE_CHARS) + checkOf(concat(id, code)));
}

export function formatAppId(id: Uint8Array): string {
  return writeBase32(id, APP_ID_CHARS);
}

/** The id as text and the code; undefined for what can't be an app password. */
export function parseAppPassword(text: string): { readonly id: string; readonly code: Uint8Array } | undefined {
  const chars = plainChars(text);
  if (chars.length !== APP_ID_CHARS + CODE_CHARS + CHECK_CHARS) return undefined;
  const id = readBase32(chars.slice(0, APP_ID_CHARS), APP_ID_BYTES);
  const code = readBase32(chars.slice(APP_ID_CHARS, -CHECK_CHARS), CODE_BYTES);
  if (!id || !code || checkOf(concat(id, code)) !== chars.slice(-CHECK_CHARS)) return undefined;
  return { id: formatAppId(id), code };
}

function inGroups(chars: string): string {
  return chars.match(/.{1,4}/g)!.join("-");
}

/** The recovery code in a text that a person typed, without what they may have added or mistaken. */
function plainChars(text: string): string {
  return text.toLowerCase().replace(/[\s-]/g, "").replaceAll("o", "0").replace(/[il]/g, "1");
}

function writeBase32(bytes: Uint8Array, chars: number): string {
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  let text = "";
  for (let i = 0; i < chars; i++) {
    text = ALPHABET[Number(bits & 31n)]! + text;
    bits >>= 5n;
  }
  return text;
}

function readBase32(chars: string, length: number): Uint8Array | undefined {
  let bits = 0n;
  for (const char of chars) {
    const value = ALPHABET.indexOf(char);
    if (value < 0) return undefined;
    bits = (bits << 5n) | BigInt(value);
  }
  if (bits >> BigInt(length * 8)) return undefined;
  const bytes = new Uint8Array(length);
  for (let at = length - 1; at >= 0; at--) {
    bytes[at] = Number(bits & 255n);
    bits >>= 8n;
  }
  return bytes;
}

function checkOf(code: Uint8Array): string {
  const [a, b] = hash(concat(utf8("restante:code"), code));
  return ALPHABET[a! & 31]! + ALPHABET[b! & 31]!;
}
