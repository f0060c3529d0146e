import type { AccountSession } from "@restante/engine";
import type { Config } from "@restante/host";
import { withSession } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import { printable, tell } from "./print.ts";
import { Progress } from "./progress.ts";
import { exitOf, isSystemError, textOf } from "./system-error.ts";
import { openEml } from "./transfer/eml/eml.ts";
import { parseImapPlace } from "./transfer/imap/imap-place.ts";
import type { ImportEnd, ImportFlags } from "./transfer/import-end.ts";
import { MailImport } from "./transfer/import-mails.ts";
import { wrongKind } from "./transfer/kind.ts";
import { type MailSource, type Place, parsePlace } from "./transfer/mail-place.ts";
import { openMaildir } from "./transfer/maildir/maildir.ts";
import { openMbox } from "./transfer/mbox/mbox.ts";

/** `restante import SOURCE ADDRESS [--mailbox NAME]`: it may be run again, see {@link MailImport}. */
export async function importMail(
  config: Config,
  [from, address]: readonly [string, string],
  flags: ImportFlags,
): Promise<number> {
  const remote = parseImapPlace(from);
  if (remote) {
    const { importByImap } = await import("./import-imap.ts");
    return withSession(config, address, { ...flags, changes: true }, async (session) =>
      end(await importByImap(session, remote, flags), flags),
    );
  }
  const place = parsePlace(from);
  if (!place)
    throw new Exit(
      EXIT.usage,
      "a source is maildir:PATH, mbox:PATH (or mboxrd:, mboxo:, mboxcl:, mboxcl2:), eml:PATH or imaps://USER@HOST",
    );
  if (flags.follow || flags.sourcePasswordFile !== undefined)
    throw new Exit(EXIT.usage, "--follow and --source-password-file are for imaps://USER@HOST alone");
  const source = await openSource(place);
  return withSession(config, address, { ...flags, changes: true }, async (session) =>
    end(await importFrom(source, session, flags.mailbox), flags),
  );
}

async function importFrom(
  source: MailSource,
  session: AccountSession,
  mailbox: string | undefined,
): Promise<ImportEnd> {
  const { total, unit, folders, problems, notices } = source;
  using progress = new Progress({ total, unit, done: "imported" });
  const mails = new MailImport({
    session,
    mailbox,
    onDone: (weight) => progress.add(weight),
    onProblem: (problem) => problems.push(problem),
  });
  for (const folder of folders) await mails.addFolder(folder);
  return { mails, problems, notices, hadProblems: false };
}

/** Prints the import's result, its notices and its problems. Gives the exit code. */
async function end({ mails, problems, notices, hadProblems }: ImportEnd, flags: ImportFlags): Promise<number> {
  for (const text of notices) tell(text);
  for (const [flag, name] of mails.renamed)
    tell(`the keyword ${JSON.stringify(flag)} is ${name} here: IMAP has no other`);
  for (const text of problems) tell(text);
  const { imported, known } = mails;
  const mailboxes = (await mails.mailboxes()).size;
  if (flags.json) process.stdout.write(`${JSON.stringify({ mailboxes, imported, known })}\n`);
  else process.stdout.write(`${imported} messages imported into ${mailboxes} mailboxes, ${known} were there already\n`);
  return hadProblems || problems.length > 0 ? EXIT.failed : EXIT.well;
}

async function openSource(place: Place): Promise<MailSource> {
  try {
    const wrong = await wrongKind(place);
    if (wrong !== undefined) throw new Exit(EXIT.usage, printable(wrong));
    const source = await openByKind(place);
    if (source.folders.length === 0 && source.problems.length === 0)
      source.problems.push(`there is no mail in ${place.path}`);
    return source;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new Exit(exitOf(error), `the source can't be read: ${textOf(error)}`);
  }
}

function openByKind({ format, path }: Place): Promise<MailSource> {
  switch (format) {
    case "maildir":
      return openMaildir(path);
    case "eml":
      return openEml(path);
    default:
      return openMbox(path, format);
  }
}
