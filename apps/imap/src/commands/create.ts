import { type Command, defineCommand, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";

/** CREATE: RFC 9051 §6.3.4. */
export const createMailbox: Command<unknown> = defineCommand({
  name: "CREATE",
  in: SIGNED_IN,
  parse: parseMailbox,
  async run(path, { mail }) {
    await mail.create(path);
    return ok("CREATE completed");
  },
});

/** DELETE: RFC 9051 §6.3.5. */
export const deleteMailbox: Command<unknown> = defineCommand({
  name: "DELETE",
  in: SIGNED_IN,
  parse: parseMailbox,
  async run(path, session) {
    const { mail, selected } = session;
    const { id } = mail.getMailbox(path);
    await mail.delete(path);
    if (selected?.view.id === id) session.selected = undefined;
    return ok("DELETE completed");
  },
});

/** RENAME: RFC 9051 §6.3.6. */
export const renameMailbox: Command<unknown> = defineCommand({
  name: "RENAME",
  in: SIGNED_IN,
  parse: (parser) => ({ from: parseMailbox(parser), to: parseMailbox(parser) }),
  async run({ from, to }, { mail }) {
    await mail.rename(from, to);
    return ok("RENAME completed");
  },
});
