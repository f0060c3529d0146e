import { createServer, type Server as HttpServer } from "node:http";
import { createSecureServer, type Http2SecureServer, Http2ServerResponse, type ServerHttp2Session } from "node:http2";
import type { Server, Socket } from "node:net";
import type { WebSocket } from "ws";
import type { Gate, Visitor } from "../gate.ts";
import { HANDSHAKE_MS } from "../handshake.ts";
import { FAREWELL_MS, letGo } from "../let-go.ts";
import type { Log } from "../log.ts";
import type { Tls } from "../tls.ts";
import type { TrustedProxies } from "./client.ts";
import { answerClientError } from "./client-error.ts";
import { Deadlines, DOOR_CLOCK, type DoorClock } from "./deadlines.ts";
import { DoorSocket } from "./door-socket.ts";
import { Exchange, type RawRequest, type RawResponse } from "./exchange.ts";
import {
  HEADER_BYTES_MAX,
  HEADER_FIELDS_MAX,
  HEADER_MS,
  IDLE_MS,
  KEEP_ALIVE_MS,
  REQUESTS_AT_ONCE_MAX,
  RESETS_BURST,
  RESETS_PER_SECOND,
  RETRY_AFTER_SECONDS,
  STOP_MS,
  STRANGER_REQUESTS_MAX,
  STREAMS_MAX,
  TICK_MS,
  WRONG_FRAMES_MAX,
} from "./limits.ts";
import { Problem, unavailable } from "./problem.ts";
import { makeApp } from "./routing.ts";
import { guardSession } from "./session-guard.ts";
import type { Answer, Site } from "./site.ts";

export interface DoorOptions {
  readonly sites: readonly Site[];
  /** Undefined: in clear and HTTP/1.1, for a proxy in front. */
  readonly tls: Tls | undefined;
  readonly gate: Gate;
  /** The network of an address, which may be one client's. */
  readonly networkOf: (address: string) => string;
  readonly proxies: TrustedProxies;
  /** The beginning of every URL in an answer; empty for localhost and the port of the listener, by https:// if there is TLS. */
  readonly origin: string;
  /** Answers may be compressed, though their length then tells of what is in them. */
  readonly compresses: boolean;
  readonly log: Log;
  /** Hears of each request that was answered; `route` is the path as its route writes it, empty where there is none. */
  readonly onAnswer?: (answer: { readonly route: string; readonly status: number; readonly ms: number }) => void;
  readonly clock?: DoorClock;
  /** Requests at once; by default {@link REQUESTS_AT_ONCE_MAX}. */
  readonly requestsMax?: number;
}

/** Parameters and limits of a request by its route. */
export interface Terms {
  readonly params: Readonly<Record<string, string>>;
  readonly bodyBytesMax: number;
  readonly route: string;
}
const NO_TERMS: Terms = { params: {}, bodyBytesMax: 0, route: "" };

/**
 * The HTTPS door: HTTP/2, HTTP/1.1 and WebSocket on one socket, for all sites that apps hand it. fastify finds the route
 * (`routing.ts`); each request and its answer is an {@link Exchange}; what has a time stands in {@link Deadlines}.
 */
