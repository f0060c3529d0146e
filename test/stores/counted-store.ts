import { once } from "node:events";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import type { StoreServer } from "./store-server.ts";

/** Requests so far by what they ask for: `PUT log`, `LIST note`. */
export type RequestCounts = Readonly<Record<string, number>>;

/** A store behind a program that sees, and counts, every request. */
export interface CountedStore extends StoreServer {
  counts(): RequestCounts;
}

/**
 * Puts a counter before a store. It hands bytes on as they are, so signatures stay good and an answer takes no longer
 * than its way through one more process.
 */
export async function countRequests(store: StoreServer): Promise<CountedStore> {
  const counts: Record<string, number> = {};
  const sockets = new Set<Socket>();
  const server = createTcpServer({ noDelay: true }, (client) => {
    const behind = connectTo(store.endpoint);
    const heads = new RequestHeads((method, target) => {
      const kind = requestKind(method, target);
      counts[kind] = (counts[kind] ?? 0) + 1;
    });
    client.on("data", (chunk: Buffer) => heads.read(chunk));
    client.pipe(behind).pipe(client);
    for (const socket of [client, behind]) {
      sockets.add(socket);
      // One end is gone: the other learns it as it would without us.
      socket.once("error", () => undefined);
      socket.once("close", () => {
        sockets.delete(socket);
        client.destroy();
        behind.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    ...store,
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts: () => ({ ...counts }),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      await store[Symbol.asyncDispose]();
    },
  };
}

function connectTo(endpoint: string): Socket {
  const path = /^http\+unix:\/\/(.+)$/.exec(endpoint)?.[1];
  const { hostname, port } = new URL(endpoint);
  return path ? connect({ path }) : connect({ host: hostname, port: Number(port), noDelay: true });
}

/** Finds the requests in what one connection sends: RFC 9112 §2.1, bodies by Content-Length alone. */
export class RequestHeads {
  readonly #found: (method: string, target: string) => void;
  #head = "";
  #bodyBytes = 0;

  constructor(found: (method: string, target: string) => void) {
    this.#found = found;
  }

  /** Throws RangeError for a body without a length. */
  read(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#bodyBytes > 0) {
        const part = Math.min(this.#bodyBytes, chunk.length - at);
        this.#bodyBytes -= part;
        at += part;
        continue;
      }
      const text = this.#head + chunk.toString("latin1", at);
      const end = text.indexOf("\r\n\r\n");
      at += (end < 0 ? text.length : end + 4) - this.#head.length;
      this.#head = end < 0 ? text : "";
      if (end >= 0) this.#take(text.slice(0, end));
    }
  }

  #take(head: string): void {
    const [method = "", target = ""] = head.split(" ", 2);
    if (/^transfer-encoding:/im.test(head)) throw new RangeError(`a body without a length: ${method} ${target}`);
    this.#bodyBytes = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    this.#found(method, target);
  }
}

/** Kind of a request to a bucket, without the account and the object: its method, and the kind of its name. */
export function requestKind(method: string, target: string): string {
  const { pathname, searchParams } = new URL(target, "http://store");
  const [, , ...name] = pathname.split("/");
  const key = name.join("/");
  if (key === "" && searchParams.has("uploads")) return "LIST uploads";
  if (key === "" && method === "GET") return `LIST ${kindOfName(searchParams.get("prefix") ?? "")}`;
  if (key === "" && searchParams.has("delete")) return "DELETE";
  return `${method} ${kindOfName(decodeURIComponent(key))}`;
}

/** `<account>/<kind>/…`, or a name of the store itself. */
function kindOfName(name: string): string {
  const [first = "", kind] = name.split("/");
  return (/^[0-9a-f]{32}$/.test(first) ? kind : first) || "all";
}
