import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect } from "vitest";
import { connectImap } from "./line-client.ts";
import { LOADS, type LoadKind, messageOf } from "./load.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "./server.ts";

/** How long a round's load runs before the kill, from when each was answered once, at least and at most. */
const LOAD_MS = [200, 900] as const;
/** Rounds after which all that is there is looked at. */
const LOOK_ROUNDS = 20;
const MAILBOXES = ["INBOX", "Archive", "Drafts", "Trash", "Sent", "Junk"] as const;
const SECRETS = [DEMO.password, "another-long-secret"] as const;

export interface KillOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Two servers on one store, of which the second is killed. */
  readonly servers: 1 | 2;
  /** The password is changed by the command line in each round. */
  readonly passwords: boolean;
}

interface Load {
  readonly kind: LoadKind;
  readonly sent: ReadonlySet<string>;
  readonly done: ReadonlySet<string>;
  /** Resolves at its first positive reply, or when it ends. */
  readonly begun: Promise<void>;
  stop(): Promise<unknown>;
}

function startLoad(kind: LoadKind, { ports }: RunningServer, password: string, number: number): Load {
  const script = join(import.meta.dirname, "load.ts");
  const args = [script, kind, String(ports.imap), String(ports.lmtp), DEMO.user, password, String(number)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const sets = { sent: new Set<string>(), done: new Set<string>() };
  let rest = "";
  const begun = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.stdout.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop()!;
      for (const line of lines) sets[line.slice(0, 4) as "sent" | "done"].add(line.slice(5));
      if (sets.done.size > 0) resolve();
    });
  });
  const ended = once(child, "close");
  return {
    kind,
    ...sets,
    begun,
    stop() {
      child.kill("SIGKILL");
      return ended;
    },
  };
}

interface Found {
  readonly flags: string;
  readonly body: string;
}

/** What clients saw: which message a uid names, for ever. */
type Meanings = Map<string, string>;

/** What is in a mailbox, by the load's ids; a message that is there twice is listed twice. */
async function readMailbox(port: number, password: string, mailbox: string, meanings: Meanings) {
  const client = await connectImap(port, DEMO.user, password);
  const selected = await client.command(`SELECT ${mailbox}`);
  const uidValidity = /UIDVALIDITY (\d+)/.exec(selected)![1]!;
  const found = new Map<string, Found[]>();
  if (!selected.includes("* 0 EXISTS")) {
    const answer = await client.command("FETCH 1:* (UID FLAGS BODY.PEEK[])");
    for (const match of answer.matchAll(/FETCH \(UID (\d+) FLAGS \(([^)]*)\) BODY\[\] \{(\d+)\}\r\n/g)) {
      const start = match.index + match[0].length;
      const whole = answer.slice(start, start + Number(match[3]));
      const body = whole.replace(/^Return-Path[\s\S]*?\tfor <[^\r]*\r\n/, "");
      const id = /^Subject: ([lafc]\d+x\d+)\r$/m.exec(body)?.[1];
      if (!id) continue;
      const name = `${mailbox} ${uidValidity} ${match[1]}`;
      expect(meanings.get(name) ?? id, `${name} changed its message`).toBe(id);
      meanings.set(name, id);
      found.set(id, [...(found.get(id) ?? []), { flags: match[2]!, body }]);
    }
  }
  client.end();
  return found;
}

