import {
  equalBytes,
  fingerprintOf,
  isSameRecord,
  type RecipientRecord,
  type Ring,
  recipientRecord,
} from "../../crypto/index.ts";
import type { Account } from "../account.ts";
import type { Platform } from "../platform.ts";
import type { User, UserDirectory } from "./users.ts";

/** Deliveries that a notice names. */
const NAMED_MAX = 20;
const DAY_MS: number = 24 * 60 * 60_000;

export interface SettleTools {
  readonly platform: Platform;
  readonly users: Pick<UserDirectory, "find" | "update">;
}

/**
 * Puts the owner's own record where the directory shows another: what it shows is what new mail is sealed to. The owner
 * is told first, once a day for each key that is none of theirs. A record that was only never signed is signed.
 */
export async function settleRecord(
  { platform, users }: SettleTools,
  { address, record: seen }: User,
  ring: Ring,
  account: Account,
): Promise<void> {
  const record = recipientRecord(ring);
  if (isSameRecord(record, seen)) return;
  // New keys may have been made, and published, since it was looked up.
  const found = (await users.find(address))?.record;
  if (!found || !equalBytes(found.account, record.account) || isSameRecord(record, found)) return;
  const isUnsigned = !found.proof && isSameRecord(found, { ...record, proof: undefined });
  if (!isUnsigned) {
    platform.log({ level: "warn", event: "recipient record is not its owner's", account: account.prefix.slice(0, -1) });
    const day = Math.floor(platform.now() / DAY_MS);
    await account.tell(
      "INBOX",
      `record ${found.keyVersion} ${fingerprintOf(found)} ${day}`,
      "Your address led to another key",
      await explain(found, record, ring, account),
    );
  }
  await users.update({ address, record });
}

async function explain(
  found: RecipientRecord,
  right: RecipientRecord,
  ring: Ring,
  account: Account,
): Promise<string[]> {
  const lines = [
    "Mail for you is sealed to the key that your provider's list of users shows beside your address.",
    `It showed ${whose(found, right, ring)}.`,
    `Your key is   ${fingerprintOf(right)} (version ${right.keyVersion})`,
    `It showed     ${fingerprintOf(found)} (version ${found.keyVersion})`,
    "Your own is being put back there. Unless you made new keys a moment ago, ask your provider who changed it.",
    "",
  ];
  const unreadable = await account.retryNotes();
  if (unreadable.length === 0) return [...lines, "All mail that waits for you now could be opened with your keys."];
  const times = unreadable.map((name) => new Date(Number.parseInt(name.slice(5, 17), 16)).toUTCString());
  return [
    ...lines,
    `${unreadable.length} messages wait for you that your keys don't open. They came at:`,
    ...times.slice(0, NAMED_MAX).map((time) => `  ${time}`),
    ...(times.length > NAMED_MAX ? [`  and ${times.length - NAMED_MAX} more`] : []),
    "Whoever made the other key may have read them. Ask those who write to you to send again what you miss.",
  ];
}

function whose(found: RecipientRecord, right: RecipientRecord, ring: Ring): string {
  if (equalBytes(found.kemPublicKey, right.kemPublicKey)) return "your key, with a signature that is not yours";
  const isOld = ring.versions.some(({ kemPublicKey }) => equalBytes(kemPublicKey, found.kemPublicKey));
  return isOld ? "an old key of yours, from before you made new ones" : "a key that is not yours";
}
