import { hexText } from "../bay/entry.ts";
import { asStoreFailure } from "../bay/store-failure.ts";
import { openSlot, type Ring, type SlotSecret, utf8 } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { Mail } from "../mail/mail.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { type MailLog, openLog } from "./open-log.ts";
import type { Platform } from "./platform.ts";
import { accountPrefix, type User } from "./users.ts";

/**
 * The ways in, and how they change. Which slots are valid stands in the account's log; a slot that opens but is not listed
 * is refused, so an old password does not come back with an old object.
 *
 * A change lists what exists, pushes the present list anew (which fences off changes under way: theirs is refused
 * from now on), deletes what existed then and is not listed, creates the new slots, lists them, and only then deletes those
 * that are valid no more. Invariant: a crash anywhere leaves the old list or the new one, and all slots of either.
 */
export interface SlotTools {
  readonly store: ObjectStore;
  readonly platform: Platform;
  readonly pepper: Uint8Array | undefined;
}

export interface SlotChange {
  /** The list from now on. */
  readonly names: readonly string[];
  readonly made: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

/** Errors: `conflict` when another change came between. */
export async function changeSlots(store: ObjectStore, prefix: string, mail: Mail, change: SlotChange): Promise<void> {
  const { slots } = mail.state;
  const existing = await listSlots(store, prefix);
  await mail.push({ kind: "slots", names: slots.names, upon: slots.entry });
  const fence = mail.state.slots.entry;
  // What another change made before the fence can't be listed any more.
  await deleteSlots(
    store,
    prefix,
    existing.filter((name) => !slots.names.includes(name)),
  );
  for (const { name, bytes } of change.made) {
    const { outcome } = await asStoreFailure(store.putIfAbsent(prefix + name, bytes, { essential: true }));
    if (outcome === "exists") throw new EngineError("conflict", "another change of the passwords is under way");
  }
  await mail.push({ kind: "slots", names: change.names, upon: fence });
  const ended = slots.names.filter((name) => !change.names.includes(name));
  // The change is made: what is left is listed no more, and goes with the next one.
  await deleteSlots(store, prefix, ended).catch(() => undefined);
}

async function listSlots(store: ObjectStore, prefix: string): Promise<string[]> {
  const { objects } = await asStoreFailure(store.list(`${prefix}slot/`));
  return objects.map(({ name }) => name.slice(prefix.length));
}

async function deleteSlots(store: ObjectStore, prefix: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await asStoreFailure(
    store.delete(
      names.map((name) => prefix + name),
      { essential: true },
    ),
  );
}

/** An account opened by its owner's secret, to change something about it. */
export interface OwnerAccess {
  readonly prefix: string;
  readonly ring: Ring;
  /** The slot that the secret opened. */
  readonly slot: string;
  readonly mail: Mail;
  readonly bay: MailLog;
}

/** The rings in the slots that the secret opens, newest first; who takes one wipes it. */
export async function* openSlots(
  { store, platform }: Pick<SlotTools, "store" | "platform">,
  prefix: string,
  secret: SlotSecret,
): AsyncGenerator<{ readonly ring: Ring; readonly slot: string }> {
  const slots = (await listSlots(store, prefix)).filter((name) => name.startsWith(`slot/${secret.kind}-`));
  for (const slot of slots.reverse()) {
    const got = await asStoreFailure(store.get(prefix + slot));
    const ring = got.found ? await openSlot(platform.crypto, slot, got.bytes, secret) : undefined;
    if (ring) yield { ring, slot };
  }
}

/** Runs `work` with the account open; the keys are wiped afterwards. Errors: `not-permitted` for a wrong secret. */
export async function asOwner<T>(
  { store, platform }: Pick<SlotTools, "store" | "platform">,
  user: User,
  secret: SlotSecret,
  work: (access: OwnerAccess) => Promise<T>,
): Promise<T> {
  const prefix = accountPrefix(user.record);
  for await (const opened of openSlots({ store, platform }, prefix, secret)) {
    using ring = opened.ring;
    const { bay } = await openLog(store, prefix, platform, ring);
    try {
      const mail = new Mail(bay, platform.now);
      // What a crash left opens too, and counts for nothing.
      if (mail.state.slots.names.includes(opened.slot))
        return await work({ prefix, ring, slot: opened.slot, mail, bay });
    } finally {
      await bay.dispose();
    }
  }
  throw new EngineError("not-permitted", "wrong password or code");
}

export function passwordSecret(pepper: Uint8Array | undefined, password: string): SlotSecret {
  return { kind: "password", secret: utf8(password), ...(pepper ? { pepper } : {}) };
}

/** `slot/password-<generation>` and, for the same password sealed again, `.1`, `.2` … behind. */
export function passwordSlotName(generation: number, again = 0): string {
  return `slot/password-${String(generation).padStart(6, "0")}${again === 0 ? "" : `.${again}`}`;
}

export function recoverySlotName(id: Uint8Array): string {
  return `slot/recovery-${hexText(id)}`;
}

/** Which password a slot is of; undefined for other slots. */
export function passwordOf(slot: string): { readonly generation: number; readonly again: number } | undefined {
  const match = /^slot\/password-(\d+)(?:\.(\d+))?$/.exec(slot);
  return match ? { generation: Number(match[1]), again: Number(match[2] ?? 0) } : undefined;
}

export function nextGeneration(names: readonly string[]): number {
  return 1 + Math.max(0, ...names.map((name) => passwordOf(name)?.generation ?? 0));
}

/** Whether who came in by `slot` may stay: it, or the same password sealed again, is listed. */
export function isStillListed(slot: string, names: readonly string[]): boolean {
  const password = passwordOf(slot);
  if (!password) return names.includes(slot);
  return names.some((name) => passwordOf(name)?.generation === password.generation);
}
