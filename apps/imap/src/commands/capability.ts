import { ANY, type Command, defineCommand, noArguments, ok } from "./command.ts";

/** CAPABILITY: RFC 9051 §6.1.1. */
export const capability: Command<unknown> = defineCommand({
  name: "CAPABILITY",
  in: ANY,
  parse: noArguments,
  async run(_, { link, untagged }) {
    untagged(`CAPABILITY ${link.capabilities()}`);
    return ok("CAPABILITY completed");
  },
});
