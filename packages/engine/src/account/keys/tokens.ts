import { hexText } from "../../bay/entry.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import {
  CryptoError,
  formatToken,
  makeSlot,
  openSlotLabel,
  type Ring,
  type SlotLabel,
  TOKEN_ID_BYTES,
  TOKEN_SECRET_BYTES,
} from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import type { Mail } from "../../mail/mail.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { Platform } from "../platform.ts";
import type { User } from "../sign-in/users.ts";
import { checkLabel } from "./app-passwords.ts";
import { asOwner, changeSlots, passwordSecret, type SlotTools } from "./slots.ts";

/** Tokens of an account. */
export const TOKENS_MAX = 50;
/** Days that a token is good for. */
export const TOKEN_DAYS_MAX = 365;
export const TOKEN_DAYS_DEFAULT = 30;
const DAY_MS = 86_400_000;
const PREFIX = "slot/token-";

/** A token, by which a program is let in over HTTP: a key slot of its own, which ends by itself. */
export interface TokenEntry {
  readonly id: string;
  readonly label: string;
  readonly madeMs: number;
  readonly expiresMs: number;
  /** The token's scope: words with spaces between, RFC 6749 §3.3. */
  readonly scope: string;
}

export interface NewToken {
  readonly label: string;
  /** 1 to {@link TOKEN_DAYS_MAX}; by default {@link TOKEN_DAYS_DEFAULT}. */
  readonly days?: number | undefined;
  readonly scope: string;
}

/** An open account whose slots may be changed. */
export interface SlotAccess {
  readonly store: ObjectStore;
  readonly platform: Platform;
  readonly prefix: string;
  readonly ring: Ring;
  readonly mail: Mail;
}

/** The slot of the token with this id, in hex. */
export function tokenSlotName(id: string): string {
  return PREFIX + id;
}

/** The id of the token that a slot is of, in hex; undefined for other slots. */
export function tokenIdOf(slot: string): string | undefined {
  return slot.startsWith(PREFIX) ? slot.slice(PREFIX.length) : undefined;
}

/** Makes a token, shown once and kept nowhere. Errors: `invalid`, `conflict`. */
export async function addToken(
  access: SlotAccess,
  address: string,
  { label, days = TOKEN_DAYS_DEFAULT, scope }: NewToken,
): Promise<{ readonly token: string; readonly entry: TokenEntry }> {
  const text = checkLabel(label);
  if (!Number.isInteger(days) || days < 1 || days > TOKEN_DAYS_MAX)
    throw new EngineError("invalid", `a token is good for 1 to ${TOKEN_DAYS_MAX} days`);
  const { platform, ring, mail } = access;
  // Expired tokens make room.
  const ended = new Set((await expiredTokens(access)).map(({ id }) => tokenSlotName(id)));
  const names = mail.state.slots.names.filter((name) => !ended.has(name));
  if (names.filter((name) => tokenIdOf(name) !== undefined).length >= TOKENS_MAX)
    throw new EngineError("invalid", `an account has at most ${TOKENS_MAX} tokens`);
  const id = platform.crypto.random(TOKEN_ID_BYTES);
  const secret = platform.crypto.random(TOKEN_SECRET_BYTES);
  const madeMs = platform.now();
  const terms = { expiresMs: madeMs + days * DAY_MS, scope };
  const name = tokenSlotName(hexText(id));
  const slot = { text, madeMs, terms };
  const bytes = await makeSlot(platform.crypto, name, { kind: "token", secret }, ring, { label: slot });
  await changeSlots(access.store, access.prefix, mail, { names: [...names, name], made: [{ name, bytes }] });
  const entry = { id: hexText(id), label: text, madeMs, ...terms };
  return { token: formatToken({ id, secret, address }), entry };
}

/** The account's tokens, those too that have expired and are still there. Errors: `unavailable`. */
export async function readTokens({ store, platform, prefix, ring, mail }: SlotAccess): Promise<TokenEntry[]> {
  const listed = mail.state.slots.names.filter((name) => tokenIdOf(name) !== undefined);
  return Promise.all(
    listed.map(async (name) => {
      const got = await asStoreFailure(store.get(prefix + name));
      const label = got.found ? labelOf(() => openSlotLabel(platform.crypto, name, got.bytes, ring)) : LOST;
      const { text, madeMs, terms = LOST.terms } = label;
      return { id: tokenIdOf(name)!, label: text, madeMs, ...terms };
    }),
  );
}

/** Ends a token: running servers refuse its next request. Errors: `not-found`, `conflict`. */
export async function endToken({ store, prefix, mail }: SlotAccess, id: string): Promise<void> {
  const ended = tokenSlotName(id);
  const { names } = mail.state.slots;
  if (!names.includes(ended)) throw new EngineError("not-found", "there is no such token");
  await changeSlots(store, prefix, mail, { names: names.filter((name) => name !== ended), made: [] });
}

/** Takes away what has expired; nobody was let in by it since. Errors: `conflict`, `unavailable`. */
export async function removeExpiredTokens(access: SlotAccess): Promise<void> {
  const ended = new Set((await expiredTokens(access)).map(({ id }) => tokenSlotName(id)));
  if (ended.size === 0) return;
  const names = access.mail.state.slots.names.filter((name) => !ended.has(name));
  await changeSlots(access.store, access.prefix, access.mail, { names, made: [] });
}

async function expiredTokens(access: SlotAccess): Promise<TokenEntry[]> {
  const now = access.platform.now();
  // One that is damaged says nothing, and is the owner's to end.
  return (await readTokens(access)).filter(({ expiresMs }) => expiresMs > 0 && expiresMs <= now);
}

/** For an owner with their password. Errors: `not-permitted`. */
export async function listTokens(tools: SlotTools, user: User, password: string): Promise<TokenEntry[]> {
  return asOwner(tools, user, passwordSecret(tools.pepper, password), (access) => readTokens({ ...tools, ...access }));
}

/** The same. Errors: `not-permitted`, `not-found`. */
export async function revokeToken(tools: SlotTools, user: User, password: string, id: string): Promise<void> {
  await asOwner(tools, user, passwordSecret(tools.pepper, password), (access) => endToken({ ...tools, ...access }, id));
}

/** The facts of a slot that the store lost or damaged: it can still be ended, by its id. */
const LOST = { text: "(damaged)", madeMs: 0, terms: { expiresMs: 0, scope: "" } } as const;

function labelOf(open: () => SlotLabel): SlotLabel {
  try {
    return open();
  } catch (error) {
    if (error instanceof CryptoError) return LOST;
    throw error;
  }
}
