import { formatCode, makeSlot, recipientRecord, rotateRing } from "../../crypto/index.ts";
import type { User, UserDirectory } from "../sign-in/users.ts";
import {
  asOwner,
  changeSlots,
  nextGeneration,
  passwordSecret,
  passwordSlotName,
  recoverySlotName,
  type SlotTools,
} from "./slots.ts";

/**
 * Makes a new root and key pair: what is written from now on opens with nothing that was known before. The old keys stay
 * in the ring, for reading. Every way in ends but the password in hand, which gets a slot of its own; a new recovery code
 * is returned.
 *
 * The op that lists the new slots is the last one under the old root: whoever has the account open reads it and stops.
 * The recipient record follows; if a crash comes between, the next sign-in puts it right.
 */
export async function rotateAccount(
  tools: SlotTools & { readonly users: UserDirectory },
  user: User,
  password: string,
): Promise<{ readonly recoveryCode: string }> {
  const { store, platform, pepper, users } = tools;
  const { crypto } = platform;
  const secret = passwordSecret(pepper, password);
  const code = crypto.random(16);
  const record = await asOwner(tools, user, secret, async ({ prefix, ring, mail }) => {
    using fresh = rotateRing(crypto, ring);
    const name = passwordSlotName(crypto, nextGeneration(mail.state.slots.names));
    const recovery = recoverySlotName(crypto.random(8));
    const made = [
      { name, bytes: await makeSlot(crypto, name, secret, fresh) },
      { name: recovery, bytes: await makeSlot(crypto, recovery, { kind: "recovery", secret: code }, fresh) },
    ];
    await changeSlots(store, prefix, mail, { names: [name, recovery], made });
    return recipientRecord(fresh);
  });
  await users.update({ address: user.address, record });
  return { recoveryCode: formatCode(code) };
}
