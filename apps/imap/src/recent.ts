import { type AccountSession, FIRST_UID, type MailboxId, type ReadMailbox, type Uid, uidOf } from "@restante/engine";

/**
 * \Recent: RFC 3501 §2.3.2. Messages that no session was told of before, among those that came since this process opened the
 * account. It is kept by this process alone, as long as the account stays open there: so a message may be recent in one
 * session of each process, and IMAP4rev2 has it no more.
 */
type Opened = AccountSession["uidNextAtOpening"];

/** By account, as it was opened: the first uid of each mailbox that no session claimed. */
const claims = new WeakMap<Opened, Map<MailboxId, Uid>>();

type Account = Pick<AccountSession, "uidNextAtOpening">;

function firstRecent({ uidNextAtOpening: opened }: Account, { id }: ReadMailbox): Uid {
  return claims.get(opened)?.get(id) ?? opened.get(id) ?? FIRST_UID;
}

/** The first uid of `mailbox` that no session was told to be \Recent, which a session that may write claims. */
export function claimRecent(account: Account, mailbox: ReadMailbox, readOnly: boolean): Uid {
  const from = firstRecent(account, mailbox);
  if (readOnly) return from;
  const claimed = claims.get(account.uidNextAtOpening) ?? new Map<MailboxId, Uid>();
  claims.set(account.uidNextAtOpening, claimed.set(mailbox.id, mailbox.uidNext));
  return from;
}

/** STATUS's RECENT: messages that the next session which may write is told to be \Recent. RFC 3501 §6.3.10. */
export function countRecent(account: Account & Pick<AccountSession, "state">, mailbox: ReadMailbox): number {
  const { messages } = mailbox;
  return messages.length - messages.lowerBound(firstRecent(account, mailbox), (row) => uidOf(account.state, row));
}
