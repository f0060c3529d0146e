import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { request as requestPlain } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { request as requestTls } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { temporaryFolder } from "../interop/harness.ts";
import { JmapClient } from "../kit/jmap-client.ts";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import type { MainThreadReport } from "../kit/main-thread.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";
import { empty, median, runLoad, targetOf } from "./jmap-program.ts";

/** Restarts after each of which the first request is timed, and mails that come by LMTP. */
const OPENINGS = 5;
const DELIVERIES = 50;
const DELIVERY_PAUSE_MS = 200;
/** Accounts, and event streams of each: as many as one may have, and those that are there before. */
const ACCOUNTS = 50;
const STREAMS = { before: 4, all: 16 } as const;
const PASSWORD = "a-long-secret-of-many";
const COLLECT_MS = 3_000;
const SETTLE_MS = [15_000, 40_000] as const;
/** Linux counts processor time so. */
const CLOCK_TICK_MS = 10;
const WAYS = ["in clear", "TLS, HTTP/1.1", "TLS, HTTP/2"] as const;
type Way = (typeof WAYS)[number];
const STREAM_AIMS: Readonly<Record<Way, string>> = { "in clear": "25", "TLS, HTTP/1.1": "90", "TLS, HTTP/2": "110" };

/** The costs of JMAP besides its calls, as a Markdown table: the first request of an account, large ones, news, event streams. */
export async function limitsOfJmap(): Promise<string> {
  const lines = ["| | measured | aim |", "| --- | --- | --- |"];
  const add = (what: string, measured: string, aim: string): void => {
    lines.push(`| ${what} | ${measured} | ${aim} |`);
    console.error(lines.at(-1));
  };
  for (const count of [20_000, 100_000])
    await withMails(count, async ({ pages, first, cpu, turn, event }) => {
      const mails = `${count.toLocaleString("en")} mails`;
      add(`first collapsed query after the keys are open, ${mails}, ms`, first, count === 20_000 ? "60" : "");
      add(`processor time of all threads meanwhile, ${mails}, ms`, cpu, "");
      add(`longest turn of the event loop at it, ${mails}, ms of processor time`, turn, count === 20_000 ? "" : "20");
      add(`a page of 50, by time of receipt; collapsed, ${mails}, ms`, pages, count === 20_000 ? "0.7; 0.8" : "1.5");
      add(`LMTP's 250 → state event, ${mails}, ms`, event, "10");
    });
  for (const way of WAYS)
    add(`an idle event stream, ${way}: KB in use; KB of the process's own`, await sizeOfStream(way), STREAM_AIMS[way]);
  return lines.join("\n");
}

interface Measured {
  readonly pages: string;
  readonly first: string;
  readonly cpu: string;
  readonly turn: string;
  readonly event: string;
}

async function withMails(count: number, tell: (measured: Measured) => Promise<void>): Promise<void> {
  const data = await makeDataFolder();
  const env = { RESTANTE_HTTPS_TLS: "off" };
  const mainThread = join(data, "main-thread");
  try {
    const filled = await startServer(data, { env });
    await empty(filled.ports.https!);
    const folder = await temporaryFolder("bench-jmap-limits");
    const target = targetOf(filled.ports.https!, filled.process.pid!);
    const rows = ["query-50", "query-50-collapse"];
    const imap = `127.0.0.1:${filled.ports.imap}`;
    const report = await runLoad(
      { name: "restante", folder, target },
      { count: String(count), threads: String(count / 4), rows: rows.join(","), load: "imap", imap },
    );
    const wrong = [...report.checks, ...report.rows.flatMap(({ error }) => error ?? [])];
    if (wrong.length > 0) throw new Error(wrong.join("\n"));
    const event = await newsOf(filled);
    const inbox = await (await JmapClient.connect(filled.ports.https!)).mailbox("inbox");
    await filled.stop();
    const openings: { readonly ms: number; readonly cpuMs: number; readonly turnMs: number }[] = [];
    for (let n = 0; n < OPENINGS; n++) {
      // Its socket stays where it was.
      rmSync(mainThread, { force: true });
      const server = await startServer(data, { env, mainThread });
      openings.push(await firstQuery(server, inbox, mainThread));
      await server.stop();
    }
    await tell({
      pages: report.rows.map(({ p50, p95 }) => `${p50} (p95 ${p95})`).join("; "),
      first: spread(openings.map(({ ms }) => ms)),
      cpu: spread(openings.map(({ cpuMs }) => cpuMs)),
      turn: spread(openings.map(({ turnMs }) => turnMs)),
      event,
    });
  } finally {
    await removeDataFolder(data);
  }
}

function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  return `${median(sorted)!.toFixed(1)} (${sorted[0]!.toFixed(1)} to ${sorted.at(-1)!.toFixed(1)})`;
}

/** A sign-in by IMAP opens the keys, and asks for no list. The client knows the Inbox from before. */
async function firstQuery({ process, ports }: RunningServer, inMailbox: string, mainThread: string) {
  const imap = await connectImap(ports.imap!, DEMO.user, DEMO.password);
  const client = await JmapClient.connect(ports.https!);
  const sort = [{ property: "receivedAt", isAscending: false }];
  await reportOf(mainThread);
  const before = processorMs(process.pid!);
  const begun = performance.now();
  const { ids } = await client.call("Email/query", { filter: { inMailbox }, sort, collapseThreads: true, limit: 50 });
  const ms = performance.now() - begun;
  const cpuMs = processorMs(process.pid!) - before;
  const { longestTurnMs } = await reportOf(mainThread);
  if (ids.length !== 50) throw new Error(`${ids.length} mails`);
  imap.end();
  return { ms, cpuMs, turnMs: longestTurnMs };
}

