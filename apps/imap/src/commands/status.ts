import { MESSAGE_BYTES_MAX } from "../limits.ts";
import { formatStatus, ITEM_NAMES, type StatusItem } from "../status-answer.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { type Command, defineCommand, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";

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
    const known = ITEM_NAMES.find((name) => name === item);
    if (!known) throw new ImapSyntaxError("Unknown STATUS item");
    return known;
  });
}
