import { limitCode, tellLimit } from "../message-limit.ts";
import type { Session } from "../session.ts";
import { type Command, defineCommand, noArguments, ok } from "./command.ts";
import { parseSet, positionsOf } from "./message-set.ts";

/** EXPUNGE: RFC 9051 §6.4.3; UID EXPUNGE: RFC 4315 §2.1; with HIGHESTMODSEQ: RFC 7162 §3.2.7, and MESSAGELIMIT: RFC 9738. */
export const expunge: Command<unknown> = defineCommand({
  name: "EXPUNGE",
  in: ["selected"],
  uid: true,
  parse: (parser, { uid }) => (uid ? parseSet(parser) : undefined),
  async run(set, session) {
    const { view, link } = session;
    // RFC 9738 names UID EXPUNGE alone.
    if (!set) await view.expunge();
    const lowest = set && (await view.expunge(positionsOf(session, set, true), link.messageLimit));
    return ok("EXPUNGE completed", afterExpunge(session, lowest && limitCode(link.messageLimit!, lowest)));
  },
});

/** The HIGHESTMODSEQ response code for a client that keeps uids: behind the last VANISHED the client knows all up to this
 * modseq. There is room for one code: MESSAGELIMIT is told by a response of its own then. */
export function afterExpunge(session: Session, limit?: string | 0): string | (() => string) | undefined {
  if (!session.enabled.has("QRESYNC")) return limit || undefined;
  return () => {
    tellLimit(session, limit || undefined);
    return session.highestModSeq();
  };
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
