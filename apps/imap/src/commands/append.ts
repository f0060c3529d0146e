import { EngineError, type Prepared } from "@restante/engine";
import type { Session } from "../session.ts";
import type { CommandText } from "../wire/command-reader.ts";
import { type DateTime, parseDateTime } from "../wire/date.ts";
import { ImapSyntaxError, Parser } from "../wire/parser.ts";
import { type Command, type Completion, defineCommand, type Form, no, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";
import { parseFlags } from "./store.ts";

interface Arguments {
  readonly path: string;
  readonly flags: readonly string[];
  readonly date: DateTime | undefined;
}

/** APPEND: RFC 9051 §6.3.12, with APPENDUID (RFC 4315 §3). The message is never whole in memory. */
export const append: Command<unknown> = defineCommand({
  name: "APPEND",
  in: SIGNED_IN,
  streams: isMessage,
  parse: parseAppend,
  async run({ path, flags, date }, session) {
    const { mail, message } = session;
    if (!message) throw new ImapSyntaxError("Message expected");
    if (!mail.state.findPath(path)) return no("No such mailbox", "TRYCREATE");
    const prepared = await mail.prepare(message.read(), { mailbox: path, flags, ...(date ? { received: date } : {}) });
    const rest = await message.rest();
    if (rest.kind !== "command" || rest.text.lines.length !== 1 || rest.text.lines[0]!.length > 0)
      throw new ImapSyntaxError("Unexpected text behind the message");
    return { finish: () => finish(session, path, prepared) };
  },
});

async function finish({ mail }: Session, path: string, prepared: Prepared): Promise<Completion> {
  try {
    const { uidValidity, uids } = await mail.append(path, prepared);
    return ok("APPEND completed", `APPENDUID ${uidValidity} ${uids[0]}`);
  } catch (error) {
    if (error instanceof EngineError && error.code === "not-found") return no("No such mailbox", "TRYCREATE");
    throw error;
  }
}

/** Up to the message's literal, where the cursor then stands. */
function parseAppend(parser: Parser, form: Pick<Form, "utf8">): Arguments {
  const path = parseMailbox(parser, form);
  parser.space();
  const flags = parser.atOpen ? parseFlags(parser) : undefined;
  if (flags) parser.space();
  let date: DateTime | undefined;
  if (parser.peek() === 0x22) {
    date = parseDateTime(parser.string());
    parser.space();
  }
  if (!/^~?\{\d+\+?\}$/.test(parser.rest())) throw new ImapSyntaxError("Message expected");
  return { path, flags: flags ?? [], date };
}

/** Whether the literal that the text ends with is the message, and not the mailbox's name. */
function isMessage(text: CommandText): boolean {
  try {
    const parser = new Parser(text);
    parser.tag();
    parser.space();
    parser.keyword();
    parseAppend(parser, { utf8: true });
    return true;
  } catch (error) {
    if (error instanceof ImapSyntaxError) return false;
    throw error;
  }
}
