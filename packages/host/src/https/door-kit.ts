import { type IncomingHttpHeaders, request as requestHttp } from "node:http";
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { Agent, request as requestHttps } from "node:https";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { Gate, type GateLimits } from "../gate.ts";
import { listen } from "../listen.ts";
import { parseListenAddress } from "../listen-address.ts";
import type { LogLine } from "../log.ts";
import { temporaryFolder } from "../test-kit.ts";
import { Tls } from "../tls.ts";
import { TrustedProxies } from "./client.ts";
import type { DoorClock } from "./deadlines.ts";
import { Door } from "./door.ts";
import type { Site } from "./site.ts";

/** A clock that goes when it is told to. */
export class HandClock implements DoorClock {
  #now = 0;
  readonly #work = new Set<{ readonly ms: number; readonly work: () => void; next: number }>();

  readonly monotonic = (): number => this.#now;

  every(ms: number, work: () => void): () => void {
    const entry = { ms, work, next: this.#now + ms };
    this.#work.add(entry);
    return () => void this.#work.delete(entry);
  }

  /** Lets so many milliseconds pass, a second at a time. */
  pass(ms: number): void {
    const end = this.#now + ms;
    while (this.#now < end) {
      this.#now = Math.min(end, this.#now + 1000);
      for (const entry of this.#work) {
        if (this.#now < entry.next) continue;
        entry.next = this.#now + entry.ms;
        entry.work();
      }
    }
  }
}

export interface TestDoor {
  readonly door: Door;
  readonly gate: Gate;
  readonly port: number;
  readonly clock: HandClock;
  readonly logs: readonly LogLine[];
  readonly tls: Tls | undefined;
}

export interface TestDoorOptions {
  readonly plain?: boolean;
  readonly tls?: Tls;
  readonly compresses?: boolean;
  readonly proxies?: readonly string[];
  readonly limits?: Partial<GateLimits>;
  readonly address?: string;
  readonly requestsMax?: number;
  readonly origin?: string;
}

let ownTls: Promise<Tls> | undefined;

/** Making a key takes a while: one for all tests of a file. */
export function testTls(): Promise<Tls> {
  ownTls ??= makeTls();
  return ownTls;
}

export async function makeTls(folder: string = temporaryFolder()): Promise<Tls> {
  const tls = new Tls({ cert: "", key: "", folder, minVersion: "TLSv1.2", oldSuites: false });
  await tls.reload();
  return tls;
}

/** A door on a free port, which is gone when the test is over. */
export async function openDoor(site: Site, options: TestDoorOptions = {}): Promise<TestDoor> {
  const {
    plain = false,
    compresses = false,
    proxies = [],
    limits = {},
    address = "127.0.0.1:0",
    requestsMax,
    origin = "",
  } = options;
  const tls = plain ? undefined : (options.tls ?? (await testTls()));
  const gate = new Gate({ networkOf: (text) => text, limits });
  const clock = new HandClock();
  const logs: LogLine[] = [];
  const log = (line: LogLine): void => void logs.push(line);
  const trusted = new TrustedProxies(proxies);
  const bound = requestsMax === undefined ? {} : { requestsMax };
  const door = new Door({
    sites: [site],
    tls,
    gate,
    networkOf: (text) => text,
    proxies: trusted,
    origin,
    compresses,
    log,
    clock,
    ...bound,
  });
  const server = await door.makeServer();
  const place = await listen(server, parseListenAddress(address));
  onTestFinished(() => door.stop());
  return { door, gate, port: Number(/\d+$/.exec(place)?.[0]), clock, logs, tls };
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** One request by HTTP/1.1, on a connection of its own. */
export function http1(
  { port, tls }: TestDoor,
  { method = "GET", path = "/", headers = {}, body }: Ask,
): Promise<Reply> {
  const options = { host: "127.0.0.1", port, method, path, headers, rejectUnauthorized: false };
  const agent = tls ? new Agent({ keepAlive: false, ALPNProtocols: ["http/1.1"] }) : false;
  return new Promise((resolve, reject) => {
    const request = (tls ? requestHttps : requestHttp)({ ...options, agent }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
      });
      response.once("error", reject);
      response.once("end", () => resolve({ status: response.statusCode!, headers: response.headers, body: text }));
    });
    request.once("error", reject);
    request.end(body);
  });
}

/** A connection of HTTP/2, gone when the test is over. */
export function session2({ port }: TestDoor): ClientHttp2Session {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on("error", () => undefined);
  onTestFinished(() => session.destroy());
  return session;
}

/** One request by HTTP/2. */
export async function http2(door: TestDoor, ask: Ask): Promise<Reply> {
  const session = session2(door);
  try {
    return await replyOf(stream2(session, ask), ask.body);
  } finally {
    session.destroy();
  }
}

export function stream2(
  session: ClientHttp2Session,
  { method = "GET", path = "/", headers = {} }: Ask,
): ClientHttp2Stream {
  return session.request({ ...headers, ":method": method, ":path": path }, { endStream: false });
}

export function replyOf(stream: ClientHttp2Stream, body?: string | Uint8Array): Promise<Reply> {
  return new Promise((resolve, reject) => {
    let headers: IncomingHttpHeaders = {};
    let status = 0;
    let text = "";
    stream.once("response", (given) => {
      status = Number(given[":status"]);
      headers = given;
    });
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
    stream.once("error", reject);
    stream.once("close", () => resolve({ status, headers, body: text }));
    if (body === undefined) stream.end();
    else stream.end(body);
  });
}

/** A socket that speaks for itself; `alpn` for one with TLS. */
export async function rawSocket(
  { port, tls }: TestDoor,
  alpn: readonly string[] = ["http/1.1"],
): Promise<(Socket | TLSSocket) & { received: string }> {
  const socket = tls
    ? connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols: [...alpn] })
    : connect({ host: "127.0.0.1", port });
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  const known = Object.assign(socket, { received: "" });
  socket.on("data", (chunk: Buffer) => {
    known.received += chunk.toString("latin1");
  });
  await new Promise((resolve) => socket.once(tls ? "secureConnect" : "connect", resolve));
  return known;
}

export function webSocket({ port, tls }: TestDoor, path: string, protocols: string[] = ["jmap"]): WebSocket {
  const socket = new WebSocket(`${tls ? "wss" : "ws"}://127.0.0.1:${port}${path}`, protocols, {
    rejectUnauthorized: false,
  });
  socket.on("error", () => undefined);
  onTestFinished(() => socket.terminate());
  return socket;
}

/** Resolves when it is so; looked at each turn of the event loop. A test's own time is its bound. */
export async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 1));
}
