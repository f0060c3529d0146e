import { hexBytes } from "../bay/entry.ts";
import { END_MAGIC, type EndReason, type LogEnd } from "../bay/log-end.ts";
import type { Position } from "../bay/position.ts";
import {
  concat,
  equalBytes,
  findHost,
  HASH_BYTES,
  hash,
  hostId,
  SIGNATURE_BYTES,
  type SigningKeyPair,
  sign,
  utf8,
  verify,
} from "../crypto/index.ts";

/**
 * The bytes that end a log (docs/formats/log.md), signed by the host that ended it:
 *
 *     end   4 zeros ‖ "restante: end" ‖ format 2 ‖ reason 1 ‖ host 8 ‖ account 16 ‖ entry 8 ‖ hash of the entry before 32 ‖ signature 64
 *
 * Format 1 was the 4 zeros and "restante: moved" alone: nobody signed it, so it is not believed.
 */
const MAGIC: Uint8Array = concat(END_MAGIC, utf8("end"));
const FORMAT = 2;
const REASONS: readonly EndReason[] = ["moved", "deleted"];
const HOST_AT: number = MAGIC.length + 2;
const ACCOUNT_AT: number = HOST_AT + 8;
const ENTRY_AT: number = ACCOUNT_AT + 16;
const PREVIOUS_AT: number = ENTRY_AT + 8;
const SIGNED_BYTES: number = PREVIOUS_AT + HASH_BYTES;
const END_BYTES: number = SIGNED_BYTES + SIGNATURE_BYTES;

/** The account's id, out of the prefix of its objects. */
export function accountOfPrefix(prefix: string): Uint8Array {
  return hexBytes(prefix.slice(0, 32));
}

/** The bytes of the entry `entry`, behind one of the bytes `before`, which end the log of an account. */
export function makeEndMark(
  signer: SigningKeyPair,
  account: Uint8Array,
  reason: EndReason,
  entry: Position,
  before: Uint8Array | undefined,
): Uint8Array {
  const head = new Uint8Array(SIGNED_BYTES);
  head.set(MAGIC);
  head[MAGIC.length] = FORMAT;
  head[MAGIC.length + 1] = REASONS.indexOf(reason);
  head.set(hostId(signer.publicKey), HOST_AT);
  head.set(account, ACCOUNT_AT);
  new DataView(head.buffer).setBigUint64(ENTRY_AT, BigInt(entry));
  if (before) head.set(hash(before), PREVIOUS_AT);
  return concat(head, sign(signedText(head), signer.secretKey));
}

/** The end of this account's log in these bytes; undefined unless one of the hosts of `trusted` signed it. */
export function openEndMark(
  bytes: Uint8Array,
  account: Uint8Array,
  trusted: readonly Uint8Array[],
): LogEnd | undefined {
  if (bytes.length !== END_BYTES || !equalBytes(bytes.subarray(0, MAGIC.length), MAGIC)) return undefined;
  const reason = REASONS[bytes[MAGIC.length + 1]!];
  if (bytes[MAGIC.length] !== FORMAT || reason === undefined) return undefined;
  if (!equalBytes(bytes.subarray(ACCOUNT_AT, ENTRY_AT), account)) return undefined;
  const host = findHost(trusted, bytes.subarray(HOST_AT, ACCOUNT_AT));
  const signed = signedText(bytes.subarray(0, SIGNED_BYTES));
  if (!host || !verify(bytes.slice(SIGNED_BYTES), signed, host)) return undefined;
  const entry = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(ENTRY_AT);
  return { reason, entry: Number(entry) as Position, previous: bytes.slice(PREVIOUS_AT, SIGNED_BYTES) };
}

/** True for an end that tells of a deletion, whoever wrote it. */
export function isDeletion(bytes: Uint8Array): boolean {
  return bytes.length === END_BYTES && REASONS[bytes[MAGIC.length + 1]!] === "deleted";
}

function signedText(head: Uint8Array): Uint8Array {
  return concat(utf8("restante:end"), head);
}
