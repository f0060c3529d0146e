import { readdir } from "node:fs/promises";
import {
  type AccountSession,
  EngineError,
  type MailboxView,
  type SalvagedMail,
  type SalvageReport,
  salvage,
} from "@restante/engine";
import { type Config, makeFolder } from "@restante/host";
import { askSecret } from "./ask.ts";
import { getUser, openContext, readPepper, withSession } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { tell } from "./print.ts";
import { Progress } from "./progress.ts";
import { exitOf, isSystemError, textOf } from "./system-error.ts";
import { EmlTarget } from "./transfer/eml/eml.ts";
import { type MailTarget, parsePlace, type TargetMail, type TransferFormat } from "./transfer/mail-place.ts";
import { MaildirTarget } from "./transfer/maildir/maildir.ts";
import { MboxTarget } from "./transfer/mbox/mbox.ts";

/** `restante export ADDRESS TARGET [--salvage]`: all mail, as it streams, into a new place outside the store. */
export async function exportMail(
  config: Config,
  [address, to]: readonly [string, string],
  flags: Flags & { readonly salvage: boolean },
): Promise<number> {
  const make = parseTarget(to);
  if (flags.salvage) return salvageMail(config, address, make, flags);
  return withSession(config, address, flags, async (session) => {
    const target = await make();
    await session.refresh();
    const paths = session.state.liveMailboxes().map(({ path }) => path);
    using progress = new Progress({
      total: paths.reduce((sum, path) => sum + session.getMailbox(path).messages.length, 0),
      unit: "messages",
      done: "exported",
    });
    const mails = new MailExport(target, progress);
    for (const path of paths)
      await mails.writeMailbox(path, session.keywordsIn(session.getMailbox(path)), mailsOf(session, path));
    await target.end([...session.state.subscriptions].sort());
    progress[Symbol.dispose]();
    const { problems, messages, mailboxes } = mails;
    for (const problem of problems) tell(problem);
    if (flags.json) process.stdout.write(`${JSON.stringify({ mailboxes, messages })}\n`);
    else process.stdout.write(`${messages} messages of ${mailboxes} mailboxes exported\n`);
    return problems.length > 0 ? EXIT.failed : EXIT.well;
  });
}

const TARGETS: Readonly<Record<TransferFormat, (path: string) => MailTarget>> = {
  maildir: (path) => new MaildirTarget(path),
  mbox: (path) => new MboxTarget(path, "mboxrd"),
  mboxrd: (path) => new MboxTarget(path, "mboxrd"),
  mboxo: (path) => new MboxTarget(path, "mboxo"),
  mboxcl: (path) => new MboxTarget(path, "mboxcl"),
  mboxcl2: (path) => new MboxTarget(path, "mboxcl2"),
  eml: (path) => new EmlTarget(path),
};

/** A function that makes the target, whose folder must be new or empty. Both throw Exit. */
function parseTarget(text: string): () => Promise<MailTarget> {
  const place = parsePlace(text);
  if (!place)
    throw new Exit(
      EXIT.usage,
      "a target is maildir:PATH, mbox:PATH (or mboxrd:, mboxo:, mboxcl:, mboxcl2:) or eml:PATH",
    );
  return async () => {
    try {
      await makeFolder(place.path);
      if ((await readdir(place.path)).length > 0) throw new Exit(EXIT.failed, `${place.path} is not empty`);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      throw new Exit(exitOf(error), `the target can't be made: ${textOf(error)}`);
    }
    return TARGETS[place.format](place.path);
  };
}

/** A mail that is exported, and what problems call it. */
interface ExportedMail {
  readonly name: string;
  open(): Promise<TargetMail>;
}

/** Every mailbox and every mail is tried; what failed is named. */
class MailExport {
  readonly #target: MailTarget;
  readonly #progress: Progress;
  readonly problems: string[] = [];
  messages = 0;
  mailboxes = 0;

  constructor(target: MailTarget, progress: Progress) {
    this.#target = target;
    this.#progress = progress;
  }

