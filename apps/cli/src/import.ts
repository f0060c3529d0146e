import { type AccountSession, APPEND_BYTES_MAX, APPEND_EMAILS_MAX, EngineError, type Prepared } from "@restante/engine";
import type { Config } from "@restante/host";
import {
  createScanner,
  findHeader,
  type MailDate,
  type MessageStructure,
  parseDate,
  parseHeaders,
} from "@restante/mime";
import { withSession } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { openEml } from "./transfer/eml.ts";
import { atomFlag } from "./transfer/keywords.ts";
import { type MailSource, parsePlace, type SourceFolder, type SourceMail } from "./transfer/mail-place.ts";
import { openMaildir } from "./transfer/maildir.ts";
import { openMbox } from "./transfer/mbox.ts";
import { Progress } from "./transfer/progress.ts";
import { countMessages, recognitionKey } from "./transfer/recognise.ts";

interface ImportFlags extends Flags {
  readonly mailbox: string | undefined;
}

interface Counts {
  imported: number;
  known: number;
}

/**
 * `restante import SOURCE ADDRESS [--mailbox NAME]`. It may be run again, after a crash or for what came since: a mail
 * that the mailbox holds already (same size, INTERNALDATE and header) is left out, as often as it is there. So nothing is
 * doubled or lost, and no record is kept that could be wrong. What was moved or deleted since comes again.
 */
export async function importMail(
  config: Config,
  [from, address]: readonly [string, string],
  flags: ImportFlags,
): Promise<number> {
  const source = await openSource(from);
  return withSession(config, address, { ...flags, changes: true }, async (session) => {
    const counts: Counts = { imported: 0, known: 0 };
    const renamed = new Map<string, string>();
    using progress = new Progress(source.total);
    for (const folder of source.folders) {
      const path = targetPath(folder.path, flags.mailbox);
      if (!(await makeMailbox(session, path, source.subscribed?.has(folder.path) ?? true))) {
        source.problems.push(`no mailbox can have the name ${JSON.stringify(path)}; its mails are left out`);
        continue;
      }
      await importFolder(session, folder, path, counts, { progress, problems: source.problems, renamed });
    }
    for (const [flag, name] of renamed)
      process.stderr.write(`restante: the keyword ${JSON.stringify(flag)} is ${name} here: IMAP has no other\n`);
    for (const problem of source.problems) process.stderr.write(`restante: ${problem}\n`);
    progress[Symbol.dispose]();
    if (flags.json) process.stdout.write(`${JSON.stringify({ mailboxes: source.folders.length, ...counts })}\n`);
    else
      process.stdout.write(
        `${counts.imported} messages imported into ${source.folders.length} mailboxes, ${counts.known} were there already\n`,
      );
    return source.problems.length > 0 ? EXIT.failed : EXIT.well;
  });
}

async function openSource(text: string): Promise<MailSource> {
  const place = parsePlace(text);
  if (!place)
    throw new Exit(
      EXIT.usage,
      "a source is maildir:PATH, mbox:PATH (or mboxrd:, mboxo:, mboxcl:, mboxcl2:) or eml:PATH",
    );
  try {
    switch (place.format) {
      case "maildir":
        return await openMaildir(place.path);
      case "eml":
        return await openEml(place.path);
      default:
        return await openMbox(place.path, place.format);
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new Exit(EXIT.failed, `the source can't be read: ${message}`);
  }
}

/** Where a source's mailbox goes: with `--mailbox NAME` its INBOX becomes NAME, and the others lie below it. */
function targetPath(path: string, mailbox: string | undefined): string {
  if (mailbox === undefined) return path;
  return path === "INBOX" ? mailbox : `${mailbox}/${path}`;
}

/** Resolves with false if no mailbox can have this name. */
async function makeMailbox(session: AccountSession, path: string, subscribed: boolean): Promise<boolean> {
  try {
    await session.create(path);
  } catch (error) {
    if (error instanceof EngineError && error.code === "already-exists") return true;
    if (error instanceof EngineError && error.code === "invalid") return false;
    throw error;
  }
  if (subscribed) await session.subscribe(path, true);
  return true;
}

interface Told {
  readonly progress: Progress;
  readonly problems: string[];
  /** Flags that IMAP can't say, and what they became. */
  readonly renamed: Map<string, string>;
}

/** One op a batch; the next batch is sealed while it is stored. Order is the source's. */
async function importFolder(
  session: AccountSession,
  folder: SourceFolder,
  path: string,
  counts: Counts,
  { progress, problems, renamed }: Told,
): Promise<void> {
  const present = await countMessages(session, path);
  let batch: Prepared[] = [];
  let bytes = 0;
  let weight = 0;
  let stored: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    await stored;
    const [messages, done] = [batch, weight];
    [batch, bytes, weight] = [[], 0, 0];
    if (messages.length === 0) return;
    stored = session.appendMany(path, messages).then(() => {
      counts.imported += messages.length;
      progress.add(done);
    });
    // Seen when it is awaited: at the next flush.
    stored.catch(() => undefined);
  };
  const toFlag = (flag: string): string => {
    const name = atomFlag(flag);
    if (name !== flag) renamed.set(flag, name);
    return name;
  };
  for await (const mail of folder.mails()) {
    const known = await recognise(mail, present).catch((error: unknown) => {
      if (!(error instanceof Exit)) throw error;
      problems.push(error.message);
    });
    if (!known) continue;
    if (known.isPresent) {
      counts.known++;
      progress.add(mail.weight);
      continue;
    }
    const prepared = await session.prepare(mail.open(), {
      mailbox: path,
      flags: mail.flags.map(toFlag),
      received: known.received,
    });
    batch.push(prepared);
    bytes += prepared.heldBytes;
    weight += mail.weight;
    if (batch.length >= APPEND_EMAILS_MAX || bytes >= APPEND_BYTES_MAX) await flush();
  }
  await flush();
  await stored;
}

/** Reads a mail once to see when it came and whether it is there; each that is there answers for one of the source. */
async function recognise(
  mail: SourceMail,
  present: Map<string, number>,
): Promise<{ readonly received: MailDate; readonly isPresent: boolean }> {
  const structure = await readStructure(mail);
  const received = mail.received ?? dateOf(structure);
  const key = recognitionKey(structure.size, received.timeMs, structure.header);
  const count = present.get(key) ?? 0;
  if (count > 0) present.set(key, count - 1);
  return { received, isPresent: count > 0 };
}

async function readStructure(mail: SourceMail): Promise<MessageStructure> {
  const scanner = createScanner();
  try {
    for await (const chunk of mail.open()) scanner.push(chunk);
  } catch (error) {
    throw new Exit(EXIT.failed, `${mail.place} can't be read: ${(error as Error).message}`);
  }
  return scanner.finish();
}

/** When a mail came, of which only its own fields tell: the newest Received, else Date, else the beginning of time. */
function dateOf({ header }: MessageStructure): MailDate {
  const fields = parseHeaders(header);
  const received = findHeader(fields, "received")?.split(";").at(-1);
  return parseDate(received ?? "") ?? parseDate(findHeader(fields, "date") ?? "") ?? { timeMs: 0, zoneMinutes: 0 };
}