export class Door {
  readonly #options: DoorOptions;
  readonly #deadlines: Deadlines;
  readonly #servers: { readonly close: () => Promise<unknown>; readonly server: Server }[] = [];
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #connections = new Set<Socket>();
  /** Sockets that HTTP is spoken over: with TLS, after the handshake. */
  readonly #streams = new Set<Socket>();
  /** By both ends of their connection, since TLS and HTTP/2 show sockets of their own. */
  readonly #visitors = new Map<string, Visitor>();
  readonly #exchanges = new Set<Exchange>();
  readonly #sockets = new Set<DoorSocket>();
  /** By network, requests whose senders are not known. */
  readonly #strangers = new Map<string, number>();
  #isStopping = false;
  #onEnd: () => void = () => undefined;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#deadlines = new Deadlines(options.clock ?? DOOR_CLOCK);
  }

  /** The beginning of every URL in an answer. No client's text goes into it. */
  get origin(): string {
    const { origin, tls } = this.#options;
    return origin || `${tls ? "https" : "http"}://localhost:${this.#port}`;
  }

  get #port(): number {
    const addresses = this.#servers.map(({ server }) => server.address());
    return addresses.find((address) => typeof address === "object" && address !== null)?.port ?? 443;
  }

  /** Numbers of open connections, sessions, exchanges, sockets and deadlines. */
  get counts(): {
    readonly connections: number;
    readonly sessions: number;
    readonly exchanges: number;
    readonly sockets: number;
    readonly deadlines: number;
  } {
    return {
      connections: this.#connections.size,
      sessions: this.#sessions.size,
      exchanges: this.#exchanges.size,
      sockets: this.#sockets.size,
      deadlines: this.#deadlines.size,
    };
  }

  /** A server for one address to listen on. */
  async makeServer(): Promise<Server> {
    const server = this.#makeServer();
    server.prependListener("connection", (socket: Socket) => this.#connected(socket));
    server.on(this.#options.tls ? "secureConnection" : "connection", (socket: Socket) => {
      this.#streams.add(socket);
      socket.once("close", () => this.#streams.delete(socket));
    });
    server.on("session", (session: ServerHttp2Session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      guardSession(session, this.#deadlines);
    });
    server.on("checkExpectation", (raw: RawRequest, response: RawResponse) =>
      this.#refuse(raw, response, new Problem(417, "Nothing but 100-continue can be expected")),
    );
    server.on("connect", (raw: RawRequest, other: RawResponse | Socket) => {
      const problem = new Problem(405, "This is no proxy");
      if (other instanceof Http2ServerResponse) this.#refuse(raw, other, problem);
      else answerClientError(other as Socket, problem);
    });
    this.#options.tls?.onReload((settings) => (server as Http2SecureServer).setSecureContext(settings));
    const app = makeApp(server as HttpServer, this.#options.sites, this);
    await app.ready();
    this.#servers.push({ server: server as Server, close: () => app.close() });
    return server as Server;
  }

  /** A request and its answer, as long as they last. */
  begin(raw: RawRequest, response: RawResponse, { params, bodyBytesMax, route }: Terms = NO_TERMS): Exchange {
    const { proxies, compresses, networkOf } = this.#options;
    const { socket } = raw;
    const client = proxies.clientOf(socket, raw.headers);
    const known = this.#countStranger(networkOf(client.address));
    const exchange: Exchange = new Exchange(
      raw,
      response,
      {
        params,
        bodyBytesMax,
        route,
        client,
        compresses,
        isLast: () => this.#isStopping,
        origin: () => this.origin,
        signedIn: () => {
          known();
          this.#visitors.get(endsOf(socket))?.signedIn();
        },
        onEnd: () => {
          known();
          this.#exchanges.delete(exchange);
          this.#onEnd();
        },
      },
      this.#deadlines,
    );
    this.#exchanges.add(exchange);
    return exchange;
  }

  /** Answers with what `work` gives, or with the problem that it throws. */
  async serve(exchange: Exchange, work: () => Promise<Answer>, explain?: Site["explain"]): Promise<void> {
    const startedAt = performance.now();
    const answer = async (made: Answer): Promise<void> => {
      await exchange.answer(made);
      this.#options.onAnswer?.({ route: exchange.route, status: made.status, ms: performance.now() - startedAt });
    };
    try {
      const { requestsMax = REQUESTS_AT_ONCE_MAX, networkOf } = this.#options;
      if (this.#exchanges.size > requestsMax || this.#isStopping) throw unavailable("Busy", RETRY_AFTER_SECONDS);
      if ((this.#strangers.get(networkOf(exchange.address)) ?? 0) > STRANGER_REQUESTS_MAX) throw tooMany();
      exchange.checkHeader();
      await answer(await work());
    } catch (error) {
      await answer(this.problemOf(error, explain).answer);
    }
  }

  /** The problem that a client is told for an error. A bug is logged, and the client gets no more than status 500. */
  problemOf(error: unknown, explain?: Site["explain"]): Problem {
    const explained = error instanceof Problem ? error : explain?.(error);
    if (explained instanceof Problem) return explained;
    this.#options.log({ level: "error", event: "request failed", error });
    return new Problem(500, "The server has made a mistake");
  }

  /** A request has become a WebSocket. */
  opened(exchange: Exchange, socket: WebSocket): DoorSocket {
    const open = new DoorSocket(socket, this.#deadlines);
    this.#sockets.add(open);
    open.onEnd(() => {
      this.#sockets.delete(open);
      exchange.end();
      this.#onEnd();
    });
    return open;
  }

  /** No new connections and requests; those under way have {@link STOP_MS}. Resolves when all are gone. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const closed = this.#servers.map(({ server }) => new Promise((resolve) => server.close(resolve)));
    for (const session of this.#sessions) session.close();
    for (const exchange of this.#exchanges) exchange.goAway();
    for (const socket of this.#sockets) socket.goAway();
    const late = this.#deadlines.begin(() => {
      for (const exchange of this.#exchanges) exchange.destroy();
    });
    late.expect(STOP_MS);
    await this.#finished();
    late.end();
    for (const socket of this.#streams) letGo(socket);
    // A connection whose handshake is not over has no stream.
    const timer = setTimeout(() => {
      for (const socket of this.#connections) socket.destroy();
    }, FAREWELL_MS);
    await Promise.all(closed);
    await Promise.all([...this.#connections].map((socket) => new Promise((resolve) => socket.once("close", resolve))));
    clearTimeout(timer);
    await Promise.all(this.#servers.map(({ close }) => close()));
    this.#deadlines.dispose();
  }

  /** Resolves when nothing is under way. */
  #finished(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEnd = () => {
        if (this.#exchanges.size + this.#sockets.size === 0) resolve();
      };
      this.#onEnd();
    });
  }

  #makeServer(): HttpServer | Http2SecureServer {
    const { tls } = this.#options;
    const http1 = {
      headersTimeout: HEADER_MS,
      // Bodies have a clock of their own: how long one takes depends on its size.
      requestTimeout: 0,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: TICK_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      noDelay: true,
      // Node's answer would be no problem document.
      requireHostHeader: false,
      // An offer of HTTP/2 in clear is not taken up, and the request answered as it stands.
      shouldUpgradeCallback: ({ headers }: RawRequest) => headers.upgrade?.toLowerCase() === "websocket",
    };
    if (!tls) return createServer(http1);
    return createSecureServer({
      ...tls.settings,
      ...http1,
      allowHTTP1: true,
      handshakeTimeout: HANDSHAKE_MS,
      settings: { maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: HEADER_BYTES_MAX },
      maxHeaderListPairs: HEADER_FIELDS_MAX,
      maxSessionInvalidFrames: WRONG_FRAMES_MAX,
      maxSessionRejectedStreams: WRONG_FRAMES_MAX,
      streamResetBurst: RESETS_BURST,
      streamResetRate: RESETS_PER_SECOND,
    });
  }

  #connected(socket: Socket): void {
    const { gate, proxies } = this.#options;
    this.#connections.add(socket);
    socket.once("close", () => this.#connections.delete(socket));
    const { remoteAddress } = socket;
    // A proxy tells the client's address with each request. A unix socket's folder says who may connect.
    const isProxy = remoteAddress === undefined || proxies.trusts(remoteAddress);
    const visitor = gate.enter(socket, () => socket.destroy(), isProxy);
    if (!visitor) {
      socket.destroy();
      return;
    }
    if (isProxy) return;
    const ends = endsOf(socket);
    this.#visitors.set(ends, visitor);
    socket.once("close", () => this.#visitors.delete(ends));
  }

  /** Counts a request until the returned function is called, for the first time. */
  #countStranger(network: string): () => void {
    this.#strangers.set(network, (this.#strangers.get(network) ?? 0) + 1);
    let counts = true;
    return () => {
      if (!counts) return;
      counts = false;
      const left = this.#strangers.get(network)! - 1;
      if (left > 0) this.#strangers.set(network, left);
      else this.#strangers.delete(network);
    };
  }

  #refuse(raw: RawRequest, response: RawResponse, problem: Problem): void {
    void this.serve(this.begin(raw, response), async () => {
      throw problem;
    });
  }
}

function tooMany(): Problem {
  const headers = { "retry-after": String(RETRY_AFTER_SECONDS) };
  return new Problem(429, "Too many requests at once", { jmap: "limit", limit: "maxConcurrentRequests", headers });
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
