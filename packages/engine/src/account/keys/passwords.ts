import { copyRing, makeSlot, parseCode, type Ring, type SlotSecret } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import type { Mail } from "../../mail/mail.ts";
import type { User } from "../sign-in/users.ts";
import { checkPassword } from "./password-rules.ts";
import {
  asOwner,
  changeSlots,
  generationOf,
  nextGeneration,
  passwordSecret,
  passwordSlotName,
  type SlotTools,
} from "./slots.ts";
import { tokenIdOf } from "./tokens.ts";

/** Errors: `not-permitted` for a wrong password, `invalid` for a new one that won't do, `conflict`. */
export async function changePassword(tools: SlotTools, user: User, old: string, fresh: string): Promise<void> {
  checkPassword(fresh);
  await replacePassword(tools, user, passwordSecret(tools.pepper, old), fresh);
}

/** The same with the recovery code in place of the old password. */
export async function recoverAccount(tools: SlotTools, user: User, code: string, fresh: string): Promise<void> {
  checkPassword(fresh);
  await replacePassword(tools, user, recoverySecret(code), fresh);
}

/** Throws EngineError `not-permitted` for what can't be a recovery code. */
export function recoverySecret(code: string): SlotSecret {
  const secret = parseCode(code);
  if (!secret) throw new EngineError("not-permitted", "that is not a recovery code: a character is missing or wrong");
  return { kind: "recovery", secret };
}

/** True for a text with the form of a recovery code, every character of it. */
export function isRecoveryCode(text: string): boolean {
  return parseCode(text) !== undefined;
}

async function replacePassword(tools: SlotTools, user: User, known: SlotSecret, fresh: string): Promise<void> {
  const { store, platform, pepper } = tools;
  await asOwner(tools, user, known, async ({ prefix, ring, mail }) => {
    const { names } = mail.state.slots;
    const name = passwordSlotName(platform.crypto, nextGeneration(names));
    const bytes = await makeSlot(platform.crypto, name, passwordSecret(pepper, fresh), ring);
    // Tokens were made by the old password, which may be known to others; app passwords are revoked one by one.
    const kept = names.filter((slot) => generationOf(slot) === undefined && tokenIdOf(slot) === undefined);
    await changeSlots(store, prefix, mail, { names: [...kept, name], made: [{ name, bytes }] });
  });
}

/**
 * Seals the ring again for the same password, with today's parameters: what a slot of an older release becomes when its
 * password is seen. It is a password change like any other, but those who are signed in stay.
 */
export async function rehash(
  { store, platform }: Pick<SlotTools, "store" | "platform">,
  account: { readonly prefix: string; readonly ring: Ring; readonly mail: Mail },
  slot: string,
  secret: SlotSecret,
): Promise<void> {
  using ring = copyRing(account.ring);
  const { prefix, mail } = account;
  const { names } = mail.state.slots;
  const generation = generationOf(slot);
  if (generation === undefined || !names.includes(slot)) return;
  const name = passwordSlotName(platform.crypto, generation);
  const bytes = await makeSlot(platform.crypto, name, secret, ring);
  await changeSlots(store, prefix, mail, {
    names: names.map((known) => (known === slot ? name : known)),
    made: [{ name, bytes }],
  });
}
