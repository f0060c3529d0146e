import { ImapSyntaxError } from "../wire/parser.ts";
import { type Command, defineCommand, noArguments, ok, SIGNED_IN } from "./command.ts";

/** UNAUTHENTICATE: RFC 8437 §3. Where it is hidden there is no such command: §8. */
export const unauthenticate: Command<unknown> = defineCommand({
  name: "UNAUTHENTICATE",
  in: SIGNED_IN,
  capabilities: ["UNAUTHENTICATE"],
  silent: true,
  parse: noArguments,
  async run(_, session) {
    if (!session.link.offers("UNAUTHENTICATE")) throw new ImapSyntaxError("Unknown command");
    // Where in a stream of deflate the client's clear text begins nobody says.
    if (session.link.isCompressed) return { status: "BYE", text: "Connect anew, compression can't be taken off" };
    session.signOut();
    return ok("Signed out");
  },
});
