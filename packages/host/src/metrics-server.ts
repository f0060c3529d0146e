import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Metrics } from "./metrics.ts";

/** Milliseconds for a request's header, and for what it asks. */
const REQUEST_MS = 10_000;
/** Scrapers are few. */
const CONNECTIONS_MAX = 64;

export interface MetricsServerOptions {
  readonly metrics: Metrics;
  /** Throws why the process should get no new work. */
  readonly checkReady: (signal: AbortSignal) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/** The server for monitoring: `/metrics`, `/healthz` (the process lives: restart it if not), `/readyz` (it can serve: send it
 * no clients if not). It asks for no password. */
export function createMetricsServer(options: MetricsServerOptions): Server {
  const server = createServer({ headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS }, (request, response) => {
    answer(request, response, options).catch((error: unknown) => {
      options.onError(error);
      response.destroy();
    });
  });
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

async function answer(
  { method, url = "" }: IncomingMessage,
  response: ServerResponse,
  { metrics, checkReady }: MetricsServerOptions,
): Promise<void> {
  const say = (status: number, text: string, type = "text/plain; charset=utf-8"): void =>
    void response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(text);
  if (method !== "GET" && method !== "HEAD") return say(405, "GET alone\n");
  switch (url.split("?", 1)[0]) {
    case "/metrics":
      return say(200, await metrics.text(), metrics.contentType);
    case "/healthz":
      return say(200, "alive\n");
    case "/readyz":
      try {
        await checkReady(AbortSignal.timeout(REQUEST_MS));
        return say(200, "ready\n");
      } catch (error) {
        return say(503, `not ready: ${(error as Error).message}\n`);
      }
    default:
      return say(404, "there is /metrics, /healthz and /readyz\n");
  }
}
