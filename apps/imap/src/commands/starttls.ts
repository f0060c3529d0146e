import { type Command, defineCommand, no, noArguments, ok } from "./command.ts";

/** STARTTLS: RFC 9051 §6.2.1. */
export const startTls: Command<unknown> = defineCommand({
  name: "STARTTLS",
  in: ["not-authenticated"],
  parse: noArguments,
  async run(_, session) {
    if (!session.link.startTlsOffered) return no("TLS is not available here");
    session.afterwards = () => session.link.secureNow();
    return ok("Begin TLS negotiation now");
  },
});
