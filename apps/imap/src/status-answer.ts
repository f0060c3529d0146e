import { formatMailboxId, type Mailbox } from "@restante/engine";
import { MESSAGE_BYTES_MAX } from "./limits.ts";
import type { Session } from "./session.ts";

export const ITEM_NAMES = [
  "MESSAGES",
  "RECENT",
  "UIDNEXT",
  "UIDVALIDITY",
  "UNSEEN",
  "DELETED",
  "SIZE",
  "HIGHESTMODSEQ",
  "MAILBOXID",
  "APPENDLIMIT",
] as const;
export type StatusItem = (typeof ITEM_NAMES)[number];

const ITEMS: Readonly<Record<StatusItem, (mailbox: Mailbox, session: Session) => number | string>> = {
  MESSAGES: ({ messages }) => messages.length,
  RECENT: (mailbox, { mail }) => mail.recentIn(mailbox),
  UIDNEXT: ({ uidNext }) => uidNext,
  UIDVALIDITY: ({ uidValidity }) => uidValidity,
  UNSEEN: ({ unseen }) => unseen,
  DELETED: ({ deleted }) => deleted,
  SIZE: ({ bytes }) => bytes,
  HIGHESTMODSEQ: ({ highestModSeq }) => highestModSeq,
  MAILBOXID: ({ id }) => `(${formatMailboxId(id)})`,
  APPENDLIMIT: () => MESSAGE_BYTES_MAX,
};

/** RFC 9051 §7.3.4. */
export function formatStatus(mailbox: Mailbox, items: readonly StatusItem[], session: Session): string {
  const values = items.map((item) => `${item} ${ITEMS[item](mailbox, session)}`);
  return `STATUS ${session.formatName(mailbox.path)} (${values.join(" ")})`;
}
