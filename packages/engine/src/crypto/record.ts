import { encode } from "cborg";
import { decodeCbor } from "./cbor.ts";
import { CryptoError } from "./errors.ts";
import {
  concat,
  equalBytes,
  hash,
  KEM_PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
  sign,
  signingKeyPair,
  utf8,
  verify,
} from "./primitives.ts";
import { currentVersion, purposeKey, type Ring } from "./ring.ts";

/**
 * The recipient record (docs/formats/ring-and-slots.md): what a deliverer needs to know of an account. It lies where others can
 * write, so the ring signs it: each version's signing key is signed by the one before it, and the last one signs the key
 * that mail is sealed to. A process that knows one record of an account can tell whether its owner made another.
 *
 *     record   CBOR [2, account 16, key version, KEM public key, [link …], signature 64]
 *     link     [key version, signing public key 32, signature 64 by the link before it]
 */
export interface RecipientRecord {
  readonly account: Uint8Array;
  readonly keyVersion: number;
  readonly kemPublicKey: Uint8Array;
  /** Absent in a record of format 1, which nobody signed. */
  readonly proof: RecordProof | undefined;
}
export interface RecordProof {
  /** Oldest first; the last one's version is the record's. */
  readonly chain: readonly RecordLink[];
  readonly signature: Uint8Array;
}
export interface RecordLink {
  readonly version: number;
  readonly publicKey: Uint8Array;
  /** By the link before; of the first one, which nobody can check, no bytes. */
  readonly signature: Uint8Array;
}

const UNSIGNED = 1;
const SIGNED = 2;
const SIGNING_KEY_BYTES = 32;
/** Links of a record: who last saw an older one has to be told to trust it. */
const LINKS_MAX = 64;

/** The record of a ring; the same ring gives the same bytes. */
export function recipientRecord(ring: Ring): RecipientRecord {
  const { account } = ring;
  const { version, kemPublicKey } = currentVersion(ring);
  const chain: RecordLink[] = [];
  let secretKey: Uint8Array | undefined;
  for (const item of ring.versions.slice(-LINKS_MAX)) {
    const pair = signingKeyPair(purposeKey(ring, item.version, "sign"));
    const link = { version: item.version, publicKey: pair.publicKey };
    const signature = secretKey ? sign(linkText(account, link), secretKey) : new Uint8Array(0);
    secretKey?.fill(0);
    ({ secretKey } = pair);
    chain.push({ ...link, signature });
  }
  const record = { account, keyVersion: version, kemPublicKey };
  const signature = sign(recordText(record), secretKey!);
  secretKey!.fill(0);
  return { ...record, proof: { chain, signature } };
}

/** True if the owner of `known` made `record`, then or later. An unsigned record is followed by its signed self alone. A
 * signed one is followed by records whose chain leads on from its last link, itself among them. */
export function follows(record: RecipientRecord, known: RecipientRecord): boolean {
  if (!equalBytes(record.account, known.account)) return false;
  if (!known.proof) {
    const isSame = record.keyVersion === known.keyVersion && equalBytes(record.kemPublicKey, known.kemPublicKey);
    return isSame && (!record.proof || follows(record, record));
  }
  if (!record.proof) return false;
  const { chain, signature } = record.proof;
  const from = known.proof.chain.at(-1)!;
  const at = chain.findIndex(
    ({ version, publicKey }) => version === from.version && equalBytes(publicKey, from.publicKey),
  );
  if (at < 0) return false;
  const isLed = chain.slice(at + 1).every((link, index) => {
    const signer = chain[at + index]!;
    return link.version > signer.version && verify(link.signature, linkText(record.account, link), signer.publicKey);
  });
  return isLed && verify(signature, recordText(record), chain.at(-1)!.publicKey);
}

export function isSameRecord(one: RecipientRecord, other: RecipientRecord): boolean {
  return equalBytes(encodeRecipientRecord(one), encodeRecipientRecord(other));
}

/** The fingerprint that people compare: 32 hexadecimal digits of the hash of the key that mail is sealed to, in groups of
 * four. */
export function fingerprintOf({ kemPublicKey }: Pick<RecipientRecord, "kemPublicKey">): string {
  const digits = Array.from(hash(kemPublicKey).subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.match(/.{4}/g)!.join(" ");
}

function linkText(account: Uint8Array, { version, publicKey }: Pick<RecordLink, "version" | "publicKey">): Uint8Array {
  return concat(utf8("restante:record-link"), encode([account, version, publicKey]));
}

function recordText({ account, keyVersion, kemPublicKey }: Omit<RecipientRecord, "proof">): Uint8Array {
  return concat(utf8("restante:record"), encode([account, keyVersion, kemPublicKey]));
}

export function encodeRecipientRecord({ account, keyVersion, kemPublicKey, proof }: RecipientRecord): Uint8Array {
  if (!proof) return encode([UNSIGNED, account, keyVersion, kemPublicKey]);
  const chain = proof.chain.map(({ version, publicKey, signature }) => [version, publicKey, signature]);
  return encode([SIGNED, account, keyVersion, kemPublicKey, chain, proof.signature]);
}

/** The record; whether its signatures are good is for {@link follows}. Throws CryptoError `corrupt`. */
export function decodeRecipientRecord(bytes: Uint8Array): RecipientRecord {
  const value = decodeCbor(bytes, "public key record");
  if (!Array.isArray(value)) throw badRecord();
  const [format, account, keyVersion, kemPublicKey, chain, signature] = value as unknown[];
  const isWhole = (format === UNSIGNED && value.length === 4) || (format === SIGNED && value.length === 6);
  if (!isWhole || !isBytes(account, 16) || !isVersion(keyVersion) || !isBytes(kemPublicKey, KEM_PUBLIC_KEY_BYTES))
    throw badRecord();
  const record = { account, keyVersion, kemPublicKey };
  if (format === UNSIGNED) return { ...record, proof: undefined };
  if (!Array.isArray(chain) || chain.length === 0 || chain.length > LINKS_MAX || !isBytes(signature, SIGNATURE_BYTES))
    throw badRecord();
  const links = chain.map((item: unknown, index) => decodeLink(item, index === 0));
  const isAscending = links.every(({ version }, index) => index === 0 || version > links[index - 1]!.version);
  if (!isAscending || links.at(-1)!.version !== keyVersion) throw badRecord();
  return { ...record, proof: { chain: links, signature } };
}

function decodeLink(value: unknown, isFirst: boolean): RecordLink {
  if (!Array.isArray(value) || value.length !== 3) throw badRecord();
  const [version, publicKey, signature] = value as unknown[];
  if (!isVersion(version) || !isBytes(publicKey, SIGNING_KEY_BYTES)) throw badRecord();
  if (!isBytes(signature, isFirst ? 0 : SIGNATURE_BYTES)) throw badRecord();
  return { version, publicKey, signature };
}

function isBytes(value: unknown, length: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === length;
}

function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function badRecord(): CryptoError {
  return new CryptoError("corrupt", "bad public key record");
}
