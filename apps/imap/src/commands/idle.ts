import { type Command, defineCommand, noArguments, ok, SIGNED_IN } from "./command.ts";

/** IDLE: RFC 2177 §3. Anything but DONE ends it too, as a mistake. */
export const idle: Command<unknown> = defineCommand({
  name: "IDLE",
  in: SIGNED_IN,
  capabilities: ["IDLE"],
  parse: noArguments,
  async run(_, session) {
    const line = await session.link.idle(async () => {
      // Looks once: what wakes it later came after that, and was applied before it woke.
      await session.refresh();
      await session.syncView({ expunges: true, uid: false });
      await session.watch?.tell();
    });
    const word = line ? String.fromCharCode(...line.subarray(0, 5)).toUpperCase() : "";
    return word === "DONE" ? ok("IDLE completed") : { status: "BAD", text: "DONE expected" };
  },
});
