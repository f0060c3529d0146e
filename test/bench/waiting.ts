import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connectLmtp, deliver } from "../kit/line-client.ts";
import { Phone } from "../kit/phone/phone.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";

/** Phones of as many accounts. Those that come first warm the server up, and count for nothing. */
const PHONES = 2_000;
const WARM_UP = 200;
/** Of one address come so many, fewer than one may have. */
const OF_ADDRESS = 500;
/** Phones that are set up at once. */
const AT_ONCE = 8;
const PASSWORD = "a-long-secret-of-many";
const HEARTBEAT_S = 3_500;
/** Sessions and their keys go within this time after their last request; so does what they left to the collector. */
const SETTLE_MS = 150_000;
const COLLECT_MS = 3_000;
const IDLE_MS = 60_000;
/** Mails that come afterwards, each for one of the phones. */
const WAKES = 5;
/** Characters of the server's log that are told where something fails. */
const LOG_CHARS = 2_000;
/** Linux counts processor time so. */
const CLOCK_TICK_MS = 10;

/** How often a connection broke; the phone asked again, as phones do. */
let broken = 0;

interface Waiting {
  readonly user: string;
  readonly phone: Phone;
  /** Set once its Ping was answered. */
  answer: string | undefined;
  readonly answered: Promise<void>;
}

/** The cost of phones that wait: each of an account of its own, all in one process, over an embedded store. */
export async function benchWaiting(count: number = PHONES): Promise<string> {
  // The measurement begins after the sign-in.
  process.env.TEST_QUICK_ARGON2 = "1";
  const data = await makeDataFolder();
  await makeAccounts(data, count);
  const collecting = `--import=${join(import.meta.dirname, "../kit/collect.ts")}`;
  const env = { RESTANTE_HTTPS_TLS: "off", RESTANTE_METRICS_LISTEN: "127.0.0.1:0", NODE_OPTIONS: collecting };
  const server = await startServer(data, { env });
  const waiting: Waiting[] = [];
  try {
    await settleWith(server, waiting, Math.min(WARM_UP, count / 2));
    await collect(server);
    const few = { ...(await usedBy(server)), count: waiting.length };
    await settleWith(server, waiting, count);
    await collect(server);
    const many = await usedBy(server);
    await delay(IDLE_MS);
    const after = await usedBy(server);
    const woken = waiting.filter(({ answer }) => answer !== undefined).length;
    const times: number[] = [];
    for (let n = 0; n < WAKES; n++) times.push(await wake(server, waiting[Math.floor(((n + 0.5) * count) / WAKES)]!));
    await delay(2_000);
    const others = waiting.filter(({ answer }) => answer !== undefined).length - WAKES - woken;
    const each = (what: "pss" | "inUse"): string =>
      `${((many[what] - few[what]) / (count - few.count) / 1024).toFixed(1)} KB`;
    return [
      `| ${count} phones of ${count} accounts wait in one process | |`,
      "|---|---|",
      `| memory of the process a phone (proportional set size) | ${each("pss")} |`,
      `| of it in use, in the collector's heap and outside it | ${each("inUse")} |`,
      `| memory of the process with all of them | ${(many.pss / 2 ** 20).toFixed(0)} MB |`,
      `| processor time in a minute in which nothing comes, of one core | ${(((after.cpuMs - many.cpuMs) / IDLE_MS) * 100).toFixed(2)} % |`,
      `| requests to the store in that minute | ${countMore(after.requests, many.requests)} |`,
      `| phones woken in that minute | ${woken} |`,
      `| LMTP's 250 to the answer of the one phone that it is for (a second of it gathers) | ${times.map((ms) => ms.toFixed(0)).join(", ")} ms |`,
      `| connections that broke | ${broken} |`,
      `| other phones woken by it | ${others} |`,
    ].join("\n");
  } catch (error) {
    throw new Error(`what the server said last: ${server.logs().slice(-LOG_CHARS)}`, { cause: error });
  } finally {
    for (const { phone } of waiting) phone[Symbol.dispose]();
    await server.stop();
    await removeDataFolder(data);
  }
}

