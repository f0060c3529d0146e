import { ImapSyntaxError } from "../wire/parser.ts";
import { type Command, defineCommand, noArguments, ok, SIGNED_IN } from "./command.ts";

/** GETJMAPACCESS: RFC 9698 §3. Where JMAP is not served there is no such command. */
export const getJmapAccess: Command<unknown> = defineCommand({
  name: "GETJMAPACCESS",
  in: SIGNED_IN,
  capabilities: ["JMAPACCESS"],
  parse: noArguments,
  async run(_, session) {
    const { link } = session;
    if (link.jmapUrl === undefined || !link.offers("JMAPACCESS")) throw new ImapSyntaxError("Unknown command");
    session.untagged(`JMAPACCESS "${link.jmapUrl}"`);
    return ok("GETJMAPACCESS completed");
  },
});
