import { hexText } from "../../bay/entry.ts";
import { isRecoveryCode, recoverySecret } from "../keys/passwords.ts";
import { asOwner, passwordSecret, type SlotTools } from "../keys/slots.ts";
import { RESTORED } from "../restored-mark.ts";
import type { User } from "../sign-in/users.ts";

/**
 * Accepts the history that the store shows, after a restore or a rollback: every UIDVALIDITY rises, so that each mail
 * program fetches anew and none shows a wrong mail. `secret` is a password of that history, or its recovery code: until
 * it is accepted no new password can be set. Errors: `not-permitted` for a wrong one.
 */
export async function acceptHistory(tools: SlotTools, user: User, secret: string): Promise<void> {
  const { platform, pepper } = tools;
  const owner = isRecoveryCode(secret) ? recoverySecret(secret) : passwordSecret(pepper, secret);
  await asOwner(tools, user, owner, async ({ ring, mail, bay }) => {
    bay.acceptHistory();
    await mail.push({ kind: "raise", seconds: Math.floor(platform.now() / 1000) });
    // Mail that waits in it may have been sent: it is of before.
    await mail.writeRecords([{ type: RESTORED, id: hexText(platform.crypto.random(16)), value: new Uint8Array(0) }]);
    // The history is accepted once its witness is kept: here a failure is no mere warning.
    await platform.witnesses?.replace(hexText(ring.account), bay.witness);
  });
}
