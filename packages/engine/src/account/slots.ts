import { hexText } from "../bay/entry.ts";
import { asStoreFailure } from "../bay/store-failure.ts";
import { makeSlot, openSlot, parseCode, type Ring, type SlotSecret, utf8 } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { Mail } from "../mail/mail.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { openLog } from "./open-log.ts";
import { checkPassword, passwordSlotName, type SignUp } from "./sign-up.ts";
import { accountPrefix, type User } from "./users.ts";

/**
 * Changes of the ways in. A password change pushes the old list anew (which fences off changes under way), deletes slots
 * that are not listed, creates the new slot, lists it, and only then deletes the old one: a crash anywhere leaves one
 * password that opens.
 */
type Tools = Pick<SignUp, "store" | "platform" | "pepper">;

/** Errors: `not-permitted` for a wrong password, `invalid` for a new one that won't do, `conflict`. */
export async function changePassword(tools: Tools, user: User, old: string, fresh: string): Promise<void> {
  checkPassword(fresh);
  await replacePassword(tools, user, { kind: "password", ...passwordSecret(tools, old) }, fresh);
}

/** The same with the recovery code in place of the old password. */
export async function recoverAccount(tools: Tools, user: User, code: string, fresh: string): Promise<void> {
  checkPassword(fresh);
  const secret = parseCode(code);
  if (!secret) throw new EngineError("not-permitted", "that is not the recovery code");
  await replacePassword(tools, user, { kind: "recovery", secret }, fresh);
}

/**
 * Accepts the history that the store shows, after a restore or a rollback: every UIDVALIDITY rises, so that each mail
 * program fetches anew and none shows a wrong mail. Errors: `not-permitted` for a wrong password.
 */
export async function acceptHistory(tools: Tools, user: User, password: string): Promise<void> {
  const { store, platform } = tools;
  const prefix = accountPrefix(user.record);
  const opened = await openWith(tools, prefix, { kind: "password", ...passwordSecret(tools, password) });
  if (!opened) throw new EngineError("not-permitted", "wrong password");
  using ring = opened.ring;
  const { bay } = await openLog(store, prefix, platform, ring);
  try {
    await new Mail(bay, platform.now).push({ kind: "raise", seconds: Math.floor(platform.now() / 1000) });
    await platform.witnesses?.write(hexText(ring.account), bay.witness);
  } finally {
    await bay.dispose();
  }
}

/** Deletes an account: the ways in first, then the rest. Mail for it is refused at once. */
export async function deleteAccount({ store, users }: Pick<SignUp, "store" | "users">, user: User): Promise<void> {
  const prefix = accountPrefix(user.record);
  await users.remove(user.address);
  await deleteAll(store, `${prefix}slot/`);
  await deleteAll(store, prefix);
}

const DELETED_AT_ONCE = 500;

async function deleteAll(store: ObjectStore, prefix: string): Promise<void> {
  for (;;) {
    const { objects } = await asStoreFailure(store.list(prefix, { limit: DELETED_AT_ONCE }));
    if (objects.length === 0) return;
    await asStoreFailure(
      store.delete(
        objects.map(({ name }) => name),
        { essential: true },
      ),
    );
  }
}

function passwordSecret({ pepper }: Tools, password: string): Pick<SlotSecret, "secret" | "pepper"> {
  return { secret: utf8(password), ...(pepper ? { pepper } : {}) };
}

async function replacePassword(tools: Tools, user: User, known: SlotSecret, fresh: string): Promise<void> {
  const { store, platform } = tools;
  const prefix = accountPrefix(user.record);
  const opened = await openWith(tools, prefix, known);
  if (!opened) throw new EngineError("not-permitted", "wrong password or code");
  using ring = opened.ring;
  const { bay } = await openLog(store, prefix, platform, ring);
  try {
    const mail = new Mail(bay, platform.now);
    const { slots } = mail.state;
    // An old password must not come back with an old object.
    if (!slots.names.includes(opened.slot)) throw new EngineError("not-permitted", "wrong password or code");
    await mail.push({ kind: "slots", names: slots.names, upon: slots.entry });
    const { objects } = await asStoreFailure(store.list(`${prefix}slot/`));
    const existing = objects.map(({ name }) => name.slice(prefix.length));
    const strays = existing.filter((name) => !slots.names.includes(name));
    if (strays.length > 0) await asStoreFailure(store.delete(strays.map((name) => prefix + name)));
    const name = passwordSlotName(1 + Math.max(0, ...slots.names.map(generationOf)));
    const secret = { kind: "password", ...passwordSecret(tools, fresh) } as const;
    await asStoreFailure(store.putIfAbsent(prefix + name, await makeSlot(platform.crypto, name, secret, ring)));
    const kept = slots.names.filter((slot) => generationOf(slot) === 0);
    await mail.push({ kind: "slots", names: [...kept, name], upon: mail.state.slots.entry });
    const old = slots.names.filter((slot) => generationOf(slot) > 0);
    await asStoreFailure(store.delete(old.map((slot) => prefix + slot)));
  } finally {
    await bay.dispose();
  }
}

/** The ring in the newest slot of this kind that the secret opens. */
export async function openWith(
  { store, platform }: Tools,
  prefix: string,
  known: SlotSecret,
): Promise<{ readonly ring: Ring; readonly slot: string } | undefined> {
  const { objects } = await asStoreFailure(store.list(`${prefix}slot/${known.kind}-`));
  for (const { name } of [...objects].reverse()) {
    const slot = name.slice(prefix.length);
    const got = await asStoreFailure(store.get(name));
    const ring = got.found ? await openSlot(platform.crypto, slot, got.bytes, known) : undefined;
    if (ring) return { ring, slot };
  }
  return undefined;
}

/** The generation of a password slot; 0 for other slots. */
function generationOf(slot: string): number {
  const match = /^slot\/password-(\d+)$/.exec(slot);
  return match ? Number(match[1]) : 0;
}
