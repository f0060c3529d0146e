import type { Mailbox } from "@restante/engine";
import { formatMailbox, type Session } from "../session.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { type Command, defineCommand, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";

export type StatusItem = "MESSAGES" | "RECENT" | "UIDNEXT" | "UIDVALIDITY" | "UNSEEN";

const ITEMS: Readonly<Record<StatusItem, (mailbox: Mailbox, session: Session) => number>> = {
  MESSAGES: ({ messages }) => messages.length,
  RECENT: (mailbox, { mail }) => mail.recentIn(mailbox),
  UIDNEXT: ({ uidNext }) => uidNext,
  UIDVALIDITY: ({ uidValidity }) => uidValidity,
  UNSEEN: ({ unseen }) => unseen,
};

/** STATUS: RFC 9051 §6.3.11, RFC 3501 §6.3.10. */
export const status: Command<unknown> = defineCommand({
  name: "STATUS",
  in: SIGNED_IN,
  parse: (parser) => ({ path: parseMailbox(parser), items: parseStatusItems(parser) }),
  async run({ path, items }, session) {
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
  return `STATUS ${formatMailbox(mailbox.path)} (${values.join(" ")})`;
}
