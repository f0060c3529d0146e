import type { MailboxView } from "@restante/engine";
import { EngineError } from "@restante/engine";
import type { Session } from "../session.ts";
import type { Parser } from "../wire/parser.ts";
import { formatSequenceSet, type SequenceSet } from "../wire/sequence-set.ts";
import { type Command, type Completion, defineCommand, type Form, no, ok } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";
import { parseSet, positionsOf } from "./message-set.ts";

interface Arguments {
  readonly set: SequenceSet;
  readonly path: string;
}

/** COPY: RFC 9051 §6.4.7. */
export const copy: Command<unknown> = defineCommand({
  name: "COPY",
  in: ["selected"],
  uid: true,
  parse: parseTransfer,
  run: (args, session, form) => transfer("copy", args, session, form),
});

/** MOVE: RFC 6851 §3: COPYUID is told before the EXPUNGEs. */
export const move: Command<unknown> = defineCommand({
  name: "MOVE",
  in: ["selected"],
  uid: true,
  capabilities: ["MOVE"],
  parse: parseTransfer,
  run: (args, session, form) => transfer("move", args, session, form),
});

function parseTransfer(parser: Parser): Arguments {
  return { set: parseSet(parser), path: parseMailbox(parser) };
}

async function transfer(
  kind: "copy" | "move",
  { set, path }: Arguments,
  session: Session,
  form: Form,
): Promise<Completion> {
  const { view } = session;
  const copied = await tryTransfer(view, kind, positionsOf(view, set, form.uid), path);
  if (!copied) return no("No such mailbox", "TRYCREATE");
  const name = kind.toUpperCase();
  // A UID that isn't there is no mistake: RFC 9051 §6.4.9.
  if (copied.uids.length === 0) return ok(`${name} completed`);
  const code = `COPYUID ${copied.uidValidity} ${formatSequenceSet(copied.sourceUids)} ${formatSequenceSet(copied.uids)}`;
  if (kind === "copy") return ok("COPY completed", code);
  session.untagged(`OK [${code}] Moved`);
  return ok("MOVE completed");
}

async function tryTransfer(view: MailboxView, kind: "copy" | "move", positions: readonly number[], path: string) {
  try {
    return await view.transfer(kind, positions, path);
  } catch (error) {
    if (error instanceof EngineError && error.code === "not-found") return undefined;
    throw error;
  }
}
