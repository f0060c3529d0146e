import type { Session } from "../session.ts";
import { asSentence } from "../wire/format.ts";
import { type Command, type Completion, defineCommand, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";

/** SELECT: RFC 9051 §6.3.2. */
export const select: Command<unknown> = defineCommand({
  name: "SELECT",
  in: SIGNED_IN,
  silent: true,
  parse: parseMailbox,
  run: (path, session) => open(session, path, false),
});

/** EXAMINE: RFC 9051 §6.3.3. */
export const examine: Command<unknown> = defineCommand({
  name: "EXAMINE",
  in: SIGNED_IN,
  silent: true,
  parse: parseMailbox,
  run: (path, session) => open(session, path, true),
});

async function open(session: Session, path: string, readOnly: boolean): Promise<Completion> {
  session.selected = undefined;
  await session.refresh();
  const view = session.mail.openView(path, { readOnly });
  session.select(view);
  const { mailbox } = view;
  const { untagged } = session;
  untagged(`FLAGS (${session.flagsList()})`);
  untagged(`${view.length} EXISTS`);
  untagged(`${session.recentCount()} RECENT`);
  const unseen = view.firstUnseen();
  if (unseen !== undefined) untagged(`OK [UNSEEN ${unseen + 1}] First unseen message`);
  session.tellPermanentFlags();
  untagged(`OK [UIDNEXT ${mailbox.uidNext}] Next UID`);
  untagged(`OK [UIDVALIDITY ${mailbox.uidValidity}] UIDs are valid`);
  const { barred } = session.mail;
  if (barred !== undefined) untagged(`OK [ALERT] ${asSentence(barred)}`);
  return readOnly ? ok("EXAMINE completed", "READ-ONLY") : ok("SELECT completed", "READ-WRITE");
}