/** That of all threads of a process. */
function processorMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const [user, system] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number);
  return (user! + system!) * CLOCK_TICK_MS;
}

/** The time of the main thread since it was asked last. */
async function reportOf(path: string): Promise<MainThreadReport> {
  const socket = connect(path);
  let text = "";
  socket.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  await once(socket, "close");
  return JSON.parse(text);
}

/** From a delivery's acknowledgement to the event of who listens. */
async function newsOf({ ports }: RunningServer): Promise<string> {
  let heard = (_at: number): void => undefined;
  const path = "/jmap/events?types=Email&closeafter=no&ping=0";
  const stream = await openStream("in clear", ports.https!, DEMO, path, (piece) => {
    if (piece.includes("event: state")) heard(performance.now());
  });
  const lmtp = await connectLmtp(ports.lmtp!);
  const times: number[] = [];
  for (let n = 0; n < DELIVERIES; n++) {
    const event = new Promise<number>((resolve) => {
      heard = resolve;
    });
    const head = `Message-ID: <news.${n}@bench.example>\r\nFrom: a@example.net\r\nTo: ${DEMO.user}\r\nSubject: news ${n}\r\n`;
    const [reply] = await deliver(lmtp, [DEMO.user], `${head}\r\n${"a line of text\r\n".repeat(150)}`);
    const acknowledged = performance.now();
    if (!reply?.startsWith("250")) throw new Error(`not delivered: ${reply}`);
    times.push(Math.max(0, (await event) - acknowledged));
    await delay(DELIVERY_PAUSE_MS);
  }
  stream.destroy();
  lmtp.end();
  const sorted = times.toSorted((a, b) => a - b);
  return `${median(sorted)!.toFixed(1)} (p95 ${sorted[Math.floor(sorted.length * 0.95)]!.toFixed(1)})`;
}

/** KB that each of many event streams takes, in use and of the process's own memory. Those that came first have paid for their
 * accounts. */
async function sizeOfStream(way: Way): Promise<string> {
  const data = await makeDataFolder();
  const kit = join(import.meta.dirname, "../kit");
  const quick = ["--import", join(kit, "quick-argon2.ts"), join(kit, "many-accounts.ts")];
  const making = spawn(process.execPath, [...quick, data, String(ACCOUNTS), PASSWORD], { stdio: "inherit" });
  const [code] = await once(making, "exit");
  if (code !== 0) throw new Error(`making accounts ended with ${code}`);
  const tls: Record<string, string> = way === "in clear" ? { RESTANTE_HTTPS_TLS: "off" } : {};
  const imports = ["quick-argon2.ts", "collect.ts"].map((name) => `--import=${join(kit, name)}`);
  const server = await startServer(data, {
    env: { ...tls, RESTANTE_METRICS_LISTEN: "127.0.0.1:0", NODE_OPTIONS: imports.join(" ") },
  });
  const open: { destroy(): void }[] = [];
  const fill = async (from: number, to: number) => {
    for (let n = from; n < to; n++)
      for (let account = 1; account <= ACCOUNTS; account++)
        open.push(
          await openStream(way, server.ports.https!, { user: `user${account}@many.example`, password: PASSWORD }),
        );
    // A sign-in leaves more behind than a stream holds: it is collected, and given back some time after.
    for (const wait of SETTLE_MS) {
      await delay(wait);
      server.process.kill("SIGUSR2");
    }
    await delay(COLLECT_MS);
    return memoryOf(server);
  };
  try {
    const before = await fill(0, STREAMS.before);
    const all = await fill(STREAMS.before, STREAMS.all);
    const each = (what: "inUse" | "share"): string =>
      ((all[what] - before[what]) / (ACCOUNTS * (STREAMS.all - STREAMS.before)) / 1024).toFixed(0);
    return `${each("inUse")}; ${each("share")}`;
  } finally {
    for (const one of open) one.destroy();
    await server.stop();
    await removeDataFolder(data);
  }
}

/** Octets in use, in the collector's heap and outside it, and those of the process that are its own share. */
async function memoryOf({ process, ports }: RunningServer) {
  const metrics = await (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();
  const used = [...metrics.matchAll(/^(?:\w+_)?nodejs_(?:heap_size_used|external_memory)_bytes (\S+)/gm)];
  const share = /^Pss: +(\d+)/m.exec(readFileSync(`/proc/${process.pid}/smaps_rollup`, "latin1"));
  return { inUse: used.reduce((sum, match) => sum + Number(match[1]), 0), share: Number(share![1]) * 1024 };
}

/** An event stream on a connection of its own. */
async function openStream(
  way: Way,
  port: number,
  { user, password }: { readonly user: string; readonly password: string },
  path = "/jmap/events?types=*&closeafter=no&ping=300",
  hear: (piece: Buffer) => void = () => undefined,
): Promise<{ destroy(): void }> {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  if (way === "TLS, HTTP/2") {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    const stream = session.request({ ":path": path, authorization }).on("data", hear);
    const [headers] = await once(stream, "response");
    if (headers[":status"] !== 200) throw new Error(`events: ${headers[":status"]}`);
    return session;
  }
  const options = { host: "127.0.0.1", port, path, headers: { authorization }, agent: false } as const;
  const sent = way === "in clear" ? requestPlain(options) : requestTls({ ...options, rejectUnauthorized: false });
  sent.end();
  const [response] = await once(sent, "response");
  if (response.statusCode !== 200) throw new Error(`events: ${response.statusCode}`);
  // Its end is ours.
  response.on("error", () => undefined).on("data", hear);
  return sent.on("error", () => undefined);
}
