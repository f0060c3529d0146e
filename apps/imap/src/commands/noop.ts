import { ANY, type Command, defineCommand, noArguments, ok } from "./command.ts";

/** NOOP: RFC 9051 §6.1.2. Mail that was delivered before it is told in its answer. */
export const noop: Command<unknown> = defineCommand({
  name: "NOOP",
  in: ANY,
  parse: noArguments,
  async run(_, session) {
    if (session.account) await session.refresh();
    return ok("NOOP completed");
  },
});

/** CHECK: RFC 3501 §6.4.1. All that was acknowledged is stored already. */
export const check: Command<unknown> = defineCommand({
  name: "CHECK",
  in: ["selected"],
  parse: noArguments,
  async run(_, session) {
    await session.refresh();
    return ok("CHECK completed");
  },
});
