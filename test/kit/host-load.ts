import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { type Exchange, nowUs, Recorder } from "./exchange.ts";
import { connectImap, connectLmtp, type LineClient } from "./line-client.ts";
import { appendOf, LOADS, type LoadKind, RUNS, type Run, select, type Word } from "./load.ts";
import { Random } from "./random.ts";

/**
 * All that one account does on one host, from a process of its own:
 * `node host-load.ts IMAP-PORT LMTP-PORT USER PASSWORD NUMBER SEED`. A session whose connection ended begins anew, for as
 * long as it takes the host to be there. It prints a {@link Told} a line, and ends in order when it reads a line.
 */
export type Told =
  | { readonly kind: LoadKind; readonly word: Word; readonly id: string; readonly at: number }
  | { readonly exchange: Exchange }
  /** These commands had no answer in the time that there was for it. */
  | { readonly stuck: readonly string[] };

/** Two mailboxes between which sessions of all hosts move the same messages. */
export const RIVAL_MAILBOXES = ["Rivals", "Others"] as const;
const WATCHED = ["INBOX", "Archive", "Drafts", "Trash", "Sent", "Junk", ...RIVAL_MAILBOXES] as const;
export const LIST_WHOLE = "UID FETCH 1:* (UID FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (SUBJECT)])";

/** Between two steps of a session. */
const STEP_MS = [20, 120] as const;
/** Before a connection is tried again. */
const AGAIN_MS = 300;
const IDLE_MS = 1500;
/** Steps of a watcher in a mailbox before it takes the next. */
const WATCH_STEPS = 4;
/** Messages that rivals leave in a mailbox. */
const RIVALS_MAX = 12;
/** How long the last commands may take: an unknown outcome is asked for a minute, and requests have limits of their own. */
const END_MS = 150_000;

/** How a connection ends whose server was killed, or could not reach its store. */
const EXPECTED = /connection ended|ECONNRESET|ECONNREFUSED|EPIPE|NO \[UNAVAILABLE\]|^421 /;

type Kind = LoadKind | "rivals" | "watch";
interface Tools extends Run {
  readonly random: Random;
}

function uidsIn(answer: string): number[] {
  return [...answer.matchAll(/^\* \d+ FETCH \(UID (\d+)/gm)].map((match) => Number(match[1]));
}

/** Takes what all rivals want, so that they meet: appends, moves, flags and expunges the same few messages. */
async function rival({ imap, seed, goesOn, random }: Tools): Promise<void> {
  const client = await imap();
  for (let n = 0; await goesOn(); n++) {
    if (n % 4 === 0) await client.command(appendOf("Rivals", `v${seed}x${n}`));
    const from = random.between(0, 1);
    await select(client, RIVAL_MAILBOXES[from]!);
    const uids = uidsIn(await client.command(LIST_WHOLE));
    if (uids.length === 0) continue;
    if (uids.length > RIVALS_MAX) {
      const gone = `${uids[0]}:${uids[2]}`;
      if (await isOk(client, `UID STORE ${gone} +FLAGS (\\Deleted)`)) await client.command(`UID EXPUNGE ${gone}`);
      continue;
    }
    const uid = random.pick(uids.slice(-3));
    const step = random.between(0, 3);
    if (step < 2) await client.command(`UID MOVE ${uid} ${RIVAL_MAILBOXES[1 - from]}`);
    else await client.command(`UID STORE ${uid} ${step === 2 ? "+" : "-"}FLAGS (\\Answered)`);
  }
}

async function isOk(client: LineClient, command: string): Promise<boolean> {
  return /^t\d+ OK/m.test(await client.command(command));
}

/** Sees what there is: whole mailboxes, what comes while it looks, and STATUS of others. */
async function watch({ imap, goesOn, random }: Tools): Promise<void> {
  const client = await imap();
  if (random.between(0, 1) === 0) await client.command("ENABLE QRESYNC");
  while (await goesOn()) {
    await select(client, random.pick(WATCHED));
    const shown = uidsIn(await client.command(LIST_WHOLE));
    let last = shown.at(-1) ?? 0;
    for (let step = 0; step < WATCH_STEPS && (await goesOn()); step++) {
      if (step % 2 === 0) await client.idle(delay(IDLE_MS));
      else await client.command("NOOP");
      const news = `UID FETCH ${last + 1}:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])`;
      last = Math.max(last, ...uidsIn(await client.command(news)));
      await client.command(`STATUS ${random.pick(WATCHED)} (UIDVALIDITY UIDNEXT MESSAGES HIGHESTMODSEQ)`);
    }
  }
}

const SESSIONS: Readonly<Record<Kind, (tools: Tools) => Promise<void>>> = { ...RUNS, rivals: rival, watch };

function tell(told: Told): void {
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

class HostLoad {
  readonly #imapPort: number;
  readonly #lmtpPort: number;
  readonly #user: string;
  readonly #password: string;
  readonly #number: string;
  readonly #random: Random;
  readonly #recorders = new Set<Recorder>();
  #runs = 0;
  over = false;

  constructor([imapPort, lmtpPort, user, password, number, seed]: readonly string[]) {
    this.#imapPort = Number(imapPort);
    this.#lmtpPort = Number(lmtpPort);
    this.#user = user!;
    this.#password = password!;
    this.#number = number!;
    this.#random = new Random(Number(seed));
  }

  get pending(): string[] {
    return [...this.#recorders].map(({ pending }) => pending).filter((command) => command !== undefined);
  }

  async keep(kind: Kind): Promise<void> {
    while (!this.over) {
      const clients: LineClient[] = [];
      try {
        await SESSIONS[kind](this.#tools(kind, clients));
      } catch (error) {
        if (!EXPECTED.test((error as Error).message)) throw error;
        await delay(AGAIN_MS);
      } finally {
        for (const client of clients) client.end();
      }
    }
  }

  #tools(kind: Kind, clients: LineClient[]): Tools {
    const run = ++this.#runs;
    const recorder = new Recorder(`${this.#user} ${this.#number} ${kind} ${run}`, (exchange) => tell({ exchange }));
    return {
      user: this.#user,
      seed: `${this.#number}${String(run).padStart(5, "0")}`,
      random: this.#random,
      imap: async () => {
        this.#recorders.add(recorder);
        clients.push(await connectImap(this.#imapPort, this.#user, this.#password, recorder));
        return clients.at(-1)!;
      },
      lmtp: async () => {
        clients.push(await connectLmtp(this.#lmtpPort));
        return clients.at(-1)!;
      },
      say: (word, id) => {
        if (isLoad(kind)) tell({ kind, word, id, at: nowUs() });
      },
      goesOn: async () => {
        await delay(this.#random.between(...STEP_MS));
        return !this.over;
      },
    };
  }
}

function isLoad(kind: Kind): kind is LoadKind {
  return LOADS.some((load) => load === kind);
}

async function main(): Promise<void> {
  const load = new HostLoad(process.argv.slice(2));
  const kinds: readonly Kind[] = [...LOADS, "rivals", "watch"];
  const ended = Promise.all(kinds.map((kind) => load.keep(kind)));
  const lines = createInterface({ input: process.stdin });
  lines.once("line", () => {
    load.over = true;
    const limit = setTimeout(() => {
      tell({ stuck: load.pending });
      process.exit(1);
    }, END_MS);
    limit.unref();
  });
  await ended;
  lines.close();
}

if (process.argv[1] === import.meta.filename)
  main().catch((error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  });
