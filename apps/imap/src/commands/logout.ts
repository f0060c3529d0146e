import { ANY, type Command, defineCommand, noArguments, ok } from "./command.ts";

/** LOGOUT: RFC 9051 §6.1.3. */
export const logout: Command<unknown> = defineCommand({
  name: "LOGOUT",
  in: ANY,
  silent: true,
  parse: noArguments,
  async run(_, session) {
    session.untagged("BYE Logging out");
    session.loggedOut = true;
    return ok("LOGOUT completed");
  },
});
