import type { Server as HttpServer } from "node:http";
import fastifyWebsocket from "@fastify/websocket";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type HTTPMethods } from "fastify";
import type { WebSocket } from "ws";
import { letGo } from "../let-go.ts";
import { anyCase } from "./any-case.ts";
import { answerClientError } from "./client-error.ts";
import type { Door, Terms } from "./door.ts";
import type { DoorSocket } from "./door-socket.ts";
import { type Exchange, PREFLIGHT, protocolsOf } from "./exchange.ts";
import { HEADER_BYTES_MAX } from "./limits.ts";
import { Problem } from "./problem.ts";
import { isTimely } from "./session-guard.ts";
import type { Answer, Route, Site, SocketRoute } from "./site.ts";

/** Methods that a path may be asked by; others no path knows. */
const METHODS: readonly HTTPMethods[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

type Desk = Pick<Door, "begin" | "serve" | "opened" | "problemOf">;
type Work = (exchange: Exchange) => Promise<Answer>;

/** A WebSocket whose request was let in. */
interface Opening {
  readonly exchange: Exchange;
  readonly use: (socket: DoorSocket) => void;
}

/** The routes of all sites on `server`, by fastify: it finds the route, and nothing else is left to it. */
export function makeApp(server: HttpServer, sites: readonly Site[], desk: Desk): FastifyInstance {
  const socketPaths = new Set(sites.flatMap(({ sockets = [] }) => sockets.map(({ path }) => path)));
  const asWritten = anyCase(sites);
  const app = Fastify({
    serverFactory: (handler) =>
      server.on("request", (raw, response) => {
        if (isTimely(raw)) handler(raw, response);
      }),
    rewriteUrl: ({ url = "" }) => asWritten(url),
    exposeHeadRoutes: false,
    clientErrorHandler: (error, socket) => answerClientError(socket, error),
    frameworkErrors: (_error, request, reply) => void answer(request, reply, throwing(400, "The path can't be read")),
    routerOptions: { maxParamLength: HEADER_BYTES_MAX, querystringParser: () => ({}) },
  });

  const answer = async (
    request: FastifyRequest,
    reply: FastifyReply,
    work: Work,
    terms?: Terms,
    explain?: Site["explain"],
  ): Promise<void> => {
    reply.hijack();
    const exchange = desk.begin(request.raw, reply.raw, terms);
    await desk.serve(exchange, () => work(exchange), explain);
    // Nobody reads a socket any more whose request to become a WebSocket failed.
    if ("upgrade" in request.raw && request.raw.upgrade) letGo(request.raw.socket);
  };

  app.removeAllContentTypeParsers();
  // Routes read bodies by themselves.
  app.addContentTypeParser("*", (_request, _body, done) => done(null));
  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) =>
    answer(request, reply, async () => {
      throw error.statusCode === undefined ? error : new Problem(error.statusCode, "The request can't be understood");
    }),
  );
  app.setNotFoundHandler((request, reply) =>
    answer(request, reply, request.method === "OPTIONS" ? async () => PREFLIGHT : throwing(404, "Nothing is here")),
  );
  void app.register(fastifyWebsocket, { options: socketOptions(sites) });
  void app.register((routes, _options, done) => {
    routes.addHook("onRequest", (request, reply, done) => {
      if (!request.ws || socketPaths.has(request.routeOptions.url ?? "")) done();
      else
        void refuse(request, desk.begin(request.raw, reply.raw), reply, new Problem(400, "This path has no WebSocket"));
    });
    for (const [path, { plain, socket }] of byPath(sites)) {
      const allowed = allowedOf(plain, socket);
      for (const { route, site } of plain)
        routes.route({
          method: route.method === "GET" ? ["GET", "HEAD"] : route.method,
          url: path,
          handler: (request, reply) =>
            answer(request, reply, route.handle, termsOf(request, route.bodyBytesMax), site.explain),
        });
      if (socket) addSocket(routes, path, socket.route, socket.site);
      const others = METHODS.filter((method) => !allowed.includes(method));
      routes.route({
        method: others,
        url: path,
        handler: (request, reply) =>
          answer(
            request,
            reply,
            request.method === "OPTIONS"
              ? async () => PREFLIGHT
              : throwing(405, "This path does not take that method", { allow: allowed.join(", ") }),
          ),
      });
    }
    done();
  });

  const addSocket = (routes: FastifyInstance, path: string, route: SocketRoute, { explain }: Site): void => {
    const openings = new WeakMap<object, Opening>();
    routes.route({
      method: "GET",
      url: path,
      async preValidation(request, reply) {
        if (!request.ws) return;
        const exchange = desk.begin(request.raw, reply.raw, termsOf(request, 0));
        try {
          checkOpening(exchange, route);
          openings.set(request.raw, { exchange, use: await route.open(exchange) });
        } catch (error) {
          await refuse(request, exchange, reply, desk.problemOf(error, explain));
        }
      },
      wsHandler(socket: WebSocket, request) {
        const { exchange, use } = openings.get(request.raw)!;
        use(desk.opened(exchange, socket));
      },
      handler: (request, reply) =>
        answer(request, reply, throwing(426, "This path is for WebSockets", { upgrade: "websocket" })),
    });
  };
  return app;
}

