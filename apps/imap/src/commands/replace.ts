import { EngineError, type MailboxId, type Uid } from "@restante/engine";
import { AppendSource, type AppendStart } from "../append-source.ts";
import { parseAppendData } from "../wire/append-data.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import type { SequenceSet } from "../wire/sequence-set.ts";
import { isMessage, isStreamed, readMessages } from "./append.ts";
import { type Command, defineCommand, type Form, no, ok } from "./command.ts";
import { afterExpunge } from "./expunge.ts";
import { parseMailbox } from "./mailbox-argument.ts";
import { parseSet, positionsOf } from "./message-set.ts";
import { parseFlags } from "./store.ts";

interface Arguments extends AppendStart {
  readonly set: SequenceSet;
  readonly path: string;
}

/** REPLACE: RFC 8508 §3.1: one op, so that there is never both or none. Into another mailbox the new message is moved then. */
export const replace: Command<unknown> = defineCommand({
  name: "REPLACE",
  in: ["selected"],
  uid: true,
  capabilities: ["REPLACE"],
  streams: (text, isWithin) => (isWithin ? isStreamed(text) : isMessage(text, parseReplace)),
  parse: parseReplace,
  async run(args, session, { uid }) {
    const { set, path } = args;
    const { view, mail } = session;
    const to = mail.state.findPath(path)?.id;
    if (to === undefined) return no("No such mailbox", "TRYCREATE");
    const [position] = positionsOf(session, set, uid);
    if (position === undefined) return no("No such message");
    const read = await readMessages(() => new AppendSource(session, args, parseFlags).readAll(view.mailbox.path, 1));
    if (!Array.isArray(read)) return read;
    const replaced = await mail.replace(view, position, read[0]!);
    const there = view.id === to ? replaced : await moved(to, replaced.uids[0]!);
    session.untagged(`OK [APPENDUID ${there.uidValidity} ${there.uids[0]}] Replaced`);
    return ok("REPLACE completed", afterExpunge(session));

    async function moved(
      to: MailboxId,
      made: Uid,
    ): Promise<{ readonly uidValidity: number; readonly uids: readonly Uid[] }> {
      const fresh = mail.openView(view.id, { readOnly: false });
      const parts: { readonly uidValidity: number; readonly uids: readonly Uid[] }[] = [];
      try {
        await fresh.move([fresh.lowerBound(made)], to, (part) => parts.push(part));
      } catch (cause) {
        // NO would say that nothing was done.
        throw new EngineError("unknown-outcome", "replaced, and not moved", { cause });
      }
      return parts[0]!;
    }
  },
});

function parseReplace(parser: Parser, form: Pick<Form, "utf8">): Arguments {
  const set = parseSet(parser);
  // `seq-number` or `uniqueid`: RFC 8508 §5.
  if (set.ranges.length !== 1 || set.ranges[0]!.first !== set.ranges[0]!.last)
    throw new ImapSyntaxError("One message is replaced");
  const path = parseMailbox(parser, form);
  const start = parseAppendData(parser, "message", parseFlags);
  if (start.steps.length === 0) throw new ImapSyntaxError("Message expected");
  return { set, path, ...start };
}
