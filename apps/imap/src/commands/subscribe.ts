import { type Command, defineCommand, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";

/** SUBSCRIBE: RFC 9051 §6.3.7. The mailbox need not exist. */
export const subscribe: Command<unknown> = defineCommand({
  name: "SUBSCRIBE",
  in: SIGNED_IN,
  parse: parseMailbox,
  async run(path, { mail }) {
    await mail.subscribe(path, true);
    return ok("SUBSCRIBE completed");
  },
});

/** UNSUBSCRIBE: RFC 9051 §6.3.8. */
export const unsubscribe: Command<unknown> = defineCommand({
  name: "UNSUBSCRIBE",
  in: SIGNED_IN,
  parse: parseMailbox,
  async run(path, { mail }) {
    await mail.subscribe(path, false);
    return ok("UNSUBSCRIBE completed");
  },
});
