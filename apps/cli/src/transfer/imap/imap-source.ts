import { createHash } from "node:crypto";
import { type FetchMessageObject, ImapFlow, type ImapFlowOptions } from "imapflow";
import type { MailSource, SourceFolder, SourceMail } from "../mail-place.ts";
import { readImapLabels } from "../mbox/gmail-labels.ts";
import type { ImapPlace } from "./imap-place.ts";
import { chooseFolders, type RemoteFolder } from "./remote-folders.ts";
import type { ResumePoint, ResumePoints } from "./resume-points.ts";

/** Messages whose facts are asked for at once, and octets of messages that are. */
const FACTS_AT_ONCE = 200;
const BYTES_AT_ONCE: number = 8 * 2 ** 20;
/** Octets of one message: it is held in memory while it is sealed. */
const MESSAGE_BYTES_MAX: number = 256 * 2 ** 20;
/** How long a connection may be silent while something is waited for. */
const SILENCE_MS = 120_000;

export interface ImapSourceOptions {
  readonly points: Pick<ResumePoints, "read" | "write">;
  /** Aborted: what was fetched is stored, and no more is. */
  readonly signal: AbortSignal;
  /** Hears how many messages need no fetching. */
  readonly onSkipped: (count: number) => void;
}

/** Options that don't depend on the place. */
export const CLIENT_OPTIONS: ImapFlowOptions = {
  logger: false,
  disableAutoIdle: true,
  maxLiteralSize: MESSAGE_BYTES_MAX,
  maxResponseSize: 2 * MESSAGE_BYTES_MAX,
  socketTimeout: SILENCE_MS,
  clientInfo: { name: "Restante" },
};

/** A message of another server. */
interface RemoteMail extends SourceMail {
  readonly uidValidity: string;
  readonly uid: number;
}

/** Another server's answer that no second try mends: a wrong password. */
export class SignInRefused extends Error {}

/** Throws {@link SignInRefused}, or what the connection failed by. */
export async function connectImap(place: ImapPlace, password: string): Promise<ImapFlow> {
  const { host, port, implicitTls, user } = place;
  const client = new ImapFlow({
    host,
    port,
    secure: implicitTls,
    ...(implicitTls ? {} : { doSTARTTLS: true }),
    auth: { user, pass: password },
    ...CLIENT_OPTIONS,
  });
  // A caller that waits for an answer gets the error as well.
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (error) {
    client.close();
    if ((error as { authenticationFailed?: boolean }).authenticationFailed)
      throw new SignInRefused(`${host} refuses the password of ${user}`, { cause: error });
    throw error;
  }
  return client;
}

/** Mail at another server, on one connection. Each mailbox goes on behind the point that was reached before. */
export class ImapSource implements AsyncDisposable {
  readonly #options: ImapSourceOptions;
  readonly #client: ImapFlow;
  /** UIDVALIDITY and UIDNEXT of each mailbox when it was last gone through, by its name. */
  readonly #seen = new Map<string, string>();

  /** `client` is connected, and is closed with this. */
  constructor(client: ImapFlow, options: ImapSourceOptions) {
    this.#options = options;
    this.#client = client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A connection that is lost has nothing to sign out of.
    await this.#client.logout().catch(() => undefined);
    this.#client.close();
  }

