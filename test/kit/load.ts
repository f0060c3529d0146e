import { createHash } from "node:crypto";
import { connectImap, connectLmtp, deliver } from "./line-client.ts";

/**
 * Load from a process of its own: `node load.ts KIND IMAP-PORT LMTP-PORT USER PASSWORD SEED`. Prints `sent ID` before and
 * `done ID` after each positive reply, and ends when the connection does. What it writes follows from ID alone.
 */
export function messageOf(id: string): string {
  const digest = createHash("sha256").update(id).digest("hex");
  // Every third is too large for the log entry, so that both paths are hit.
  const lines = Number.parseInt(digest.slice(0, 2), 16) % 3 === 0 ? 500 : 3;
  return `From: load@example.net\r\nSubject: ${id}\r\nMessage-ID: <${id}@load>\r\n\r\n${`${digest}\r\n`.repeat(lines)}`;
}

async function main(): Promise<void> {
  const [kind, imapPort, lmtpPort, user, password, seed] = process.argv.slice(2) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const say = (word: string, id: string): boolean => process.stdout.write(`${word} ${id}\n`);
  if (kind === "lmtp") {
    const client = await connectLmtp(Number(lmtpPort));
    for (let n = 0; ; n++) {
      const id = `l${seed}x${n}`;
      say("sent", id);
      const [reply] = await deliver(client, [user], messageOf(id));
      if (reply?.startsWith("250")) say("done", id);
    }
  }
  const client = await connectImap(Number(imapPort), user, password);
  if (kind === "append")
    for (let n = 0; ; n++) {
      const id = `a${seed}x${n}`;
      const message = messageOf(id);
      say("sent", id);
      const answer = await client.command(`APPEND Archive {${message.length}+}\r\n${message}`);
      if (/^t\d+ OK/m.test(answer)) say("done", id);
    }
  // Flags and moves: what is told done must hold after the crash.
  await client.command("SELECT Drafts");
  for (let n = 0; ; n++) {
    const id = `f${seed}x${n}`;
    const message = messageOf(id);
    const appended = await client.command(`APPEND Drafts {${message.length}+}\r\n${message}`);
    const uid = /APPENDUID \d+ (\d+)/.exec(appended)?.[1];
    say("sent", id);
    const stored = await client.command(`UID STORE ${uid} +FLAGS (\\Flagged k${n})`);
    if (/^t\d+ OK/m.test(stored)) say("done", id);
    if (n % 2 === 0) {
      say("sent", `m${id}`);
      const moved = await client.command(`UID MOVE ${uid} Trash`);
      if (/^t\d+ OK/m.test(moved)) say("done", `m${id}`);
    }
  }
}

if (process.argv[1] === import.meta.filename)
  main().catch((error: Error) => {
    // The server was killed: that is how every load ends.
    if (!/connection ended|ECONNRESET|ECONNREFUSED/.test(error.message)) {
      process.stderr.write(`${error.stack}\n`);
      process.exitCode = 1;
    }
  });
