import {
  type AccountSession,
  type Addition,
  APPEND_BYTES_MAX,
  APPEND_EMAILS_MAX,
  EngineError,
  type MailboxId,
  type Uid,
} from "@restante/engine";
import { createScanner, type MessageStructure } from "@restante/mime";
import { atomFlag } from "./keywords.ts";
import type { Destination, SourceFolder, SourceMail } from "./mail-place.ts";
import { receivedOf } from "./received.ts";
import { type Known, listKnown, recognitionKey } from "./recognise.ts";

/** Flags that one message may have. */
const FLAGS_MAX = 100;

export interface ImportOptions {
  readonly session: AccountSession;
  /** Takes the place of the source's INBOX; its other mailboxes lie below it. */
  readonly mailbox: string | undefined;
  /** Hears of the weight of mails that are in the store. */
  readonly onDone: (weight: number) => void;
  readonly onProblem: (problem: string) => void;
}

interface Target {
  readonly path: string;
  readonly id: MailboxId;
}

/**
 * Puts mails into an account. A mail that the mailbox held already before (same size, INTERNALDATE and header) is left out,
 * as often as it is there. So an import may be run again, nothing is doubled or lost, and no record is kept that could be
 * wrong. Mails that were moved or deleted since come again.
 */
export class MailImport {
  readonly #options: ImportOptions;
  readonly #targets = new Map<string, Promise<Target | undefined>>();
  /** Messages that each mailbox held before the import, by path. */
  readonly #known = new Map<string, Promise<Known>>();
  /** Flags that IMAP can't say, and what they became. */
  readonly renamed: Map<string, string> = new Map();
  imported = 0;
  known = 0;

  constructor(options: ImportOptions) {
    this.#options = options;
  }

  /** Paths of the mailboxes that it found or made. */
  async mailboxes(): Promise<ReadonlySet<string>> {
    const targets = await Promise.all(this.#targets.values());
    return new Set(targets.flatMap((target) => (target ? [target.path] : [])));
  }

  /** One op a batch; the next batch is sealed while it is stored. Order is the source's. */
  async addFolder(folder: SourceFolder): Promise<void> {
    const batches = new Batches(this.#options, folder, (count) => {
      this.imported += count;
    });
    let isAlone = true;
    try {
      for await (const mail of folder.mails()) {
        isAlone &&= mail.into === undefined;
        const targets = await this.#resolveAll(mail.into ?? [folder]);
        // The mailboxes can't be made, which was told.
        if (targets.length === 0) continue;
        const addition = await this.#read(mail, targets).catch((error: unknown) => this.#tellUnreadable(mail, error));
        if (addition) await batches.add(mail, addition);
        else batches.pass(mail);
      }
    } finally {
      // Where the source fails, what came before is stored, and told to be.
      await batches.end();
    }
    if (isAlone) await this.#resolveAll([folder]);
  }

