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
    using progress = new Progress(source.total);
    for (const folder of source.folders) {
      const path = targetPath(folder.path, flags.mailbox);
      await makeMailbox(session, path, source.subscribed?.has(folder.path) ?? true);
      await importFolder(session, folder, path, counts, progress);
    }
    progress[Symbol.dispose]();
    if (flags.json) process.stdout.write(`${JSON.stringify({ mailboxes: source.folders.length, ...counts })}\n`);
    else
      process.stdout.write(
        `${counts.imported} messages imported into ${source.folders.length} mailboxes, ${counts.known} were there already\n`,
      );
    return EXIT.well;
  });
}

async function openSource(text: string): Promise<MailSource> {
  const place = parsePlace(text);
  if (!place) throw new Exit(EXIT.usage, "a source is maildir:PATH, mbox:PATH, mboxo:PATH or eml:PATH");
  try {
    switch (place.format) {
      case "maildir":
        return await openMaildir(place.path);
      case "mbox":
        return await openMbox(place.path, "mboxrd");
      case "mboxo":
        return await openMbox(place.path, "mboxo");
      case "eml":
        return await openEml(place.path);
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

async function makeMailbox(session: AccountSession, path: string, subscribed: boolean): Promise<void> {
  try {
    await session.create(path);
  } catch (error) {
    if (error instanceof EngineError && error.code === "already-exists") return;
    if (error instanceof EngineError && error.code === "invalid")
      throw new Exit(EXIT.failed, `no mailbox can have the name ${JSON.stringify(path)}`);
    throw error;
  }
  if (subscribed) await session.subscribe(path, true);
}

/** One op a batch; the next batch is sealed while it is stored. Order is the source's. */
async function importFolder(
  session: AccountSession,
  folder: SourceFolder,
  path: string,
  counts: Counts,
  progress: Progress,
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
  for await (const mail of folder.mails()) {
    const known = await recognise(mail, present);
    if (known.isPresent) {
      counts.known++;
      progress.add(mail.weight);
      continue;
    }
    const prepared = await session.prepare(mail.open(), { mailbox: path, flags: mail.flags, received: known.received });
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
    throw new Exit(
      EXIT.failed,
      `${mail.place} can't be read: ${(error as Error).message}; what came before it is imported`,
    );
  }
  return scanner.finish();
}

/** When a mail came, of which only its own fields tell: the newest Received, else Date, else the beginning of time. */
function dateOf({ header }: MessageStructure): MailDate {
  const fields = parseHeaders(header);
  const received = findHeader(fields, "received")?.split(";").at(-1);
  return parseDate(received ?? "") ?? parseDate(findHeader(fields, "date") ?? "") ?? { timeMs: 0, zoneMinutes: 0 };
}
