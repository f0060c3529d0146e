import { hexText } from "../bay/entry.ts";
import { asOwner, passwordSecret, type SlotTools } from "./slots.ts";
import type { User } from "./users.ts";

/**
 * Accepts the history that the store shows, after a restore or a rollback: every UIDVALIDITY rises, so that each mail
 * program fetches anew and none shows a wrong mail. Errors: `not-permitted` for a wrong password.
 */
export async function acceptHistory(tools: SlotTools, user: User, password: string): Promise<void> {
  const { platform, pepper } = tools;
  await asOwner(tools, user, passwordSecret(pepper, password), async ({ ring, mail, bay }) => {
    await mail.push({ kind: "raise", seconds: Math.floor(platform.now() / 1000) });
    await platform.witnesses?.write(hexText(ring.account), bay.witness);
  });
}
