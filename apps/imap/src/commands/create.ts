import { formatMailboxId, type SpecialUse } from "@restante/engine";
import { forgetEntries } from "../metadata.ts";
import { ImapSyntaxError } from "../wire/parser.ts";
import { type Command, defineCommand, no, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";

/** CREATE: RFC 9051 §6.3.4, with a special use: RFC 6154 §3; its MAILBOXID: RFC 8474 §4.1. */
export const createMailbox: Command<unknown> = defineCommand({
  name: "CREATE",
  in: SIGNED_IN,
  capabilities: ["CREATE-SPECIAL-USE"],
  parse(parser, form) {
    const path = parseMailbox(parser, form);
    if (!parser.trySpace()) return { path, uses: [] };
    let uses: readonly string[] = [];
    parser.list(() => {
      if (parser.keyword() !== "USE") throw new ImapSyntaxError("USE expected");
      parser.space();
      uses = parser.list(() => parser.flag(), { empty: true });
    });
    return { path, uses };
  },
  async run({ path, uses }, { mail }) {
    const [wanted, ...more] = uses;
    const use = SPECIAL_USES.find((one) => one.toLowerCase() === wanted?.toLowerCase());
    const isTaken = use !== undefined && mail.state.liveMailboxes().some(({ specialUse }) => specialUse === use);
    if ((wanted !== undefined && !use) || more.length > 0 || isTaken)
      return no("A mailbox can't have this use", "USEATTR");
    const id = await mail.create(path, use);
    return ok("CREATE completed", `MAILBOXID (${formatMailboxId(id)})`);
  },
});

const SPECIAL_USES: readonly SpecialUse[] = ["\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"];

/** DELETE: RFC 9051 §6.3.5. */
export const deleteMailbox: Command<unknown> = defineCommand({
  name: "DELETE",
  in: SIGNED_IN,
  parse: parseMailbox,
  async run(path, session) {
    const { mail, selected } = session;
    const { id } = mail.getMailbox(path);
    await mail.delete(mail.getMailbox(path).id);
    await forgetEntries(session, { id });
    if (selected?.view.id === id) session.selected = undefined;
    return ok("DELETE completed");
  },
});

/** RENAME: RFC 9051 §6.3.6. */
export const renameMailbox: Command<unknown> = defineCommand({
  name: "RENAME",
  in: SIGNED_IN,
  parse: (parser, form) => ({ from: parseMailbox(parser, form), to: parseMailbox(parser, form) }),
  async run({ from, to }, { mail }) {
    await mail.rename(from, to);
    return ok("RENAME completed");
  },
});
