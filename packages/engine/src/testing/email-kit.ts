import { NOWHERE } from "../bay/position.ts";
import type { NewEmail } from "../mail/ops/email.ts";
import type { MailboxId } from "../mail/ops/names.ts";
import type { OpOf } from "../mail/ops/op.ts";

/** For tests: an email of nothing but an id, which is made of these octets. */
export function bareEmail(octets: readonly number[]): NewEmail {
  const id = new Uint8Array(16);
  id.set(octets);
  const none = new Uint8Array(0);
  return {
    id,
    key: new Uint8Array(32),
    size: 1,
    place: { in: "object", length: 1 },
    receivedMs: 0,
    receivedZone: 0,
    sentMs: 0,
    sentZone: 0,
    thread: new Uint8Array(8),
    ids: none,
    subject: none,
    header: none,
    summary: none,
  };
}

/** An op that puts emails into one mailbox, all with these flags. */
export function adding(
  mailbox: MailboxId,
  emails: readonly NewEmail[],
  flags: readonly string[] | ((at: number) => readonly string[]) = [],
): OpOf<"add"> {
  const flagsOf = typeof flags === "function" ? flags : () => flags;
  const added = emails.map((email, at) => ({ email, places: [{ mailbox, flags: flagsOf(at) }] }));
  return { kind: "add", emails: added, since: NOWHERE, seconds: 0 };
}
