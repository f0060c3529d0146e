import type { Session } from "../session.ts";
import { type Command, defineCommand, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";

/** RFC 4314 §2.1, with the two of RFC 2086 that they come to. Nobody is given any: there is no `a`. */
const OWNER_RIGHTS = "lrswipkxtecd";

/** MYRIGHTS: RFC 4314 §3.5. The owner may do what there is to do. */
export const myRights: Command<unknown> = defineCommand({
  name: "MYRIGHTS",
  in: SIGNED_IN,
  parse: parseMailbox,
  async run(path, session) {
    session.untagged(formatRights(session.mail.getMailbox(path).path, session));
    return ok("MYRIGHTS completed");
  },
});

export function formatRights(path: string, session: Session): string {
  return `MYRIGHTS ${session.formatName(path)} ${OWNER_RIGHTS}`;
}
