import { type Command, defineCommand, noArguments, ok, SIGNED_IN } from "./command.ts";

/** IDLE: RFC 2177 §3. Anything but DONE ends it too, as a mistake. */
export const idle: Command<unknown> = defineCommand({
  name: "IDLE",
  in: SIGNED_IN,
  capabilities: ["IDLE"],
  parse: noArguments,
  async run(_, session) {
    let begun = false;
    const line = await session.link.idle(async () => {
      // What wakes it later was applied before.
      if (begun) session.mail.assertValid();
      else await session.mail.refresh();
      begun = true;
      session.syncView({ expunges: true, uid: false });
    });
    const word = line ? String.fromCharCode(...line.subarray(0, 5)).toUpperCase() : "";
    return word === "DONE" ? ok("IDLE completed") : { status: "BAD", text: "DONE expected" };
  },
});