/** A request that does not become a WebSocket: its connection can be used for nothing else. */
async function refuse(
  { raw }: FastifyRequest,
  exchange: Exchange,
  reply: FastifyReply,
  { status, message, options }: Problem,
): Promise<void> {
  reply.hijack();
  const headers = { ...options.headers, connection: "close" };
  await exchange.answer(new Problem(status, message, { ...options, headers }).answer);
  letGo(raw.socket);
}

interface PathRoutes {
  readonly plain: { readonly route: Route; readonly site: Site }[];
  socket: { readonly route: SocketRoute; readonly site: Site } | undefined;
}

function byPath(sites: readonly Site[]): ReadonlyMap<string, PathRoutes> {
  const paths = new Map<string, PathRoutes>();
  const at = (path: string): PathRoutes => {
    const known = paths.get(path) ?? { plain: [], socket: undefined };
    paths.set(path, known);
    return known;
  };
  for (const site of sites) {
    for (const route of site.routes) at(route.path).plain.push({ route, site });
    for (const route of site.sockets ?? []) at(route.path).socket = { route, site };
  }
  return paths;
}

function allowedOf(plain: PathRoutes["plain"], socket: PathRoutes["socket"]): readonly HTTPMethods[] {
  const methods = plain.flatMap(({ route: { method } }) => (method === "GET" ? (["GET", "HEAD"] as const) : [method]));
  return socket ? [...methods, "GET"] : methods;
}

function termsOf(request: FastifyRequest, bodyBytesMax = 0): Terms {
  return { params: request.params as Record<string, string>, bodyBytesMax, route: request.routeOptions.url ?? "" };
}

function throwing(status: number, detail: string, headers: Readonly<Record<string, string>> = {}): Work {
  return async () => {
    throw new Problem(status, detail, { headers });
  };
}

/** RFC 6455 §4.2.1. `ws` checks the rest. */
function checkOpening(exchange: Exchange, { protocol }: SocketRoute): void {
  exchange.checkHeader();
  if (exchange.header("sec-websocket-version") !== "13")
    throw new Problem(426, "WebSocket has version 13", { headers: { "sec-websocket-version": "13" } });
  if (!/^[A-Za-z0-9+/]{22}==$/.test(exchange.header("sec-websocket-key") ?? ""))
    throw new Problem(400, "Sec-WebSocket-Key is missing");
  const offered = protocolsOf(exchange.header("sec-websocket-protocol") ?? "");
  if (!offered.every((item) => TOKEN.test(item)) || new Set(offered).size < offered.length)
    throw new Problem(400, "Sec-WebSocket-Protocol can't be read");
  if (!offered.includes(protocol)) throw new Problem(400, `The subprotocol ${protocol} must be offered`);
}

/** RFC 9110 §5.6.2. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/** Of what a client offers, only the protocol is told back: its token may stand there too. */
function socketOptions(sites: readonly Site[]) {
  const routes = sites.flatMap(({ sockets = [] }) => sockets);
  return {
    maxPayload: Math.max(0, ...routes.map(({ messageBytesMax }) => messageBytesMax)),
    handleProtocols: (offered: Set<string>, { url }: { url?: string | undefined }) =>
      routes.find(({ path, protocol }) => path === url?.split("?", 1)[0] && offered.has(protocol))?.protocol ?? false,
  } as const;
}