async function listBoxes(port: number, password: string): Promise<ReadonlySet<string>> {
  const client = await connectImap(port, DEMO.user, password);
  const answer = await client.command('LIST "" Boxes/*');
  client.end();
  return new Set([...answer.matchAll(/Boxes\/(\w+)"?\r\n/g)].map((match) => match[1]!));
}

/** What a positive reply was read for is there exactly once; what was sent without one wholly or not at all. Resolves
 * with how many were acknowledged. */
async function look(port: number, password: string, loads: readonly Load[], meanings: Meanings): Promise<number> {
  const read: Record<string, Map<string, Found[]>> = {};
  for (const mailbox of MAILBOXES) read[mailbox] = await readMailbox(port, password, mailbox, meanings);
  const copiesIn = (mailbox: (typeof MAILBOXES)[number], id: string): readonly Found[] => read[mailbox]!.get(id) ?? [];
  for (const found of Object.values(read))
    for (const [id, copies] of found) for (const { body } of copies) expect(body, id).toBe(messageOf(id));
  const boxes = await listBoxes(port, password);
  let acknowledged = 0;
  for (const { kind, sent, done } of loads) {
    acknowledged += done.size;
    for (const id of sent) {
      const isDone = done.has(id);
      if (kind === "lmtp" || kind === "append") {
        const copies = copiesIn(kind === "lmtp" ? "INBOX" : "Archive", id).length;
        expect(copies, `${id} of ${kind}`).toBeLessThanOrEqual(1);
        if (isDone) expect(copies, `${id} was acknowledged`).toBe(1);
      } else if (kind === "flags" && id.startsWith("f")) {
        const copies = [...copiesIn("Drafts", id), ...copiesIn("Trash", id)];
        expect(copies, id).toHaveLength(1);
        if (isDone) expect(copies[0]!.flags, id).toContain("\\Flagged");
        if (done.has(`m${id}`)) expect(copiesIn("Trash", id), `${id} was moved`).toHaveLength(1);
      } else if (kind === "copies" && id.startsWith("c")) {
        expect(copiesIn("Junk", id).length, `${id} was copied`).toBeLessThanOrEqual(1);
        if (isDone) expect(copiesIn("Junk", id), `${id} was copied`).toHaveLength(1);
        if (done.has(`e${id}`)) expect(copiesIn("Sent", id), `${id} was expunged`).toHaveLength(0);
        if (!sent.has(`e${id}`)) expect(copiesIn("Sent", id), id).toHaveLength(1);
      } else if (kind === "mailboxes" && id.startsWith("b")) checkBox(id, sent, done, boxes);
    }
  }
  return acknowledged;
}

/** A mailbox that was made, renamed and perhaps deleted, as far as that was acknowledged or may have been done. */
function checkBox(id: string, sent: ReadonlySet<string>, done: ReadonlySet<string>, boxes: ReadonlySet<string>): void {
  const [first, second] = [boxes.has(id), boxes.has(`r${id}`)];
  expect(first && second, `${id} has two names`).toBe(false);
  if (done.has(`d${id}`)) expect(first || second, `${id} was deleted`).toBe(false);
  else if (!sent.has(`d${id}`)) {
    if (done.has(id)) expect(first || second, `${id} was made`).toBe(true);
    if (done.has(`r${id}`)) expect(second, `${id} was renamed`).toBe(true);
    if (!sent.has(`r${id}`)) expect(second, id).toBe(false);
  }
}

async function changePassword(data: string, from: string, to: string): Promise<void> {
  const { code, err } = await restante(data, ["account", "passwd", DEMO.user, "--password-stdin"], `${from}\n${to}\n`);
  expect(code, err).toBe(0);
}

/** Kills the real `restante serve` again and again under load from other processes, and looks whether what it said is
 * true. Prints how long it took to be ready again. */
export async function killRounds({ rounds, seed, servers, passwords }: KillOptions): Promise<void> {
  const data = await makeDataFolder();
  const stays = servers === 2 ? await startServer(data) : undefined;
  let server = await startServer(data);
  const loads: Load[] = [];
  const meanings: Meanings = new Map();
  const readyMs: number[] = [];
  let secret: string = SECRETS[0];
  let acknowledged = 0;
  for (let round = 0; round < rounds; round++) {
    const current = [server, ...(stays ? [stays] : [])].flatMap((target, place) =>
      LOADS.map((kind, at) => startLoad(kind, target, secret, (round * 2 + place) * 10 + at)),
    );
    loads.push(...current);
    const next = SECRETS[(round + 1) % 2]!;
    const changing = passwords ? [changePassword(data, secret, next)] : [];
    const [least, most] = LOAD_MS;
    const wait = least + (((seed + round) * 7919) % 1000) * ((most - least) / 1000);
    await Promise.all(current.map(({ begun }) => begun));
    await new Promise((resolve) => setTimeout(resolve, wait));
    await server.kill();
    await Promise.all(current.map((load) => load.stop()));
    await Promise.all(changing);
    if (passwords) secret = next;
    const begun = performance.now();
    server = await startServer(data);
    readyMs.push(performance.now() - begun);
    if (round % LOOK_ROUNDS === LOOK_ROUNDS - 1 || round === rounds - 1)
      acknowledged = await look(server.ports.imap!, secret, loads, meanings);
  }
  expect(acknowledged).toBeGreaterThan(rounds * 10);
  if (stays) {
    await look(stays.ports.imap!, secret, loads, meanings);
    expect(await stays.stop()).toBe(0);
  }
  expect(await server.stop()).toBe(0);
  const checked = await restante(data, ["check", DEMO.user, "--password-stdin"], `${secret}\n`);
  expect(checked).toMatchObject({ code: 0, out: expect.stringContaining(" 0 damaged") });
  await removeDataFolder(data);
  const sorted = readyMs.toSorted((a, b) => a - b);
  console.log(
    `${rounds} kills, ${acknowledged} acknowledged; ready again in ${sorted[rounds >> 1]!.toFixed(0)} ms (median), ` +
      `${sorted.at(-1)!.toFixed(0)} ms at most`,
  );
}