  async writeMailbox(path: string, keywords: readonly string[], mails: AsyncIterable<ExportedMail>): Promise<void> {
    try {
      this.problems.push(...(await this.#target.begin(path, keywords)));
    } catch (error) {
      this.problems.push(`the mailbox ${JSON.stringify(path)} is left out: ${(error as Error).message}`);
      return;
    }
    this.mailboxes++;
    try {
      for await (const mail of mails) {
        await this.#write(path, mail);
        this.#progress.add(1);
      }
    } catch (error) {
      if (!(error instanceof EngineError && error.code === "not-found")) throw error;
      this.problems.push(`the mailbox ${JSON.stringify(path)} was deleted meanwhile`);
    }
  }

  async #write(path: string, { name, open }: ExportedMail): Promise<void> {
    try {
      await this.#target.write(await open());
      this.messages++;
    } catch (error) {
      if (isSystemError(error)) throw new Exit(exitOf(error), `${name} of ${path} can't be written: ${textOf(error)}`);
      if (!isOfOneMail(error)) throw error;
      this.problems.push(`${name} of ${JSON.stringify(path)} is left out: ${error.message}`);
    }
  }
}

/** True for an error of one mail: the export leaves that mail out and goes on. */
function isOfOneMail(error: unknown): error is Error {
  if (error instanceof EngineError) return error.code === "corrupt" || error.code === "expunged";
  return error instanceof Error;
}

async function* mailsOf(session: AccountSession, path: string): AsyncGenerator<ExportedMail> {
  const view = session.openView(session.getMailbox(path).id, { readOnly: true });
  for (let position = 0; position < view.length; position++) {
    const uid = view.uidAt(position);
    yield { name: `uid ${uid}`, open: () => openMail(session, view, position) };
  }
}

async function openMail(session: AccountSession, view: MailboxView, position: number): Promise<TargetMail> {
  const message = view.message(position);
  const { state, row } = message;
  const facts = { uid: view.uidAt(position), received: state.receivedOf(row), flags: state.flagNames(row) };
  const body = await session.openBody(message);
  return { ...facts, read: () => body.read(0, body.size) };
}

/** `--salvage`: what the bodies tell of themselves, without the account's state. */
async function salvageMail(
  config: Config,
  address: string,
  make: () => Promise<MailTarget>,
  flags: Flags,
): Promise<number> {
  await using context = await openContext(config, "salvage");
  const user = await getUser(context, address);
  const password = await askSecret("Password: ", flags);
  const target = await make();
  const report: SalvageReport = { damaged: [] };
  const tools = { ...context, pepper: await readPepper(config) };
  const found = await findAll(salvage(tools, user, password, report));
  using progress = new Progress({ total: found.length, unit: "messages", done: "written" });
  const mails = new MailExport(target, progress);
  const byMailbox = Map.groupBy(found, ({ mailbox }) => mailbox || "INBOX");
  for (const [path, inside] of byMailbox) {
    inside.sort((a, b) => a.receivedMs - b.receivedMs);
    await mails.writeMailbox(path, keywordsOf(inside), salvagedMails(inside));
  }
  await target.end([...byMailbox.keys()].sort());
  progress[Symbol.dispose]();
  for (const problem of mails.problems) tell(problem);
  const { messages } = mails;
  if (flags.json) process.stdout.write(`${JSON.stringify({ messages, damaged: report.damaged })}\n`);
  else {
    for (const name of report.damaged) process.stdout.write(`damaged: ${name}\n`);
    process.stdout.write(`${messages} messages salvaged, ${report.damaged.length} objects can't be read\n`);
  }
  return report.damaged.length + mails.problems.length > 0 ? EXIT.failed : EXIT.well;
}

async function findAll(mails: AsyncIterable<SalvagedMail>): Promise<SalvagedMail[]> {
  using progress = new Progress({ total: 0, unit: "messages", done: "found" });
  const found: SalvagedMail[] = [];
  for await (const mail of mails) {
    found.push(mail);
    progress.add(1);
  }
  return found;
}

async function* salvagedMails(mails: readonly SalvagedMail[]): AsyncGenerator<ExportedMail> {
  for (const [at, { id, receivedMs, flags, body }] of mails.entries()) {
    const received = { timeMs: receivedMs, zoneMinutes: 0 };
    const read = (): AsyncIterable<Uint8Array> => body.read(0, body.size);
    yield { name: id, open: async () => ({ uid: at + 1, received, flags, read }) };
  }
}

function keywordsOf(mails: readonly SalvagedMail[]): string[] {
  return [...new Set(mails.flatMap((mail) => mail.flags).filter((flag) => !flag.startsWith("\\")))].sort();
}
