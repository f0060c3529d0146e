import { hexText } from "../bay/entry.ts";
import { asStoreFailure } from "../bay/store-failure.ts";
import {
  concat,
  equalBytes,
  findHost,
  hostId,
  SIGNATURE_BYTES,
  type SigningKeyPair,
  sign,
  utf8,
  verify,
} from "../crypto/index.ts";
import { folderOf } from "../storage/object-kinds.ts";
import type { ObjectStore } from "../storage/object-store.ts";

/** Records of restores: the log says of each that UIDVALIDITY rose since. */
export const RESTORED = "restore";

/**
 * The mark of an account that was brought back from a backup: it tells every host that opens the account
 * (docs/formats/log.md), and is signed by the host that did it:
 *
 *     restored   "restante: restored" ‖ format 1 ‖ host 8 ‖ account 16 ‖ restore 16 ‖ signature 64
 *
 * The restore's number is random. Each host goes along with each number once: put back, the mark says nothing any more.
 */
export const RESTORED_NAME: string = `${folderOf("public")}restored`;
const MAGIC: Uint8Array = utf8("restante: restored");
const FORMAT = 1;
const HOST_AT: number = MAGIC.length + 1;
const ACCOUNT_AT: number = HOST_AT + 8;
const RESTORE_AT: number = ACCOUNT_AT + 16;
const SIGNED_BYTES: number = RESTORE_AT + 16;

export function makeRestoredMark(signer: SigningKeyPair, account: Uint8Array, restore: Uint8Array): Uint8Array {
  const head = concat(MAGIC, Uint8Array.of(FORMAT), hostId(signer.publicKey), account, restore);
  return concat(head, sign(head, signer.secretKey));
}

/** The number of the restore, in hex; undefined unless this is of the account and one of the hosts of `trusted` signed it. */
export function openRestoredMark(
  bytes: Uint8Array,
  account: Uint8Array,
  trusted: readonly Uint8Array[],
): string | undefined {
  if (bytes.length !== SIGNED_BYTES + SIGNATURE_BYTES || bytes[MAGIC.length] !== FORMAT) return undefined;
  if (!equalBytes(bytes.subarray(0, MAGIC.length), MAGIC)) return undefined;
  if (!equalBytes(bytes.subarray(ACCOUNT_AT, RESTORE_AT), account)) return undefined;
  const host = findHost(trusted, bytes.subarray(HOST_AT, ACCOUNT_AT));
  if (!host || !verify(bytes.slice(SIGNED_BYTES), bytes.slice(0, SIGNED_BYTES), host)) return undefined;
  return hexText(bytes.subarray(RESTORE_AT, SIGNED_BYTES));
}

/** The restore that the store tells of, if it does. Errors: `unavailable`. */
export async function findRestore(
  store: ObjectStore,
  prefix: string,
  account: Uint8Array,
  trusted: readonly Uint8Array[],
): Promise<string | undefined> {
  const got = await asStoreFailure(store.get(prefix + RESTORED_NAME));
  return got.found ? openRestoredMark(got.bytes, account, trusted) : undefined;
}