  /** Folders with mail that came since they were last read; at first all folders. */
  async open(): Promise<MailSource> {
    const client = this.#client;
    const listed = await client.list({ statusQuery: { messages: true, uidNext: true, uidValidity: true } });
    const { folders, notices } = chooseFolders(listed, {
      prefix: client.namespace?.prefix ?? "",
      foreignPrefixes: [...(client.namespaces?.other || []), ...(client.namespaces?.shared || [])].map(
        ({ prefix }) => prefix,
      ),
      isGmail: client.capabilities.has("X-GM-EXT-1"),
    });
    const problems: string[] = [];
    const open: SourceFolder[] = [];
    let total = 0;
    for (const folder of folders) {
      const status = listed.find(({ path }) => path === folder.name)?.status;
      const seen = numbersOf(status);
      if (seen !== undefined && this.#seen.get(folder.name) === seen) continue;
      total += status?.messages ?? 0;
      open.push(this.#openFolder(folder, problems, () => seen !== undefined && this.#seen.set(folder.name, seen)));
    }
    return { total, unit: "messages", folders: open, problems, notices: [...notices] };
  }

  #openFolder(folder: RemoteFolder, problems: string[], onEnd: () => void): SourceFolder {
    const { path, specialUse, subscribed } = folder;
    const mails = async function* (this: ImapSource): AsyncGenerator<SourceMail> {
      yield* this.#readFolder(folder, problems);
      onEnd();
    }.bind(this);
    const onStored = async (mail: SourceMail): Promise<void> => {
      const { uidValidity, uid } = mail as RemoteMail;
      await this.#options.points.write(folder.name, { uidValidity, uid });
    };
    return { path, specialUse, subscribed, mails, onStored };
  }

  async *#readFolder(folder: RemoteFolder, problems: string[]): AsyncGenerator<RemoteMail> {
    const { points, signal, onSkipped } = this.#options;
    const point = await points.read(folder.name);
    const lock = await this.#client.getMailboxLock(folder.name, { readOnly: true }).catch((error: unknown) => {
      if (!isAnswer(error)) throw error;
      problems.push(`${folder.name} can't be opened there: ${error.responseText ?? error.message}`);
    });
    if (!lock) return;
    try {
      const { mailbox } = this.#client;
      if (!mailbox) throw new Error(`${folder.name} is closed`);
      const uidValidity = String(mailbox.uidValidity);
      const uids = mailbox.exists === 0 ? [] : await this.#uidsBehind(uidValidity, point);
      onSkipped(Math.max(0, mailbox.exists - uids.length));
      for (let at = 0; at < uids.length && !signal.aborted; at += FACTS_AT_ONCE)
        yield* this.#readMails(folder, uidValidity, uids.slice(at, at + FACTS_AT_ONCE), problems);
    } finally {
      lock.release();
    }
  }

  async #uidsBehind(uidValidity: string, point: ResumePoint | undefined): Promise<number[]> {
    const from = point?.uidValidity === uidValidity ? point.uid + 1 : 1;
    // `*` is the last message, whatever stands before it.
    const found = (await this.#client.search({ uid: `${from}:*` }, { uid: true })) || [];
    return found.filter((uid) => uid >= from).sort((a, b) => a - b);
  }

  async *#readMails(
    folder: RemoteFolder,
    uidValidity: string,
    uids: readonly number[],
    problems: string[],
  ): AsyncGenerator<RemoteMail> {
    const query = { uid: true, flags: true, internalDate: true, size: true, labels: folder.byLabels };
    const facts = await this.#client.fetchAll(uids.join(","), query, { uid: true });
    facts.sort((a, b) => a.uid - b.uid);
    for (let group = takeGroup(facts); group.length > 0; group = takeGroup(facts)) {
      if (this.#options.signal.aborted) return;
      const tooLarge = group.length === 1 && (group[0]!.size ?? 0) > MESSAGE_BYTES_MAX;
      if (tooLarge) problems.push(`${folder.name}, uid ${group[0]!.uid} is left out: ${group[0]!.size} octets`);
      else yield* this.#readGroup(folder, uidValidity, group, problems);
    }
  }

  async *#readGroup(
    folder: RemoteFolder,
    uidValidity: string,
    group: readonly FetchMessageObject[],
    problems: string[],
  ): AsyncGenerator<RemoteMail> {
    const range = group.map(({ uid }) => uid).join(",");
    const fetched = await this.#client.fetchAll(range, { uid: true, source: true }, { uid: true });
    const sources = new Map(fetched.map(({ uid, source }) => [uid, source]));
    for (const { uid, flags, internalDate, labels } of group) {
      const source = sources.get(uid);
      const place = `${folder.name}, uid ${uid}`;
      if (source)
        yield {
          place,
          uid,
          uidValidity,
          flags: [...(flags ?? [])],
          received: internalDate instanceof Date ? { timeMs: internalDate.getTime(), zoneMinutes: 0 } : undefined,
          weight: 1,
          into: folder.byLabels && labels ? readImapLabels(labels) : undefined,
          async *open() {
            yield source;
          },
        };
      // The server gives no answer for a message that was expunged meanwhile.
      else if (sources.has(uid)) problems.push(`${place} is left out: the server does not give it`);
    }
  }

  /** Resolves when something new is told of INBOX, after `timeoutMs`, or when the signal is aborted. */
  async waitForNews(timeoutMs: number): Promise<void> {
    const { signal } = this.#options;
    const client = this.#client;
    const inbox = await client.mailboxOpen("INBOX", { readOnly: true });
    // No event tells of mail that came between reading INBOX and this wait.
    const seen = this.#seen.get("INBOX");
    if (seen !== undefined && numbersOf(inbox) !== seen) return;
    const news = Promise.withResolvers<void>();
    const wake = (): void => news.resolve();
    const timer = setTimeout(wake, timeoutMs);
    signal.addEventListener("abort", wake);
    client.on("exists", wake);
    client.on("close", wake);
    try {
      if (signal.aborted) return;
      // IDLE ends with the next command. `close` tells of a closed connection, too.
      client.idle().catch(() => undefined);
      await news.promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      client.off("exists", wake);
      client.off("close", wake);
    }
  }
}

/** Text that changes when mail comes: UIDVALIDITY and UIDNEXT. Undefined if the server does not tell them. */
function numbersOf(
  of: { readonly uidValidity?: bigint | undefined; readonly uidNext?: number | undefined } | undefined,
): string | undefined {
  return of?.uidNext ? `${of.uidValidity ?? ""} ${of.uidNext}` : undefined;
}

/** Takes messages from the front that are asked for at once. */
function takeGroup(facts: FetchMessageObject[]): FetchMessageObject[] {
  let bytes = 0;
  let count = 0;
  while (count < facts.length && (count === 0 || bytes + (facts[count]!.size ?? 0) <= BYTES_AT_ONCE))
    bytes += facts[count++]!.size ?? 0;
  return facts.splice(0, count);
}

/** True for a NO or BAD of the server, after which the connection lives on. */
function isAnswer(error: unknown): error is Error & { readonly responseText?: string } {
  return error instanceof Error && "responseStatus" in error && ["NO", "BAD"].includes(String(error.responseStatus));
}

/** The source's name in {@link ResumePoints}: a hash of user, host, port and mailbox. */
export function sourceName({ user, host, port }: ImapPlace, mailbox: string | undefined): string {
  return createHash("sha256")
    .update(JSON.stringify([user, host.toLowerCase(), port, mailbox ?? ""]))
    .digest("base64url");
}
