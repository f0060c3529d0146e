import { NOWHERE } from "../../bay/position.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import {
  formatCode,
  makeRing,
  makeSlot,
  type Ring,
  recipientRecord,
  type SlotSecret,
  utf8,
} from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { Mail } from "../../mail/mail.ts";
import type { FolderSeed } from "../../mail/ops/op.ts";
import { checkPassword } from "../keys/password-rules.ts";
import { passwordSecret, passwordSlotName, recoverySlotName, type SlotTools } from "../keys/slots.ts";
import { deleteObjects } from "../moving/delete-account.ts";
import { openLog } from "../open-log.ts";
import { ADDRESS_BYTES_MAX, accountPrefix, normalizeAddress, type User, type UserDirectory } from "./users.ts";

/** The folders of a new account, subscribed: RFC 6154 §2. */
export const FOLDERS: readonly FolderSeed[] = [
  { path: "INBOX" },
  { path: "Drafts", specialUse: "\\Drafts" },
  { path: "Sent", specialUse: "\\Sent" },
  { path: "Trash", specialUse: "\\Trash" },
  { path: "Junk", specialUse: "\\Junk" },
  { path: "Archive", specialUse: "\\Archive" },
];

export interface SignUp extends SlotTools {
  readonly users: UserDirectory;
}

/** Makes an account. Resolves with the recovery code, which is shown once and kept nowhere. Errors: `already-exists`,
 * `invalid` (address or password). */
export async function signUp(
  tools: SignUp,
  address: string,
  password: string,
): Promise<{ readonly recoveryCode: string }> {
  const code = tools.platform.crypto.random(16);
  await makeAccount(tools, address, password, code);
  return { recoveryCode: formatCode(code) };
}

/** The same where nobody is there to read a recovery code: there is none, until `rotate` shows one. */
export function signUpUnseen(tools: SignUp, address: string, password: string): Promise<void> {
  return makeAccount(tools, address, password, undefined);
}

/**
 * The user comes last: whoever finds one finds a whole account. Its objects lie under an id that was never used, so what
 * comes to nothing is deleted without a look at others'. Killed in between, a few kilobytes of it stay: nobody can tell
 * them from an account whose user another host was not told of yet.
 */
async function makeAccount(
  tools: SignUp,
  address: string,
  password: string,
  code: Uint8Array | undefined,
): Promise<void> {
  const { users, platform } = tools;
  const normalized = normalizeAddress(address);
  checkAddress(normalized);
  checkPassword(password);
  if (await users.find(normalized)) throw new EngineError("already-exists", "an account of that address exists");
  using ring = makeRing(platform.crypto);
  const user = { address: normalized, record: recipientRecord(ring) };
  await users.prepare?.(user);
  try {
    await storeAccount(tools, ring, password, code);
  } catch (error) {
    await deleteNobodys(tools, user);
    throw error;
  }
  try {
    await users.add(user);
  } catch (error) {
    // The user may have been added, or be added yet.
    if (!isRefusal(error)) throw error;
    const found = await users.find(normalized);
    // A folder that is far away may answer the second try of what the first did.
    if (found && accountPrefix(found.record) === accountPrefix(user.record)) return;
    await deleteNobodys(tools, user);
    throw error;
  }
}

/** True for an error after which surely no user was added: the address is taken, or the directory has no such person. */
function isRefusal(error: unknown): boolean {
  return error instanceof EngineError && (error.code === "already-exists" || error.code === "not-found");
}

/** Deletes the objects of an account that was not made. A failure is only logged: the caller throws the error of the sign-up. */
async function deleteNobodys({ store, platform }: SignUp, { record }: User): Promise<void> {
  const prefix = accountPrefix(record);
  await deleteObjects(store, prefix).catch((error: unknown) =>
    platform.log({ level: "warn", event: "objects of an account that was not made stay", prefix, error }),
  );
}

async function storeAccount(
  { store, platform, pepper }: SlotTools,
  ring: Ring,
  password: string,
  code: Uint8Array | undefined,
): Promise<void> {
  const { crypto } = platform;
  const prefix = accountPrefix(ring);
  const slots: Record<string, SlotSecret> = { [passwordSlotName(crypto, 1)]: passwordSecret(pepper, password) };
  if (code) slots[recoverySlotName(crypto.random(8))] = { kind: "recovery", secret: code };
  for (const [name, secret] of Object.entries(slots))
    await asStoreFailure(store.putIfAbsent(prefix + name, await makeSlot(crypto, name, secret, ring)));
  const { bay } = await openLog(store, prefix, platform, ring);
  try {
    const mail = new Mail(bay, platform.now);
    await mail.push({ kind: "begin", seconds: Math.floor(platform.now() / 1000), folders: FOLDERS });
    await mail.push({ kind: "slots", names: Object.keys(slots), upon: NOWHERE });
  } finally {
    await bay.dispose();
  }
}

function checkAddress(address: string): void {
  if (!/^[^\s@/\\\u0000-\u001f]+@[^\s@/\\\u0000-\u001f]+$/.test(address) || utf8(address).length > ADDRESS_BYTES_MAX)
    throw new EngineError("invalid", "not an address");
}
