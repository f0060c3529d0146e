import { formatCode, makeRing, makeSlot, publicRecord, type SlotSecret, utf8 } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { Mail } from "../mail/mail.ts";
import type { FolderSeed } from "../mail/op.ts";
import { openLog } from "./open-log.ts";
import { checkPassword } from "./password-rules.ts";
import { passwordSecret, passwordSlotName, recoverySlotName, type SlotTools } from "./slots.ts";
import { ADDRESS_BYTES_MAX, accountPrefix, normalizeAddress, type UserDirectory } from "./users.ts";

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

async function makeAccount(
  { store, users, platform, pepper }: SignUp,
  address: string,
  password: string,
  code: Uint8Array | undefined,
): Promise<void> {
  const normalized = normalizeAddress(address);
  checkAddress(normalized);
  checkPassword(password);
  if (await users.find(normalized)) throw new EngineError("already-exists", "an account of that address exists");
  const { crypto } = platform;
  using ring = makeRing(crypto);
  const user = { address: normalized, record: publicRecord(ring) };
  const prefix = accountPrefix(user.record);
  await users.prepare?.(user);
  const slots: Record<string, SlotSecret> = { [passwordSlotName(1)]: passwordSecret(pepper, password) };
  if (code) slots[recoverySlotName(crypto.random(8))] = { kind: "recovery", secret: code };
  for (const [name, secret] of Object.entries(slots))
    await store.putIfAbsent(prefix + name, await makeSlot(crypto, name, secret, ring));
  const { bay } = await openLog(store, prefix, platform, ring);
  const mail = new Mail(bay, platform.now);
  await mail.push({ kind: "begin", seconds: Math.floor(platform.now() / 1000), folders: FOLDERS });
  await mail.push({ kind: "slots", names: Object.keys(slots), upon: 0 });
  await bay.dispose();
  // The user exists from here on.
  await users.add(user);
}

function checkAddress(address: string): void {
  if (!/^[^\s@/\\\u0000-\u001f]+@[^\s@/\\\u0000-\u001f]+$/.test(address) || utf8(address).length > ADDRESS_BYTES_MAX)
    throw new EngineError("invalid", "not an address");
}
