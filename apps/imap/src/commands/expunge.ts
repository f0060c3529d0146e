import type { Session } from "../session.ts";
import { type Command, defineCommand, noArguments, ok } from "./command.ts";
import { parseSet, positionsOf } from "./message-set.ts";

/** EXPUNGE: RFC 9051 §6.4.3; UID EXPUNGE: RFC 4315 §2.1; with HIGHESTMODSEQ: RFC 7162 §3.2.7. */
export const expunge: Command<unknown> = defineCommand({
  name: "EXPUNGE",
  in: ["selected"],
  uid: true,
  parse: (parser, { uid }) => (uid ? parseSet(parser) : undefined),
  async run(set, session) {
    await session.view.expunge(set ? positionsOf(session, set, true) : undefined);
    return ok("EXPUNGE completed", afterExpunge(session));
  },
});

/** The HIGHESTMODSEQ response code for a client that keeps uids: behind the last VANISHED the client knows all up to this
 * modseq. */
export function afterExpunge(session: Session): (() => string) | undefined {
  return session.enabled.has("QRESYNC") ? () => session.highestModSeq() : undefined;
}

/** CLOSE: RFC 9051 §6.4.1: expunges without telling, so no HIGHESTMODSEQ either: RFC 7162 §3.2.8. */
export const close: Command<unknown> = defineCommand({
  name: "CLOSE",
  in: ["selected"],
  silent: true,
  parse: noArguments,
  async run(_, session) {
    if (!session.view.readOnly) await session.view.expunge();
    session.selected = undefined;
    return ok("CLOSE completed");
  },
});

/** UNSELECT: RFC 3691 §2. */
export const unselect: Command<unknown> = defineCommand({
  name: "UNSELECT",
  in: ["selected"],
  capabilities: ["UNSELECT"],
  silent: true,
  parse: noArguments,
  async run(_, session) {
    session.selected = undefined;
    return ok("UNSELECT completed");
  },
});
