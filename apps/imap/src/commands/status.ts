import { formatMailboxId, type Mailbox } from "@restante/engine";
import { MESSAGE_BYTES_MAX } from "../limits.ts";
import type { Session } from "../session.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { type Command, defineCommand, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";

const ITEM_NAMES = [
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

/** STATUS: RFC 9051 §6.3.11, RFC 3501 §6.3.10; SIZE: RFC 8438 §3; HIGHESTMODSEQ: RFC 7162 §3.1.7; MAILBOXID: RFC 8474 §4.3;
 * APPENDLIMIT: RFC 7889 §3. */
export const status: Command<unknown> = defineCommand({
  name: "STATUS",
  in: SIGNED_IN,
  capabilities: ["STATUS=SIZE", `APPENDLIMIT=${MESSAGE_BYTES_MAX}`],
  parse: (parser, form) => ({ path: parseMailbox(parser, form), items: parseStatusItems(parser) }),
  async run({ path, items }, session) {
    if (items.includes("HIGHESTMODSEQ")) session.enableCondstore();
    await session.refresh();
    session.untagged(formatStatus(session.mail.getMailbox(path), items, session));
    return ok("STATUS completed");
  },
});

/** `SP (items)` */
export function parseStatusItems(parser: Parser): StatusItem[] {
  parser.space();
  return parser.list(() => {
    const item = parser.keyword();
    if (!Object.hasOwn(ITEMS, item)) throw new ImapSyntaxError("Unknown STATUS item");
    return item as StatusItem;
  });
}

/** RFC 9051 §7.3.4. */
export function formatStatus(mailbox: Mailbox, items: readonly StatusItem[], session: Session): string {
  const values = items.map((item) => `${item} ${ITEMS[item](mailbox, session)}`);
  return `STATUS ${session.formatName(mailbox.path)} (${values.join(" ")})`;
}
