import { formatMailboxId, type ReadMailbox } from "@restante/engine";
import { MESSAGE_BYTES_MAX } from "./limits.ts";
import { countRecent } from "./recent.ts";
import type { Session } from "./session.ts";

export const ITEM_NAMES = [
  "MESSAGES",
  "RECENT",
  "UIDNEXT",
  "UIDVALIDITY",
  "UNSEEN",
  "DELETED",
  "DELETED-STORAGE",
  "SIZE",
  "HIGHESTMODSEQ",
  "MAILBOXID",
  "APPENDLIMIT",
] as const;
export type StatusItem = (typeof ITEM_NAMES)[number];

const ITEMS: Readonly<Record<StatusItem, (mailbox: ReadMailbox, session: Session) => number | string>> = {
  MESSAGES: ({ messages }) => messages.length,
  RECENT: (mailbox, { mail }) => countRecent(mail, mailbox),
  UIDNEXT: ({ uidNext }) => uidNext,
  UIDVALIDITY: ({ uidValidity }) => uidValidity,
  UNSEEN: ({ unseen }) => unseen,
  DELETED: ({ deleted }) => deleted,
  "DELETED-STORAGE": deletedOctets,
  SIZE: ({ bytes }) => bytes,
  HIGHESTMODSEQ: ({ highestModSeq }) => highestModSeq,
  MAILBOXID: ({ id }) => `(${formatMailboxId(id)})`,
  APPENDLIMIT: () => MESSAGE_BYTES_MAX,
};

/** STATUS's DELETED-STORAGE: octets that EXPUNGE would free. RFC 9208 §4.1.4. */
function deletedOctets({ deleted, messages }: ReadMailbox, { mail: { state } }: Session): number {
  let octets = 0;
  for (let position = 0, left = deleted; left > 0 && position < messages.length; position++) {
    const row = messages.at(position);
    if (!state.isDeleted(row)) continue;
    octets += state.sizeOf(row);
    left--;
  }
  return octets;
}

/** RFC 9051 §7.3.4. */
export function formatStatus(mailbox: ReadMailbox, items: readonly StatusItem[], session: Session): string {
  const values = items.map((item) => `${item} ${ITEMS[item](mailbox, session)}`);
  return `STATUS ${session.formatName(mailbox.path)} (${values.join(" ")})`;
}
