import { hexText } from "../../bay/entry.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import {
  type Argon2Lane,
  CryptoError,
  type CryptoPlatform,
  isWeakSlot,
  openSlot,
  openSlotLabel,
  type Ring,
  type SlotSecret,
  type TokenTerms,
  tryNoSlot,
  utf8,
} from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { Mail } from "../../mail/mail.ts";
import { folderOf } from "../../storage/object-kinds.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { keepWitness, type MailLog, openWitnessed } from "../open-log.ts";
import type { Platform } from "../platform.ts";
import { accountPrefix, type User } from "../sign-in/users.ts";
import { NewKeys } from "./sealer.ts";

/** Slots of a kind that are tried: there is one, and one more while it is changed. A store can make up as many as it
 * likes, and each takes its time. */
const SLOTS_TRIED_MAX = 8;
/** Looks at an account's slots before a secret is called wrong. */
export const SLOT_LOOKS_MAX = 3;

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
  /** By names that were never given. */
  readonly made: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

/** Errors: `conflict` when another change came between. */
export async function changeSlots(store: ObjectStore, prefix: string, mail: Mail, change: SlotChange): Promise<void> {
  const { slots } = mail.state;
  const existing = await listSlots(store, prefix);
  await mail.push({ kind: "slots", names: slots.names, upon: slots.entry });
  const fence = mail.state.slots.entry;
  // Slots that another change made before the fence can't be listed any more.
  await deleteSlots(
    store,
    prefix,
    existing.filter((name) => !slots.names.includes(name)),
  );
  // Their names are fresh: what exists is ours, of a try whose answer was lost.
  for (const { name, bytes } of change.made)
    await asStoreFailure(store.putIfAbsent(prefix + name, bytes, { essential: true }));
  await mail.push({ kind: "slots", names: change.names, upon: fence });
  const ended = slots.names.filter((name) => !change.names.includes(name));
  // The change is made: what is left is listed no more, and goes with the next one.
  await deleteSlots(store, prefix, ended).catch(() => undefined);
}

