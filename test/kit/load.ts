import { createHash } from "node:crypto";
import { connectImap, connectLmtp, deliver, type LineClient } from "./line-client.ts";

/**
 * Load from a process of its own: `node load.ts KIND IMAP-PORT LMTP-PORT USER PASSWORD SEED`. Prints `sent ID` before and
 * `done ID` after each positive reply, and ends when the connection does. What it writes follows from ID alone.
 */
export const LOADS = ["lmtp", "append", "flags", "copies", "mailboxes"] as const;
export type LoadKind = (typeof LOADS)[number];

export function messageOf(id: string): string {
  const digest = createHash("sha256").update(id).digest("hex");
  // Every third is too large for the log entry, so that both paths are hit.
  const lines = Number.parseInt(digest.slice(0, 2), 16) % 3 === 0 ? 500 : 3;
  return `From: load@example.net\r\nSubject: ${id}\r\nMessage-ID: <${id}@load>\r\n\r\n${`${digest}\r\n`.repeat(lines)}`;
}

interface Run {
  readonly user: string;
  readonly seed: string;
  readonly imap: () => Promise<LineClient>;
  readonly lmtp: () => Promise<LineClient>;
}

function say(word: "sent" | "done", id: string): void {
  process.stdout.write(`${word} ${id}\n`);
}

/** Says that `id` is sent, gives the command, and says that it is done if the answer is OK. */
async function acknowledged(client: LineClient, id: string, command: string): Promise<string> {
  say("sent", id);
  const answer = await client.command(command);
  if (/^t\d+ OK/m.test(answer)) say("done", id);
  return answer;
}

function appendOf(mailbox: string, id: string): string {
  const message = messageOf(id);
  return `APPEND ${mailbox} {${message.length}+}\r\n${message}`;
}

async function appendedUid(client: LineClient, mailbox: string, id: string): Promise<string | undefined> {
  return /APPENDUID \d+ (\d+)/.exec(await client.command(appendOf(mailbox, id)))?.[1];
}

const RUNS: Record<LoadKind, (run: Run) => Promise<void>> = {
  async lmtp({ user, seed, lmtp }) {
    const client = await lmtp();
    for (let n = 0; ; n++) {
      const id = `l${seed}x${n}`;
      say("sent", id);
      const [reply] = await deliver(client, [user], messageOf(id));
      if (reply?.startsWith("250")) say("done", id);
    }
  },
  async append({ seed, imap }) {
    const client = await imap();
    for (let n = 0; ; n++) await acknowledged(client, `a${seed}x${n}`, appendOf("Archive", `a${seed}x${n}`));
  },
  /** Flags and moves: what is told done must hold after the crash. */
  async flags({ seed, imap }) {
    const client = await imap();
    await client.command("SELECT Drafts");
    for (let n = 0; ; n++) {
      const id = `f${seed}x${n}`;
      const uid = await appendedUid(client, "Drafts", id);
      await acknowledged(client, id, `UID STORE ${uid} +FLAGS (\\Flagged k${n})`);
      if (n % 2 === 0) await acknowledged(client, `m${id}`, `UID MOVE ${uid} Trash`);
    }
  },
  /** Copies to Junk, and expunges the one that was copied. */
  async copies({ seed, imap }) {
    const client = await imap();
    await client.command("SELECT Sent");
    for (let n = 0; ; n++) {
      const id = `c${seed}x${n}`;
      const uid = await appendedUid(client, "Sent", id);
      await acknowledged(client, id, `UID COPY ${uid} Junk`);
      await client.command(`UID STORE ${uid} +FLAGS.SILENT (\\Deleted)`);
      await acknowledged(client, `e${id}`, `UID EXPUNGE ${uid}`);
    }
  },
  /** Makes a mailbox, renames it, and deletes every second. */
  async mailboxes({ seed, imap }) {
    const client = await imap();
    for (let n = 0; ; n++) {
      const id = `b${seed}x${n}`;
      await acknowledged(client, id, `CREATE Boxes/${id}`);
      await acknowledged(client, `r${id}`, `RENAME Boxes/${id} Boxes/r${id}`);
      if (n % 2 === 1) await acknowledged(client, `d${id}`, `DELETE Boxes/r${id}`);
    }
  },
};

async function main(): Promise<void> {
  const [kind, imapPort, lmtpPort, user, password, seed] = process.argv.slice(2) as [
    LoadKind,
    string,
    string,
    string,
    string,
    string,
  ];
  await RUNS[kind]({
    user,
    seed,
    imap: () => connectImap(Number(imapPort), user, password),
    lmtp: () => connectLmtp(Number(lmtpPort)),
  });
}

if (process.argv[1] === import.meta.filename)
  main().catch((error: Error) => {
    // The server was killed: that is how every load ends.
    if (!/connection ended|ECONNRESET|ECONNREFUSED|EPIPE/.test(error.message)) {
      process.stderr.write(`${error.stack}\n`);
      process.exitCode = 1;
    }
  });