  #tellUnreadable({ place }: SourceMail, error: unknown): undefined {
    if (!(error instanceof UnreadableMail)) throw error;
    this.#options.onProblem(`${place} can't be read: ${(error.cause as Error).message}`);
  }

  /** Undefined if the mail is there already. Throws {@link UnreadableMail}. */
  async #read(mail: SourceMail, targets: readonly Target[]): Promise<Addition | undefined> {
    const { session } = this.#options;
    const structure = await readStructure(mail);
    const received = receivedOf(mail.received, structure.header);
    const key = recognitionKey(structure.size, received.timeMs, structure.header);
    if (await this.#isKnown(key, targets)) {
      this.known++;
      return undefined;
    }
    const flags = this.#flagsOf(mail);
    const source = orUnreadable(mail.open());
    const prepared = await session.prepare(source, { mailbox: targets[0]!.path, flags, received });
    return { prepared, mailboxes: targets.map(({ id }) => id) };
  }

  /** A mail that only some of its mailboxes hold comes into the others as the same email. */
  async #isKnown(key: string, targets: readonly Target[]): Promise<boolean> {
    const { session } = this.#options;
    const missing: Target[] = [];
    let found: { readonly path: string; readonly uid: Uid } | undefined;
    for (const target of targets) {
      const uid = (await this.#knownIn(target)).get(key)?.pop();
      if (uid === undefined) missing.push(target);
      else found ??= { path: target.path, uid };
    }
    if (!found) return false;
    for (const { path } of missing) {
      const view = session.openView(session.getMailbox(found.path).id, { readOnly: true });
      const position = view.lowerBound(found.uid);
      if (position < view.length && view.uidAt(position) === found.uid)
        await view.copy([position], session.getMailbox(path).id);
    }
    return true;
  }

  #knownIn({ path }: Target): Promise<Known> {
    const known = this.#known.get(path) ?? listKnown(this.#options.session, path);
    this.#known.set(path, known);
    return known;
  }

  #flagsOf(mail: SourceMail): string[] {
    const flags: string[] = [];
    for (const flag of mail.flags) {
      if (flag === "" || flag.toLowerCase() === "\\recent") continue;
      const name = atomFlag(flag);
      if (name !== flag) this.renamed.set(flag, name);
      flags.push(name);
    }
    if (flags.length > FLAGS_MAX)
      this.#options.onProblem(`${mail.place} has more than ${FLAGS_MAX} flags: the others are left out`);
    return flags.slice(0, FLAGS_MAX);
  }

  async #resolveAll(destinations: readonly Destination[]): Promise<readonly Target[]> {
    const targets: Target[] = [];
    for (const destination of destinations) {
      const key = `${destination.specialUse ?? ""} ${destination.path}`;
      const resolved = this.#targets.get(key) ?? this.#resolve(destination);
      this.#targets.set(key, resolved);
      const target = await resolved;
      if (target && !targets.some(({ id }) => id === target.id)) targets.push(target);
    }
    return targets;
  }

  /** Undefined if no mailbox can have this name. */
  async #resolve({ path, specialUse, subscribed = true }: Destination): Promise<Target | undefined> {
    const { session, mailbox, onProblem } = this.#options;
    const use = mailbox === undefined ? specialUse : undefined;
    const own = use && session.state.liveMailboxes().find((live) => live.specialUse === use);
    if (own) return { path: own.path, id: own.id };
    const wanted = targetPath(path, mailbox);
    try {
      await session.create(wanted, use);
      if (subscribed) await session.subscribe(wanted, true);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      if (error.code === "invalid") {
        onProblem(`no mailbox can have the name ${JSON.stringify(wanted)}; its mails are left out: use --mailbox NAME`);
        return undefined;
      }
      if (error.code !== "already-exists") throw error;
    }
    const made = session.getMailbox(wanted);
    return { path: made.path, id: made.id };
  }
}

/** Where a source's mailbox goes: with `--mailbox NAME` its INBOX becomes NAME, and the others lie below it. */
function targetPath(path: string, mailbox: string | undefined): string {
  if (mailbox === undefined) return path;
  return path.toUpperCase() === "INBOX" ? mailbox : `${mailbox}/${path}`;
}

/** Mails of one folder, on their way into the store. */
class Batches {
  readonly #options: ImportOptions;
  readonly #folder: SourceFolder;
  readonly #onAdded: (count: number) => void;
  #additions: Addition[] = [];
  #bytes = 0;
  #weight = 0;
  /** The last one of the batch, or that was passed by behind it. */
  #last: SourceMail | undefined;
  #stored: Promise<void> = Promise.resolve();

  constructor(options: ImportOptions, folder: SourceFolder, onAdded: (count: number) => void) {
    this.#options = options;
    this.#folder = folder;
    this.#onAdded = onAdded;
  }

  async add(mail: SourceMail, addition: Addition): Promise<void> {
    this.#additions.push(addition);
    this.#bytes += addition.prepared.heldBytes;
    this.pass(mail);
    if (this.#additions.length >= APPEND_EMAILS_MAX || this.#bytes >= APPEND_BYTES_MAX) await this.#flush();
  }

  /** A mail that needs no storing. */
  pass(mail: SourceMail): void {
    this.#weight += mail.weight;
    this.#last = mail;
    if (this.#additions.length > 0) return;
    this.#options.onDone(this.#weight);
    this.#weight = 0;
  }

  async end(): Promise<void> {
    await this.#flush();
    await this.#stored;
  }

  async #flush(): Promise<void> {
    await this.#stored;
    const { session, onDone, onProblem } = this.#options;
    const [additions, weight, last] = [this.#additions, this.#weight, this.#last];
    [this.#additions, this.#bytes, this.#weight, this.#last] = [[], 0, 0, undefined];
    if (!last) return;
    const store = async (): Promise<void> => {
      const added = additions.length > 0 ? await session.addMany(additions) : [];
      const lost = added.filter((message) => message === undefined).length;
      if (lost > 0) onProblem(`${lost} mails are left out: their mailbox was deleted while they came in`);
      this.#onAdded(added.length - lost);
      onDone(weight);
      await this.#folder.onStored?.(last);
    };
    this.#stored = store();
    // Seen when it is awaited: at the next flush.
    this.#stored.catch(() => undefined);
  }
}

class UnreadableMail extends Error {}

async function* orUnreadable(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (cause) {
    throw new UnreadableMail("a mail can't be read", { cause });
  }
}

async function readStructure(mail: SourceMail): Promise<MessageStructure> {
  const scanner = createScanner();
  for await (const chunk of orUnreadable(mail.open())) scanner.push(chunk);
  return scanner.finish();
}
