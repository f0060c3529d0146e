import type { Config } from "@restante/host";
import { withSession } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { Progress } from "./progress.ts";
import { openEml } from "./transfer/eml/eml.ts";
import { MailImport } from "./transfer/import-mails.ts";
import { wrongKind } from "./transfer/kind.ts";
import { type MailSource, type Place, parsePlace } from "./transfer/mail-place.ts";
import { openMaildir } from "./transfer/maildir/maildir.ts";
import { openMbox } from "./transfer/mbox/mbox.ts";

interface ImportFlags extends Flags {
  readonly mailbox: string | undefined;
}

/** `restante import SOURCE ADDRESS [--mailbox NAME]`: it may be run again, see {@link MailImport}. */
export async function importMail(
  config: Config,
  [from, address]: readonly [string, string],
  flags: ImportFlags,
): Promise<number> {
  const place = parsePlace(from);
  if (!place)
    throw new Exit(
      EXIT.usage,
      "a source is maildir:PATH, mbox:PATH (or mboxrd:, mboxo:, mboxcl:, mboxcl2:) or eml:PATH",
    );
  const source = await openSource(place);
  return withSession(config, address, { ...flags, changes: true }, async (session) => {
    using progress = new Progress({ total: source.total, unit: source.unit, done: "imported" });
    const { problems, notices } = source;
    const mails = new MailImport({
      session,
      mailbox: flags.mailbox,
      onDone: (weight) => progress.add(weight),
      onProblem: (problem) => problems.push(problem),
    });
    for (const folder of source.folders) await mails.addFolder(folder);
    progress[Symbol.dispose]();
    for (const [flag, name] of mails.renamed)
      notices.push(`the keyword ${JSON.stringify(flag)} is ${name} here: IMAP has no other`);
    for (const text of [...notices, ...problems]) process.stderr.write(`restante: ${text}\n`);
    const { imported, known } = mails;
    const mailboxes = (await mails.mailboxes()).size;
    if (flags.json) process.stdout.write(`${JSON.stringify({ mailboxes, imported, known })}\n`);
    else
      process.stdout.write(`${imported} messages imported into ${mailboxes} mailboxes, ${known} were there already\n`);
    return problems.length > 0 ? EXIT.failed : EXIT.well;
  });
}

async function openSource(place: Place): Promise<MailSource> {
  try {
    const wrong = await wrongKind(place);
    if (wrong !== undefined) throw new Exit(EXIT.usage, wrong);
    const source = await openByKind(place);
    if (source.folders.length === 0 && source.problems.length === 0)
      source.problems.push(`there is no mail in ${place.path}`);
    return source;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof Exit || code === undefined) throw error;
    throw new Exit(EXIT.failed, `the source can't be read: ${message}`);
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