async function listSlots(store: ObjectStore, prefix: string, kind: string = folderOf("slot")): Promise<string[]> {
  const { objects } = await asStoreFailure(store.list(prefix + kind));
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

/** A slot that its secret opened; who takes one wipes the ring. */
export interface OpenedSlot {
  readonly ring: Ring;
  readonly slot: string;
  /** True for a slot that costs a guesser less than new ones do. */
  readonly isWeak: boolean;
  /** Tokens only. */
  readonly terms?: TokenTerms | undefined;
}

/**
 * The slots of its kind that the secret opens, newest first. The log says whether one is valid: a caller asks for another if
 * it found that this one is listed no more. Then, and when one was deleted between the listing and its turn, a change is
 * under way, which may have made it anew for the same secret, so all are looked for again, {@link SLOT_LOOKS_MAX} times.
 * Errors: `unavailable`.
 */
export async function* openSlots(
  { store, platform }: Pick<SlotTools, "store" | "platform">,
  prefix: string,
  secret: SlotSecret,
  lane?: Argon2Lane,
): AsyncGenerator<OpenedSlot> {
  for (let looks = 1; looks <= SLOT_LOOKS_MAX; looks++) {
    const slots = await listSlots(store, prefix, `${folderOf("slot")}${secret.kind}-`);
    let isChanging = false;
    if (slots.length === 0) await tryMissing({ store, platform }, prefix, secret, lane);
    for (const slot of slots.reverse().slice(0, SLOTS_TRIED_MAX)) {
      const tried = await trySlot({ store, platform }, prefix, slot, secret, lane);
      if (tried === "shut") continue;
      isChanging = true;
      if (tried !== "gone") yield tried;
    }
    if (!isChanging) return;
  }
}

/** Takes the time of trying a slot, for an account that has none of the kind, or for no account. Errors: `unavailable`. */
async function tryMissing(
  { store, platform }: Pick<SlotTools, "store" | "platform">,
  prefix: string,
  secret: SlotSecret,
  lane: Argon2Lane = "known",
): Promise<void> {
  await asStoreFailure(store.get(`${prefix}${folderOf("slot")}${secret.kind}-none`));
  await tryNoSlot(platform.crypto, secret, lane).catch(asBusy);
}

/** Throws EngineError `unavailable` if too many wait. */
function asBusy(error: unknown): never {
  if (error instanceof CryptoError && error.code === "busy")
    throw new EngineError("unavailable", "too many are signing in, try again", { cause: error });
  throw error;
}

/** One slot: opened, `shut` to this secret (or damaged), or `gone`. Errors: `unavailable`. */
export async function trySlot(
  { store, platform }: Pick<SlotTools, "store" | "platform">,
  prefix: string,
  slot: string,
  secret: SlotSecret,
  lane?: Argon2Lane,
): Promise<OpenedSlot | "shut" | "gone"> {
  const got = await asStoreFailure(store.get(prefix + slot));
  if (!got.found) return "gone";
  try {
    const ring = await openSlot(platform.crypto, slot, got.bytes, secret, lane);
    if (!ring) return "shut";
    const terms = secret.kind === "token" ? termsOf(platform.crypto, slot, got.bytes, ring) : undefined;
    return { ring, slot, isWeak: isWeakSlot(got.bytes), terms };
  } catch (error) {
    if (!(error instanceof CryptoError) || error.code === "busy") return asBusy(error);
    // The others may be whole.
    platform.log({ level: "error", event: "key slot can't be read", slot, error });
    return "shut";
  }
}

/** Until when a token is good, and for what. Throws CryptoError, and wipes the ring then. */
function termsOf(crypto: CryptoPlatform, slot: string, bytes: Uint8Array, ring: Ring): TokenTerms | undefined {
  try {
    return openSlotLabel(crypto, slot, bytes, ring).terms;
  } catch (error) {
    ring[Symbol.dispose]();
    throw error;
  }
}

/** Runs `work` with the account open; the keys are wiped afterwards. Errors: `not-permitted` for a wrong secret, and for a
 * change where the store shows an older history than this host has seen. */
export async function asOwner<T>(
  { store, platform }: Pick<SlotTools, "store" | "platform">,
  user: User,
  secret: SlotSecret,
  work: (access: OwnerAccess) => Promise<T>,
): Promise<T> {
  const prefix = accountPrefix(user.record);
  for await (const opened of openSlots({ store, platform }, prefix, secret)) {
    using ring = opened.ring;
    const { slot } = opened;
    const bay = await openWitnessed(store, prefix, platform, ring, { slot }).then(({ bay }) => bay, unlessNewKeys);
    if (!bay) continue;
    try {
      const mail = new Mail(bay, platform.now);
      // A slot that a crash left opens too, and counts for nothing.
      if (!mail.state.slots.names.includes(opened.slot)) continue;
      const result = await work({ prefix, ring, slot: opened.slot, mail, bay });
      // Or a rollback could undo a change of passwords unseen.
      await keepWitness(bay, platform, hexText(ring.account));
      return result;
    } finally {
      await bay.dispose();
    }
  }
  throw new EngineError("not-permitted", "wrong password or code");
}

/** Undefined for the error of a log whose owner has new keys; all other errors are thrown on. */
export function unlessNewKeys(error: unknown): undefined {
  if (!(error instanceof NewKeys)) throw error;
}

export function passwordSecret(pepper: Uint8Array | undefined, password: string): SlotSecret {
  return { kind: "password", secret: utf8(password), ...(pepper ? { pepper } : {}) };
}

/**
 * `slot/password-<generation>-<random>`: a password sealed again keeps its generation. No name is given twice, so a
 * delete whose answer was lost, and that the store carries out later, takes nobody's new slot away.
 */
export function passwordSlotName({ random }: CryptoPlatform, generation: number): string {
  return `${folderOf("slot")}password-${String(generation).padStart(6, "0")}-${hexText(random(8))}`;
}

export function recoverySlotName(id: Uint8Array): string {
  return `${folderOf("slot")}recovery-${hexText(id)}`;
}

/** Which of an account's passwords, counted up, a slot is of; undefined for other slots. */
export function generationOf(slot: string): number | undefined {
  const match = /^slot\/password-(\d+)/.exec(slot);
  return match ? Number(match[1]) : undefined;
}

export function nextGeneration(names: readonly string[]): number {
  return 1 + Math.max(0, ...names.map((name) => generationOf(name) ?? 0));
}

/** True if a session by `slot` may stay: the slot, or the same password sealed again, is listed. */
export function isStillListed(slot: string, names: readonly string[]): boolean {
  const generation = generationOf(slot);
  if (generation === undefined) return names.includes(slot);
  return names.some((name) => generationOf(name) === generation);
}