/** Makes user1@many.example, user2… in a data folder that no server uses meanwhile. */
export async function makeAccounts(data: string, count: number, password: string = PASSWORD): Promise<void> {
  const kit = join(import.meta.dirname, "../kit");
  const args = ["--import", join(kit, "quick-argon2.ts"), join(kit, "many-accounts.ts"), data, String(count), password];
  const child = spawn(process.execPath, args, { stdio: "inherit" });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`making accounts ended with ${code}`);
}

/** Until so many wait, and what their sign-in took is given back. */
async function settleWith(server: RunningServer, waiting: Waiting[], count: number): Promise<void> {
  let next = waiting.length;
  const one = async (): Promise<void> => {
    while (next < count) waiting.push(await makeWait(server, ++next));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  console.error(`${count} phones wait`);
  await delay(SETTLE_MS);
}

/** As a phone does that was added to an account: it signs in, lists folders, gets its Inbox, and waits. */
async function makeWait({ ports }: RunningServer, n: number): Promise<Waiting> {
  const user = `user${n}@many.example`;
  const revive = async (): Promise<number> => {
    broken++;
    return ports.https!;
  };
  const localAddress = `127.0.0.${2 + Math.floor(n / OF_ADDRESS)}`;
  const device = { localAddress, deviceId: `phone${n}`, deviceType: "iPhone", version: "16.1", revive } as const;
  const phone = new Phone(
    { port: ports.https!, user, password: PASSWORD, ...device },
    { body: [{ type: 1, size: 512 }] },
  );
  await phone.setUp();
  await phone.syncAll(phone.inbox);
  const folder = ["Folder", ["Id", phone.inbox.id], ["Class", "Email"]] as const;
  const ping = phone.command("Ping", ["Ping:Ping", ["HeartbeatInterval", String(HEARTBEAT_S)], ["Folders", folder]]);
  const take = (answer: string): void => {
    waits.answer = answer;
  };
  const answered = ping.then(
    (node) => take(node?.at("Status") ?? "empty"),
    (error: unknown) => take(String(error)),
  );
  const waits: Waiting = { user, phone, answer: undefined, answered };
  return waits;
}

/** Resolves with how many milliseconds after its acknowledgement a mail woke the phone that it is for. */
async function wake({ ports }: RunningServer, one: Waiting): Promise<number> {
  const lmtp = await connectLmtp(ports.lmtp!);
  const [reply] = await deliver(
    lmtp,
    [one.user],
    `From: a@example.net\r\nTo: ${one.user}\r\nSubject: news\r\n\r\nx\r\n`,
  );
  const begun = performance.now();
  if (!reply?.startsWith("250")) throw new Error(`not delivered: ${reply}`);
  lmtp.end();
  await one.answered;
  if (one.answer !== "2") throw new Error(`Ping was answered ${one.answer}`);
  return performance.now() - begun;
}

async function collect({ process }: RunningServer): Promise<void> {
  process.kill("SIGUSR2");
  await delay(COLLECT_MS);
}

async function usedBy({ process, ports }: RunningServer) {
  const stat = readFileSync(`/proc/${process.pid}/stat`, "latin1");
  const [user, system] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number);
  const share = /^Pss: +(\d+)/m.exec(readFileSync(`/proc/${process.pid}/smaps_rollup`, "latin1"));
  const metrics = await (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();
  const sum = (name: RegExp): number => [...metrics.matchAll(name)].reduce((all, match) => all + Number(match[1]), 0);
  return {
    cpuMs: (user! + system!) * CLOCK_TICK_MS,
    pss: Number(share![1]) * 1024,
    inUse: sum(/^(?:\w+_)?nodejs_(?:heap_size_used|external_memory)_bytes (\S+)/gm),
    requests: new Map(
      [...metrics.matchAll(/^\w*store_seconds_count\{[^}]*operation="(\w+)"[^}]*\} (\S+)/gm)].map((match) => [
        match[1]!,
        Number(match[2]),
      ]),
    ),
  };
}

/** By operation, how many more there are. */
function countMore(now: ReadonlyMap<string, number>, before: ReadonlyMap<string, number>): string {
  const more = [...now].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const);
  return (
    more
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${count} ${name}`)
      .join(", ") || "none"
  );
}
