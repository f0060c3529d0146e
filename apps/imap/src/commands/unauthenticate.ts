import { ImapSyntaxError } from "../wire/parser.ts";
import { type Command, defineCommand, noArguments, ok, SIGNED_IN } from "./command.ts";

/** UNAUTHENTICATE: RFC 8437 §3. Compression ends with it. Where it is hidden there is no such command: §8. */
export const unauthenticate: Command<unknown> = defineCommand({
  name: "UNAUTHENTICATE",
  in: SIGNED_IN,
  capabilities: ["UNAUTHENTICATE"],
  silent: true,
  parse: noArguments,
  async run(_, session) {
    if (!session.link.offers("UNAUTHENTICATE")) throw new ImapSyntaxError("Unknown command");
    const { link } = session;
    // Compression ends behind the answer, as it ended behind the client's command.
    if (link.isCompressed) session.afterwards = async () => link.decompress();
    session.signOut();
    return ok("Signed out");
  },
});
