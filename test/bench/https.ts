import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent as PlainAgent, request as requestPlain } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { Agent, request as requestTls } from "node:https";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { curlOf, makeToken } from "../interop/door.ts";
import { startDoorApp } from "../kit/door-process.ts";
import { makeDataFolder, removeDataFolder } from "../kit/server.ts";

/** Cost of the HTTPS door by itself: an app behind it answers with 20 KB, and holds event streams. */
const WAYS = ["in clear", "TLS, HTTP/1.1", "TLS, HTTP/2"] as const;
type Way = (typeof WAYS)[number];
const WARM_UP = 1_000;
const REQUESTS = 3_000;
const ROUNDS = 3;
const STREAMS = { few: 100, many: 900 } as const;
/** Linux counts processor time so. */
const CLOCK_TICK_MS = 10;

/** Milliseconds of processor time, and octets of memory that are its own share. */
function usedBy(pid: number): { readonly ms: number; readonly bytes: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const [user, system] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number);
  const share = /^Pss: +(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "latin1"));
  return { ms: (user! + system!) * CLOCK_TICK_MS, bytes: Number(share![1]) * 1024 };
}

/** One POST after another on a connection that stays. */
function poster(way: Way, port: number, path: string, authorization: string): () => Promise<void> {
  if (way === "TLS, HTTP/2") {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    return async () => {
      const stream = session.request({ ":method": "POST", ":path": path, authorization });
      stream.resume().end("{}");
      await once(stream, "close");
    };
  }
  const options = { host: "127.0.0.1", port, path, method: "POST", headers: { authorization } };
  const plainAgent = new PlainAgent({ keepAlive: true, maxSockets: 1 });
  const tlsAgent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  return async () => {
    const sent =
      way === "in clear"
        ? requestPlain({ ...options, agent: plainAgent })
        : requestTls({ ...options, agent: tlsAgent });
    sent.end("{}");
    const [response] = await once(sent, "response");
    response.resume();
    await once(response, "end");
  };
}

async function costOfPost(way: Way, path: string): Promise<number> {
  return withApp(way, async (pid, port) => {
    const scheme = way === "in clear" ? "http" : "https";
    const { token } = await makeToken(curlOf(`${scheme}://127.0.0.1:${port}`, "--http1.1"));
    const post = poster(way, port, path, `Bearer ${token}`);
    for (let n = 0; n < WARM_UP; n++) await post();
    const before = usedBy(pid).ms;
    for (let n = 0; n < REQUESTS; n++) await post();
    return (usedBy(pid).ms - before) / REQUESTS;
  });
}

async function openStream(way: Way, port: number): Promise<Socket | { destroy(): void }> {
  if (way === "TLS, HTTP/2") {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    const stream = session.request({ ":path": "/t/quiet" }).resume();
    await once(stream, "response");
    return session;
  }
  const options = { host: "127.0.0.1", port, rejectUnauthorized: false };
  const socket = way === "in clear" ? connect(options) : connectTls(options);
  socket.write("GET /t/quiet HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(socket, "data");
  return socket.resume();
}

/** Octets that an idle event stream takes. */
async function sizeOfStream(way: Way): Promise<number> {
  return withApp(way, async (pid, port) => {
    const base = `${way === "in clear" ? "http" : "https"}://127.0.0.1:${port}`;
    const open: { destroy(): void }[] = [];
    const fill = async (count: number): Promise<number> => {
      while (open.length < count) open.push(await openStream(way, port));
      // Garbage of the requests is no part of what a stream holds.
      for (let n = 0; n < 3; n++) await curlOf(base, "--http1.1")("/t/collect");
      return usedBy(pid).bytes;
    };
    const few = await fill(STREAMS.few);
    const many = await fill(STREAMS.many);
    for (const one of open) one.destroy();
    return (many - few) / (STREAMS.many - STREAMS.few);
  });
}

async function withApp<T>(way: Way, measure: (pid: number, port: number) => Promise<T>): Promise<T> {
  const data = await makeDataFolder();
  const app = await startDoorApp(data, way === "in clear" ? { APP_TLS: "off" } : {});
  try {
    return await measure(app.process.pid!, app.ports.https!);
  } finally {
    await app.kill();
    await removeDataFolder(data);
  }
}

async function rounds(measure: () => Promise<number>, format: (value: number) => string): Promise<string> {
  const values: number[] = [];
  for (let round = 0; round < ROUNDS; round++) values.push(await measure());
  const sorted = values.toSorted((a, b) => a - b);
  const [least, middle, most] = [sorted[0]!, sorted[Math.floor(ROUNDS / 2)]!, sorted.at(-1)!];
  return `${format(middle)} (${format(least)} to ${format(most)})`;
}

/** The table, as Markdown: medians of {@link ROUNDS} fresh processes, with the least and the most. */
export async function benchHttps(): Promise<string> {
  const lines = [
    "| | POST, answer of 20 KB | the same, signed in by a token | an idle event stream |",
    "|---|---|---|---|",
  ];
  const ms = (value: number): string => `${value.toFixed(2)} ms`;
  const kb = (value: number): string => `${(value / 1024).toFixed(0)} KB`;
  for (const way of WAYS) {
    const [plain, signedIn] = [
      await rounds(() => costOfPost(way, "/t/plain"), ms),
      await rounds(() => costOfPost(way, "/t"), ms),
    ];
    lines.push(`| ${way} | ${plain} | ${signedIn} | ${await rounds(() => sizeOfStream(way), kb)} |`);
    console.error(lines.at(-1));
  }
  return lines.join("\n");
}
