import { setTimeout as delay } from "node:timers/promises";
import type { AccountSession } from "@restante/engine";
import { readSourcePassword } from "./ask.ts";
import { EXIT, Exit } from "./exit.ts";
import { printable, tell } from "./print.ts";
import { Progress } from "./progress.ts";
import type { ImapPlace } from "./transfer/imap/imap-place.ts";
import { connectImap, ImapSource, SignInRefused, sourceName } from "./transfer/imap/imap-source.ts";
import { ResumePoints } from "./transfer/imap/resume-points.ts";
import type { ImportEnd, ImportFlags } from "./transfer/import-end.ts";
import { MailImport } from "./transfer/import-mails.ts";

/** How often mailboxes other than INBOX are looked at while it follows: well within the half hour of RFC 2177 §3. */
const LOOK_MS = 120_000;
/** How long it waits before it connects again: longer each time, until something came. */
const AGAIN_MS = 5_000;
const AGAIN_MAX_MS = 300_000;
/** Whoever waits for an import's end is told that the server stays away after a minute or so. */
const ONCE_AGAIN_MAX_MS = 40_000;

const RUN_AGAIN = "; run it again, it goes on where it stood";

/**
 * `restante import imaps://USER@HOST ADDRESS`: each mailbox goes on behind the message that was reached before, by UIDVALIDITY and
 * uid. With `--follow` it then waits for what comes, until it is ended by SIGINT or SIGTERM. Throws Exit.
 */
export async function importByImap(session: AccountSession, place: ImapPlace, flags: ImportFlags): Promise<ImportEnd> {
  const password = await readSourcePassword(`Password of ${place.user} at ${place.host}: `, flags);
  const end = flags.follow ? endSignal() : new AbortController().signal;
  const signal = AbortSignal.any([end, session.ended]);
  const follower = new Follower(session, place, { password, signal, mailbox: flags.mailbox });
  if (flags.follow) await follower.follow();
  else await follower.once();
  if (session.ended.aborted) throw session.ended.reason;
  return follower;
}

function endSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => controller.abort());
  return controller.signal;
}

interface FollowerOptions {
  readonly password: string;
  readonly signal: AbortSignal;
  readonly mailbox: string | undefined;
}

class Follower implements ImportEnd {
  readonly #place: ImapPlace;
  readonly #options: FollowerOptions;
  readonly #points: ResumePoints;
  #progress: Progress | undefined;
  readonly mails: MailImport;
  readonly problems: string[] = [];
  readonly notices: string[] = [];
  hadProblems = false;
  readonly #told = new Set<string>();

  constructor(session: AccountSession, place: ImapPlace, options: FollowerOptions) {
    this.#place = place;
    this.#options = options;
    this.#points = new ResumePoints(session, sourceName(place, options.mailbox));
    this.mails = new MailImport({
      session,
      mailbox: options.mailbox,
      onDone: (weight) => this.#progress?.add(weight),
      onProblem: (problem) => this.problems.push(problem),
    });
  }

  /** All that is there. A connection that is lost, by which something came, is made again: a server may take its time to start. */
  async once(): Promise<void> {
    let before = 0;
    for (let waitMs = AGAIN_MS; ; waitMs *= 2) {
      try {
        await using source = await this.#connect();
        return await this.#bringAll(source);
      } catch (error) {
        const told = explain(error, this.#place);
        const { imported } = this.mails;
        if (imported > before) waitMs = AGAIN_MS;
        before = imported;
        if (!isPassing(told) || imported === 0 || waitMs > ONCE_AGAIN_MAX_MS) throw told;
        await this.#waitAfter(told, waitMs);
      }
    }
  }

  /** Until the signal is aborted. A failure of the network is tried again. */
  async follow(): Promise<void> {
    const { signal } = this.#options;
    let shown = -1;
    for (let waitMs = AGAIN_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, AGAIN_MAX_MS)) {
      try {
        await using source = await this.#connect();
        for (; !signal.aborted; waitMs = AGAIN_MS) {
          await this.#bringAll(source);
          this.#tellNow();
          const { imported } = this.mails;
          if (imported !== shown) tell(`${imported} messages imported; waiting for more`);
          shown = imported;
          await source.waitForNews(LOOK_MS);
        }
      } catch (error) {
        if (signal.aborted) return;
        const told = explain(error, this.#place);
        if (!isPassing(told)) throw told;
        await this.#waitAfter(told, waitMs);
      }
    }
  }

  async #waitAfter({ message }: Exit, ms: number): Promise<void> {
    tell(`${message.replace(RUN_AGAIN, "")}; trying again in ${ms / 1000} s`);
    // An abort ends the wait; the loop sees it.
    await delay(ms, undefined, { signal: this.#options.signal }).catch(() => undefined);
  }

  /** Nobody waits for the end of what follows. */
  #tellNow(): void {
    for (const text of [...this.notices, ...this.problems]) tell(text);
    this.hadProblems ||= this.problems.length > 0;
    this.notices.length = 0;
    this.problems.length = 0;
  }

  async #connect(): Promise<ImapSource> {
    const { password, signal } = this.#options;
    const client = await connectImap(this.#place, password);
    const onSkipped = (count: number): void => this.#progress?.add(count);
    return new ImapSource(client, { points: this.#points, signal, onSkipped });
  }

  async #bringAll(source: ImapSource): Promise<void> {
    const { total, unit, folders, problems, notices } = await source.open();
    using progress = new Progress({ total, unit, done: "imported" });
    this.#progress = progress;
    try {
      for (const folder of folders) await this.mails.addFolder(folder);
    } finally {
      this.#progress = undefined;
      this.problems.push(...problems);
      for (const notice of notices.filter((text) => !this.#told.has(text))) {
        this.#told.add(notice);
        this.notices.push(notice);
      }
    }
  }
}

function isPassing(error: unknown): error is Exit {
  return error instanceof Exit && error.code === EXIT.unavailable;
}

/** A failure of the network or of the other server, as an Exit; any other error as it is. */
function explain(error: unknown, { host }: ImapPlace): unknown {
  if (error instanceof SignInRefused) return new Exit(EXIT.failed, error.message);
  if (!(error instanceof Error) || error instanceof Exit || !isOfConnection(error)) return error;
  const hint = /certificate|self.signed/i.test(error.message)
    ? "; NODE_EXTRA_CA_CERTS=FILE names whom else to believe"
    : "";
  const text = (error as { readonly responseText?: string }).responseText ?? error.message;
  return new Exit(EXIT.unavailable, printable(`${host}: ${text}${hint}${RUN_AGAIN}`));
}

/** imapflow's errors and Node's have a code or the server's answer; the engine's are a class of their own. */
function isOfConnection(error: Error): boolean {
  return error.name !== "EngineError" && error.name !== "StoreError" && ("code" in error || "responseStatus" in error);
}
