import { readdir } from "node:fs/promises";
import { type AccountSession, type SalvagedMail, type SalvageReport, salvage } from "@restante/engine";
import { type Config, makeFolder } from "@restante/host";
import { askSecret } from "./ask.ts";
import { getUser, openContext, readPepper, withSession } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { EmlTarget } from "./transfer/eml.ts";
import { type MailTarget, parsePlace, type TransferFormat } from "./transfer/mail-place.ts";
import { MaildirTarget } from "./transfer/maildir.ts";
import { MboxTarget } from "./transfer/mbox.ts";
import { Progress } from "./transfer/progress.ts";

/** `restante export ADDRESS TARGET [--salvage]`: all mail, as it streams, into a new place outside the store. */
export async function exportMail(
  config: Config,
  [address, to]: readonly [string, string],
  flags: Flags & { readonly salvage: boolean },
): Promise<number> {
  const target = await openTarget(to);
  if (flags.salvage) return salvageMail(config, address, target, flags);
  return withSession(config, address, flags, async (session) => {
    await session.refresh();
    const problems: string[] = [];
    const messages = await exportAll(session, target, problems);
    for (const problem of problems) process.stderr.write(`restante: ${problem}\n`);
    const mailboxes = session.state.liveMailboxes().length - problems.length;
    if (flags.json) process.stdout.write(`${JSON.stringify({ mailboxes, messages })}\n`);
    else process.stdout.write(`${messages} messages of ${mailboxes} mailboxes exported\n`);
    return problems.length > 0 ? EXIT.failed : EXIT.well;
  });
}

/** The other mboxes are read only: their quoting loses lines, or few programs read it. */
const TARGETS: Readonly<Record<TransferFormat, ((path: string) => MailTarget) | undefined>> = {
  maildir: (path) => new MaildirTarget(path),
  mbox: (path) => new MboxTarget(path),
  mboxrd: (path) => new MboxTarget(path),
  mboxo: undefined,
  mboxcl: undefined,
  mboxcl2: undefined,
  eml: (path) => new EmlTarget(path),
};

async function openTarget(text: string): Promise<MailTarget> {
  const place = parsePlace(text);
  const make = place && TARGETS[place.format];
  if (!make) throw new Exit(EXIT.usage, "a target is maildir:PATH, mbox:PATH or eml:PATH");
  await makeFolder(place.path);
  if ((await readdir(place.path)).length > 0) throw new Exit(EXIT.failed, `${place.path} is not empty`);
  return make(place.path);
}

async function exportAll(session: AccountSession, target: MailTarget, problems: string[]): Promise<number> {
  const mailboxes = session.state.liveMailboxes().map(({ path }) => path);
  const total = mailboxes.reduce((sum, path) => sum + session.getMailbox(path).messages.length, 0);
  using progress = new Progress(total);
  let written = 0;
  for (const path of mailboxes) {
    try {
      await target.begin(path, session.keywordsIn(session.getMailbox(path)));
    } catch (error) {
      problems.push(`the mailbox ${JSON.stringify(path)} is left out: ${(error as Error).message}`);
      continue;
    }
    const view = session.openView(path, { readOnly: true });
    for (let position = 0; position < view.length; position++) {
      const message = view.message(position);
      const { state, row } = message;
      const facts = { uid: view.uidAt(position), received: state.receivedOf(row), flags: state.flagNames(row) };
      const body = await session.openBody(message);
      await target.write({ ...facts, read: () => body.read(0, body.size) });
      written++;
      progress.add(1);
    }
  }
  await target.end([...session.state.subscriptions].sort());
  return written;
}

/** `--salvage`: what the bodies tell of themselves, without the account's state. */
async function salvageMail(config: Config, address: string, target: MailTarget, flags: Flags): Promise<number> {
  await using context = await openContext(config, "salvage");
  const user = await getUser(context, address);
  const password = await askSecret("Password: ", flags);
  const report: SalvageReport = { damaged: [] };
  const tools = { ...context, pepper: await readPepper(config) };
  const mails = await Array.fromAsync(salvage(tools, user, password, report));
  const byMailbox = Object.groupBy(mails, ({ mailbox }) => mailbox || "INBOX");
  for (const [path, inside = []] of Object.entries(byMailbox)) {
    await target.begin(path, keywordsOf(inside));
    inside.sort((a, b) => a.receivedMs - b.receivedMs);
    for (const [at, { receivedMs, flags: kept, body }] of inside.entries()) {
      const received = { timeMs: receivedMs, zoneMinutes: 0 };
      await target.write({ uid: at + 1, received, flags: kept, read: () => body.read(0, body.size) });
    }
  }
  await target.end(Object.keys(byMailbox).sort());
  if (flags.json) process.stdout.write(`${JSON.stringify({ messages: mails.length, damaged: report.damaged })}\n`);
  else {
    for (const name of report.damaged) process.stdout.write(`damaged: ${name}\n`);
    process.stdout.write(`${mails.length} messages salvaged, ${report.damaged.length} objects can't be read\n`);
  }
  return report.damaged.length > 0 ? EXIT.failed : EXIT.well;
}

function keywordsOf(mails: readonly SalvagedMail[]): string[] {
  return [...new Set(mails.flatMap((mail) => mail.flags).filter((flag) => !flag.startsWith("\\")))].sort();
}
