import type { Mailbox } from "@restante/engine";
import { formatMailbox, type Session } from "../session.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { type Command, defineCommand, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";

const ITEMS: Record<string, (mailbox: Mailbox, session: Session) => number> = {
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
  parse(parser: Parser) {
    const path = parseMailbox(parser);
    parser.space();
    return { path, items: parser.list(() => knownItem(parser.keyword())) };
  },
  async run({ path, items }, session) {
    await session.refresh();
    const mailbox = session.mail.getMailbox(path);
    const values = items.map((item) => `${item} ${ITEMS[item]!(mailbox, session)}`);
    session.untagged(`STATUS ${formatMailbox(mailbox.path)} (${values.join(" ")})`);
    return ok("STATUS completed");
  },
});

function knownItem(item: string): string {
  if (!(item in ITEMS)) throw new ImapSyntaxError("Unknown STATUS item");
  return item;
}
