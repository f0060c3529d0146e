import { createHash } from "node:crypto";
import { connectImap, connectLmtp, deliver, type LineClient } from "./line-client.ts";

/**
 * Load of all kinds from a process of its own: `node load.ts IMAP-PORT LMTP-PORT USER PASSWORD SEED`. Prints
 * `KIND sent ID` before, `KIND done ID` after a positive reply and `KIND refused ID` after a negative one; each kind ends
 * when its connection does. What it writes follows from ID alone.
 */
export const LOADS = ["lmtp", "append", "flags", "copies", "mailboxes"] as const;
export type LoadKind = (typeof LOADS)[number];

/** Keywords that the load sets: as many as a person may use. */
const KEYWORDS = 50;

export function messageOf(id: string): string {
  const digest = createHash("sha256").update(id).digest("hex");
  // Every third is too large for the log entry, so that both paths are hit.
  const lines = Number.parseInt(digest.slice(0, 2), 16) % 3 === 0 ? 500 : 3;
  return `From: load@example.net\r\nSubject: ${id}\r\nMessage-ID: <${id}@load>\r\n\r\n${`${digest}\r\n`.repeat(lines)}`;
}

/** A load's word on a change: before it is sent, after a positive reply, after a negative one. */
export type Word = "sent" | "done" | "refused";

/** Arguments of a load. */
export interface Run {
  readonly user: string;
  readonly seed: string;
  readonly imap: () => Promise<LineClient>;
  readonly lmtp: () => Promise<LineClient>;
  readonly say: (word: Word, id: string) => void;
  /** Between two steps; resolves with false when the load is over. */
  readonly goesOn: () => Promise<boolean>;
}

/** Says that `id` is sent, gives the command, and says what was answered. Resolves with whether it was OK. */
async function isAcknowledged({ say }: Run, client: LineClient, id: string, command: string): Promise<boolean> {
  say("sent", id);
  const isOk = /^t\d+ OK/m.test(await client.command(command));
  say(isOk ? "done" : "refused", id);
  return isOk;
}

/** Resolves with what SELECT told; throws it if that is not OK. */
export async function select(client: LineClient, mailbox: string): Promise<string> {
  const answer = await client.command(`SELECT ${mailbox}`);
  if (!/^t\d+ OK/m.test(answer)) throw new Error(answer);
  return answer;
}

export function appendOf(mailbox: string, id: string): string {
  const message = messageOf(id);
  return `APPEND ${mailbox} {${message.length}+}\r\n${message}`;
}

async function appendedUid(client: LineClient, mailbox: string, id: string): Promise<string | undefined> {
  return /APPENDUID \d+ (\d+)/.exec(await client.command(appendOf(mailbox, id)))?.[1];
}

/** Each ends when its connection does, or when it goes on no more. What was refused is not built upon. */
export const RUNS: Record<LoadKind, (run: Run) => Promise<void>> = {
  /** A temporary failure is tried again, as a mail transfer agent does. */
  async lmtp({ user, seed, lmtp, say, goesOn }) {
    const client = await lmtp();
    let id = "";
    for (let n = 0; await goesOn(); ) {
      if (id === "") {
        id = `l${seed}x${n++}`;
        say("sent", id);
      }
      const [reply = ""] = await deliver(client, [user], messageOf(id));
      if (/^4/.test(reply)) continue;
      say(reply.startsWith("250") ? "done" : "refused", id);
      id = "";
    }
  },
  async append(run) {
    const client = await run.imap();
    for (let n = 0; await run.goesOn(); n++) {
      const id = `a${run.seed}x${n}`;
      await isAcknowledged(run, client, id, appendOf("Archive", id));
    }
  },
  /** Flags and moves: what is told done must hold after the crash. */
  async flags(run) {
    const client = await run.imap();
    await select(client, "Drafts");
    for (let n = 0; await run.goesOn(); n++) {
      const id = `f${run.seed}x${n}`;
      const uid = await appendedUid(client, "Drafts", id);
      if (uid === undefined) continue;
      await isAcknowledged(run, client, id, `UID STORE ${uid} +FLAGS (\\Flagged k${n % KEYWORDS})`);
      if (n % 2 === 0) await isAcknowledged(run, client, `m${id}`, `UID MOVE ${uid} Trash`);
    }
  },
  /** Copies to Junk, and expunges the one that was copied. */
  async copies(run) {
    const client = await run.imap();
    await select(client, "Sent");
    for (let n = 0; await run.goesOn(); n++) {
      const id = `c${run.seed}x${n}`;
      const uid = await appendedUid(client, "Sent", id);
      if (uid === undefined) continue;
      if (!(await isAcknowledged(run, client, id, `UID COPY ${uid} Junk`))) continue;
      const deleted = await client.command(`UID STORE ${uid} +FLAGS.SILENT (\\Deleted)`);
      if (/^t\d+ OK/m.test(deleted)) await isAcknowledged(run, client, `e${id}`, `UID EXPUNGE ${uid}`);
    }
  },
  /** Makes a mailbox, renames it, and deletes every second. */
  async mailboxes(run) {
    const client = await run.imap();
    for (let n = 0; await run.goesOn(); n++) {
      const id = `b${run.seed}x${n}`;
      if (!(await isAcknowledged(run, client, id, `CREATE Boxes/${id}`))) continue;
      if (!(await isAcknowledged(run, client, `r${id}`, `RENAME Boxes/${id} Boxes/r${id}`))) continue;
      await client.command(`STATUS Boxes/r${id} (UIDVALIDITY UIDNEXT MESSAGES)`);
      if (n % 2 === 1) await isAcknowledged(run, client, `d${id}`, `DELETE Boxes/r${id}`);
    }
  },
};

async function run(kind: LoadKind, [imapPort, lmtpPort, user, password, seed]: readonly string[]): Promise<void> {
  try {
    await RUNS[kind]({
      user: user!,
      seed: seed!,
      imap: () => connectImap(Number(imapPort), user!, password!),
      lmtp: () => connectLmtp(Number(lmtpPort)),
      say: (word, id) => process.stdout.write(`${kind} ${word} ${id}\n`),
      goesOn: async () => true,
    });
  } catch (error) {
    // The server was killed: that is how every load ends.
    const { message, stack } = error as Error;
    if (/connection ended|ECONNRESET|ECONNREFUSED|EPIPE/.test(message)) return;
    process.stderr.write(`${stack}\n`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === import.meta.filename) await Promise.all(LOADS.map((kind) => run(kind, process.argv.slice(2))));
