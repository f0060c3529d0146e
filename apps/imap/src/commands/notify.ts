import { Watch } from "../watch.ts";
import { BadEvent, EVENTS, parseNotify } from "../wire/notify-events.ts";
import { type Command, defineCommand, no, ok, SIGNED_IN } from "./command.ts";

/** NOTIFY: RFC 5465 §3. Events are told between commands, and in IDLE. */
export const notify: Command<unknown> = defineCommand({
  name: "NOTIFY",
  in: SIGNED_IN,
  capabilities: ["NOTIFY"],
  parse(parser) {
    parser.space();
    try {
      return parseNotify(parser);
    } catch (error) {
      if (!(error instanceof BadEvent)) throw error;
      parser.skip(parser.rest().length);
      return error;
    }
  },
  async run(wanted, session) {
    if (wanted instanceof BadEvent) return no("Some events are not known", `BADEVENT (${EVENTS.join(" ")})`);
    await session.refresh();
    const { status, interests } = wanted;
    session.watch = interests.length > 0 ? new Watch(session, interests) : undefined;
    session.link.watch(session.watch !== undefined);
    if (status) await session.watch?.tellStatus();
    return ok("NOTIFY completed");
  },
});
