import { encode } from "cborg";
import { decodeCbor } from "./cbor.ts";
import { CryptoError } from "./errors.ts";
import { concat, equalBytes, SIGNATURE_BYTES, sign, signingKeyPair, utf8, verify } from "./primitives.ts";
import type { RecipientRecord } from "./record.ts";
import { currentVersion, purposeKey, type Ring } from "./ring.ts";

/**
 * Facts of an account for delivering processes (docs/formats/outbound.md): how full it is, and whether its owner is away.
 * Others can write to their place, so the ring signs them, by the key that signs the recipient record.
 *
 *     facts   CBOR [1, account 16, key version, made ms, MiB, messages, MiB at most or null, messages at most or null,
 *             [away from ms or null, until ms or null] or null, signature 64]
 */
export interface AccountFacts {
  readonly madeMs: number;
  /** Rounded up to whole MiB. */
  readonly mebibytes: number;
  readonly messages: number;
  readonly mebibytesMax: number | undefined;
  readonly messagesMax: number | undefined;
  /** Undefined: nothing is answered. */
  readonly away: { readonly fromMs: number | undefined; readonly untilMs: number | undefined } | undefined;
}

const FORMAT = 1;

export function makeAccountFacts(ring: Ring, facts: AccountFacts): Uint8Array {
  const { version } = currentVersion(ring);
  const fields = fieldsOf(ring.account, version, facts);
  const { secretKey } = signingKeyPair(purposeKey(ring, version, "sign"));
  const signature = sign(signedText(fields), secretKey);
  secretKey.fill(0);
  return encode([...fields, signature]);
}

function fieldsOf(account: Uint8Array, version: number, facts: AccountFacts): unknown[] {
  const { madeMs, mebibytes, messages, mebibytesMax = null, messagesMax = null, away } = facts;
  const when = away ? [away.fromMs ?? null, away.untilMs ?? null] : null;
  return [FORMAT, account, version, madeMs, mebibytes, messages, mebibytesMax, messagesMax, when];
}

function signedText(fields: readonly unknown[]): Uint8Array {
  return concat(utf8("restante:account-facts"), encode(fields));
}

/** The facts that the owner of `record` signed, by any of its keys. Throws CryptoError `corrupt`. */
export function readAccountFacts(record: RecipientRecord, bytes: Uint8Array): AccountFacts {
  const value = decodeCbor(bytes, "facts");
  if (!Array.isArray(value) || value.length !== 10) throw badFacts();
  const fields = value.slice(0, 9) as unknown[];
  const signature: unknown = value[9];
  const [format, account, version, madeMs, mebibytes, messages, mebibytesMax, messagesMax, when] = fields;
  const isRight =
    format === FORMAT &&
    account instanceof Uint8Array &&
    equalBytes(account, record.account) &&
    isCount(madeMs) &&
    isCount(mebibytes) &&
    isCount(messages) &&
    isOptional(mebibytesMax, isCount) &&
    isOptional(messagesMax, isCount) &&
    isOptional(when, isSpan) &&
    signature instanceof Uint8Array &&
    signature.length === SIGNATURE_BYTES;
  if (!isRight) throw badFacts();
  const link = record.proof?.chain.find((one) => one.version === version);
  if (!link || !verify(signature, signedText(fields), link.publicKey))
    throw new CryptoError("corrupt", "facts are signed by nobody of this account");
  return {
    madeMs,
    mebibytes,
    messages,
    mebibytesMax: mebibytesMax ?? undefined,
    messagesMax: messagesMax ?? undefined,
    away: when === null ? undefined : { fromMs: when[0] ?? undefined, untilMs: when[1] ?? undefined },
  };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isSpan(value: unknown): value is [number | null, number | null] {
  const isTime = (ms: unknown): boolean => ms === null || Number.isSafeInteger(ms);
  return Array.isArray(value) && value.length === 2 && value.every(isTime);
}

function isOptional<T>(value: unknown, is: (value: unknown) => value is T): value is T | null {
  return value === null || is(value);
}

function badFacts(): CryptoError {
  return new CryptoError("corrupt", "facts can't be read");
}
