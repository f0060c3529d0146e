import { createServer, type Server } from "node:http";

/** Milliseconds for a request. */
const REQUEST_MS = 10_000;
/** Connections at once. An authority asks from a handful of places. */
const CONNECTIONS_MAX = 256;
const PATH = "/.well-known/acme-challenge/";

/** Answers to HTTP-01 challenges (RFC 8555 §8.3), and to nothing else. */
export class Challenges {
  readonly #answers = new Map<string, string>();

  add(token: string, answer: string): void {
    this.#answers.set(token, answer);
  }

  remove(token: string): void {
    this.#answers.delete(token);
  }

  makeServer(): Server {
    const server = createServer(
      { headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS },
      ({ url = "" }, response) => {
        const answer = url.startsWith(PATH) ? this.#answers.get(url.slice(PATH.length)) : undefined;
        response.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/octet-stream" });
        response.end(answer ?? "");
      },
    );
    server.maxConnections = CONNECTIONS_MAX;
    return server;
  }
}
