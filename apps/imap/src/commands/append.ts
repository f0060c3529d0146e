import { EngineError, type MailboxId, type Prepared } from "@restante/engine";
import { AppendSource, type AppendStart, BadUrl } from "../append-source.ts";
import { limitCode } from "../message-limit.ts";
import type { Session } from "../session.ts";
import { parseAppendData } from "../wire/append-data.ts";
import type { CommandText } from "../wire/command-reader.ts";
import { formatString } from "../wire/format.ts";
import { ImapSyntaxError, Parser } from "../wire/parser.ts";
import { formatSequenceSet } from "../wire/sequence-set.ts";
import { type Command, type Completion, defineCommand, type Form, no, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";
import { parseFlags } from "./store.ts";

interface Arguments extends AppendStart {
  readonly path: string;
}

/** APPEND: RFC 9051 §6.3.12, with APPENDUID (RFC 4315 §3); several at once, all or none: RFC 3502; made of parts: RFC 4469; UTF8:
 * RFC 6855 §4. No message is ever whole in memory. */
export const append: Command<unknown> = defineCommand({
  name: "APPEND",
  in: SIGNED_IN,
  capabilities: ["MULTIAPPEND", "CATENATE"],
  streams: (text, isWithin) => (isWithin ? isStreamed(text) : isMessage(text, parseAppend)),
  parse: parseAppend,
  async run(args, session) {
    const { path } = args;
    const mailbox = session.mail.state.findPath(path)?.id;
    if (mailbox === undefined) return no("No such mailbox", "TRYCREATE");
    const prepared = await readMessages(() => new AppendSource(session, args, parseFlags).readAll(path));
    if (!Array.isArray(prepared)) return prepared;
    const { messageLimit = prepared.length } = session.link;
    if (prepared.length > messageLimit) return no("Too many messages for one APPEND", limitCode(messageLimit));
    const heldBytes = prepared.reduce((sum, one) => sum + bytesOf(one), 0);
    return { heldBytes, finish: () => finish(session, mailbox, prepared) };
  },
});

/** Octets of a message that stay in memory until it is stored: of a large one the header and its summary. */
function bytesOf({ heldBytes, email }: Prepared): number {
  return heldBytes + email.header.length + email.summary.length;
}

async function finish({ appends }: Session, mailbox: MailboxId, prepared: readonly Prepared[]): Promise<Completion> {
  try {
    const { uidValidity, uids } = await appends.store(mailbox, prepared);
    return ok("APPEND completed", `APPENDUID ${uidValidity} ${formatSequenceSet(uids)}`);
  } catch (error) {
    if (error instanceof EngineError && error.code === "not-found") return no("No such mailbox", "TRYCREATE");
    throw error;
  }
}

/** The prepared messages of `read`, or the completion that refuses them: BADURL of RFC 4469 §4. */
export async function readMessages(read: () => Promise<Prepared[]>): Promise<Prepared[] | Completion> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof BadUrl) return no("No such message", `BADURL ${formatString(error.url)}`);
    throw error;
  }
}

/** Up to a literal of the message, where the cursor then stands. */
function parseAppend(parser: Parser, form: Pick<Form, "utf8">): Arguments {
  const path = parseMailbox(parser, form);
  const start = parseAppendData(parser, "message", parseFlags);
  if (start.steps.length === 0) throw new ImapSyntaxError("Message expected");
  return { path, ...start };
}

/** True if the literal that the text ends with is a message's, and not the mailbox's name. */
export function isMessage(text: CommandText, parse: (parser: Parser, form: Form) => AppendStart): boolean {
  try {
    const parser = new Parser(text);
    parser.tag();
    parser.space();
    const isUid = parser.keyword() === "UID";
    if (isUid) {
      parser.space();
      parser.keyword();
    }
    return parse(parser, { uid: isUid, utf8: true, tag: "" }).steps.some(({ kind }) => kind === "literal");
  } catch (error) {
    if (error instanceof ImapSyntaxError) return false;
    throw error;
  }
}

/** Behind a message's first literal all are of messages, but for those that a URL is said by. */
export function isStreamed({ lines }: CommandText): boolean {
  return !/\bURL ~?\{\d+\+?\}$/i.test(Buffer.from(lines.at(-1)!).toString("latin1"));
}
