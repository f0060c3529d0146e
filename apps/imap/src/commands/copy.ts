import { type Copied, EngineError } from "@restante/engine";
import { limited } from "../message-limit.ts";
import type { Parser } from "../wire/parser.ts";
import { formatSequenceSet, type SequenceSet } from "../wire/sequence-set.ts";
import { type Command, type Completion, defineCommand, type Form, no, ok } from "./command.ts";
import { afterExpunge } from "./expunge.ts";
import { parseMailbox } from "./mailbox-argument.ts";
import { parseSet, positionsOf } from "./message-set.ts";

interface Arguments {
  readonly set: SequenceSet;
  readonly path: string;
}

/** COPY: RFC 9051 §6.4.7. It is done wholly or not at all, so more than MESSAGELIMIT has are refused: RFC 9738. */
export const copy: Command<unknown> = defineCommand({
  name: "COPY",
  in: ["selected"],
  uid: true,
  parse: parseTransfer,
  async run({ set, path }, session, { uid }) {
    const { view, mail } = session;
    const { positions, code } = limited(session, positionsOf(session, set, uid));
    if (code !== undefined) return no("Too many messages for one COPY", code);
    return unlessNoMailbox(async () =>
      ok("COPY completed", copyUid([await view.copy(positions, mail.getMailbox(path).id)])),
    );
  },
});

/** MOVE: RFC 6851 §3: COPYUID is told before the EXPUNGEs, HIGHESTMODSEQ behind them. Messages that were moved before a
 * failure stay moved. */
export const move: Command<unknown> = defineCommand({
  name: "MOVE",
  in: ["selected"],
  uid: true,
  capabilities: ["MOVE"],
  parse: parseTransfer,
  async run({ set, path }, session, { uid }) {
    const { view, mail, untagged } = session;
    const { positions, code: limit } = limited(session, positionsOf(session, set, uid));
    const moved: Copied[] = [];
    try {
      return await unlessNoMailbox(async () => {
        await view.move(positions, mail.getMailbox(path).id, (part) => moved.push(part));
        return ok("MOVE completed", afterExpunge(session, limit));
      });
    } finally {
      const code = copyUid(moved);
      if (code !== undefined) untagged(`OK [${code}] Moved`);
    }
  },
});

function parseTransfer(parser: Parser, form: Form): Arguments {
  return { set: parseSet(parser), path: parseMailbox(parser, form) };
}

/** COPYUID: RFC 4315 §3. A UID that isn't there is no mistake, and nothing was copied of it: RFC 9051 §6.4.9. */
function copyUid(parts: readonly Copied[]): string | undefined {
  const sources = parts.flatMap(({ sourceUids }) => sourceUids);
  if (sources.length === 0) return undefined;
  const uids = parts.flatMap((part) => part.uids);
  return `COPYUID ${parts[0]!.uidValidity} ${formatSequenceSet(sources)} ${formatSequenceSet(uids)}`;
}

async function unlessNoMailbox(transfer: () => Promise<Completion>): Promise<Completion> {
  try {
    return await transfer();
  } catch (error) {
    if (error instanceof EngineError && error.code === "not-found") return no("No such mailbox", "TRYCREATE");
    throw error;
  }
}
