import { encode } from "cborg";
import { decapsulate, type Encapsulated } from "./body.ts";
import { decodeCbor } from "./cbor.ts";
import { CryptoError } from "./errors.ts";
import type { CryptoPlatform } from "./platform.ts";
import {
  concat,
  deriveKey,
  equalBytes,
  hash,
  KEM_CIPHERTEXT_BYTES,
  SIGNATURE_BYTES,
  type SigningKeyPair,
  sign,
  utf8,
} from "./primitives.ts";
import type { RecipientRecord } from "./record.ts";
import type { Ring } from "./ring.ts";
import { openObject, sealObject } from "./sealed-object.ts";

/**
 * A note (docs/formats/note.md): a delivered mail that waits for its owner. Anyone who has the public key can make one;
 * which host made it, and that none is missing, is signed.
 *
 *     note     length of the head 4 ‖ head ‖ signature 64 ‖ sealed summary ‖ [body: preamble ‖ sealed object]
 *     head     CBOR [format, key version, KEM ciphertext, host 8, stream 16, counter, [given up …], summary length]
 *
 * The signature covers the name and the head; the summary opens only under the head's KEM secret, which the store
 * doesn't know, so it need not be signed again.
 */
const FORMAT = 1;
const HEAD_BYTES_MAX = 65_536;

/** Where a delivery stands in its deliverer's dense numbering for this account. */
export interface NoteOrigin {
  /** The first 8 bytes of the hash of the host's public key. */
  readonly host: Uint8Array;
  /** 16 random bytes, new at each start of the delivering process. */
  readonly stream: Uint8Array;
  readonly counter: number;
  /** Numbers below it that were given to deliveries which failed for good. */
  readonly givenUp: readonly number[];
}

export interface OpenedNote {
  readonly origin: NoteOrigin;
  /** A trusted host signed it. */
  readonly verified: boolean;
  readonly summary: Uint8Array;
  /** Where the body begins, if it is inside; it reaches to the note's end. */
  readonly bodyOffset: number;
}

export function hostId(publicKey: Uint8Array): Uint8Array {
  return hash(publicKey).slice(0, 8);
}

/** The key of the host with this id, if it is one of `trusted`. */
export function findHost(trusted: readonly Uint8Array[], id: Uint8Array): Uint8Array | undefined {
  return trusted.find((key) => equalBytes(hostId(key), id));
}

/** A fresh secret for one recipient. It does not depend on the mail. */
export function encapsulate(platform: CryptoPlatform, to: RecipientRecord): Encapsulated {
  return platform.kem.encapsulate(to.kemPublicKey);
}

export function makeNote(
  platform: CryptoPlatform,
  to: RecipientRecord,
  note: {
    readonly name: string;
    readonly kem: Encapsulated;
    readonly origin: NoteOrigin;
    readonly summary: Uint8Array;
    readonly body?: Uint8Array;
  },
  signer: SigningKeyPair,
): Uint8Array {
  const { name, kem, origin } = note;
  const summary = sealObject(summaryContext(platform, kem.secret, to.keyVersion, to.account, name), note.summary);
  const head = encode([
    FORMAT,
    to.keyVersion,
    kem.ciphertext,
    origin.host,
    origin.stream,
    origin.counter,
    origin.givenUp,
    summary.length,
  ]);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, head.length);
  const signature = sign(signed(name, head), signer.secretKey);
  return concat(length, head, signature, summary, note.body ?? new Uint8Array(0));
}

/** Opens a note. `trusted` are the public keys of hosts. Throws CryptoError. */
export async function openNote(
  platform: CryptoPlatform,
  ring: Ring,
  name: string,
  bytes: Uint8Array,
  trusted: readonly Uint8Array[],
): Promise<OpenedNote> {
  const head = readHead(bytes);
  const signature = bytes.subarray(head.end, head.end + SIGNATURE_BYTES);
  const summaryAt = head.end + SIGNATURE_BYTES;
  const bodyOffset = summaryAt + head.summaryLength;
  if (bodyOffset > bytes.length) throw new CryptoError("corrupt", "note is cut off");
  const host = findHost(trusted, head.origin.host);
  const [verified, secret] = await Promise.all([
    host !== undefined && platform.verify(signature, signed(name, bytes.subarray(4, head.end)), host),
    decapsulate(platform, ring, head.keyVersion, head.ciphertext),
  ]);
  const context = summaryContext(platform, secret, head.keyVersion, ring.account, name);
  return {
    origin: head.origin,
    verified,
    summary: openObject(context, bytes.subarray(summaryAt, bodyOffset)),
    bodyOffset,
  };
}

function readHead(bytes: Uint8Array) {
  const length = bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  if (length === 0 || length > HEAD_BYTES_MAX || 4 + length + SIGNATURE_BYTES > bytes.length) throw badNote();
  const value = decodeCbor(bytes.subarray(4, 4 + length), "note");
  if (!Array.isArray(value) || value.length !== 8 || value[0] !== FORMAT) throw badNote();
  const [, keyVersion, ciphertext, host, stream, counter, givenUp, summaryLength] = value as unknown[];
  const good =
    isCount(keyVersion) &&
    isBytes(ciphertext, KEM_CIPHERTEXT_BYTES) &&
    isBytes(host, 8) &&
    isBytes(stream, 16) &&
    isCount(counter) &&
    Array.isArray(givenUp) &&
    givenUp.every(isCount) &&
    isCount(summaryLength);
  if (!good) throw badNote();
  return { end: 4 + length, keyVersion, ciphertext, origin: { host, stream, counter, givenUp }, summaryLength };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isBytes(value: unknown, length: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === length;
}

function badNote(): CryptoError {
  return new CryptoError("corrupt", "note can't be read");
}

function signed(name: string, head: Uint8Array): Uint8Array {
  return concat(utf8(`restante:note:${name}\n`), head);
}

function summaryContext(
  platform: CryptoPlatform,
  secret: Uint8Array,
  keyVersion: number,
  account: Uint8Array,
  id: string,
) {
  return { platform, key: deriveKey(secret, "note"), keyVersion, account, kind: "note", id } as const;
}
