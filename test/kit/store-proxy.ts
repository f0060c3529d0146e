import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * How a way to the store fails:
 * - `refuse`: nobody listens, and what stood is cut;
 * - `cut-requests`, `cut-answers`: a connection ends amid the next bytes of that direction. Where answers are cut, the
 *   store has done what it was asked to;
 * - `hang-requests`, `hang-answers`: connections stand, but that direction's bytes stay on their way.
 */
export const WAY_FAULTS = ["refuse", "cut-requests", "cut-answers", "hang-requests", "hang-answers"] as const;
export type WayFault = (typeof WAY_FAULTS)[number];
type Direction = "requests" | "answers";

/** Ways of bytes that hung: they arrive late, or never, their connection being cut. */
export const WITHHELD = ["late", "lost"] as const;
export type Withheld = (typeof WITHHELD)[number];

interface Pair {
  readonly client: Socket;
  readonly store: Socket;
  readonly withheld: { readonly to: Socket; readonly chunk: Buffer }[];
}

/** One host's way to the store: passes TCP through, and fails when it is told to. */
export class StoreProxy {
  readonly port: number;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #pairs = new Set<Pair>();
  #server: Server;
  #fault: WayFault | undefined;

  private constructor(server: Server, target: { readonly host: string; readonly port: number }) {
    this.#server = server;
    this.#target = target;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (client) => this.#accept(client));
  }

  /** A way to `endpoint`, an `http://host:port`. */
  static async start(endpoint: string): Promise<StoreProxy> {
    const { hostname, port } = new URL(endpoint);
    return new StoreProxy(await listenOn(0), { host: hostname, port: Number(port) });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async fail(fault: WayFault): Promise<void> {
    this.#fault = fault;
    if (fault !== "refuse") return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#cutAll();
    await closed;
  }

  /** All passes again. */
  async heal(withheld: Withheld): Promise<void> {
    const fault = this.#fault;
    this.#fault = undefined;
    for (const pair of this.#pairs) {
      if (pair.withheld.length === 0) continue;
      if (withheld === "lost") cut(pair);
      for (const { to, chunk } of pair.withheld.splice(0)) to.write(chunk);
      if (!pair.client.destroyed) continue;
      pair.store.end();
      this.#pairs.delete(pair);
    }
    if (fault !== "refuse") return;
    this.#server = await listenOn(this.port);
    this.#server.on("connection", (client) => this.#accept(client));
  }

  async stop(): Promise<void> {
    if (this.#fault !== "refuse") await this.fail("refuse");
  }

  #accept(client: Socket): void {
    const store = connect({ ...this.#target, noDelay: true });
    client.setNoDelay(true);
    const pair: Pair = { client, store, withheld: [] };
    this.#pairs.add(pair);
    this.#forward(pair, client, store, "requests");
    this.#forward(pair, store, client, "answers");
  }

  #forward(pair: Pair, from: Socket, to: Socket, direction: Direction): void {
    from.on("data", (chunk: Buffer) => {
      if (this.#fault === `cut-${direction}`) {
        // Part of it arrives: a half is cut, not a whole.
        to.end(chunk.subarray(0, chunk.length >> 1));
        this.#pairs.delete(pair);
        from.destroy();
      } else if (this.#fault === `hang-${direction}`) pair.withheld.push({ to, chunk });
      else to.write(chunk);
    });
    from.on("close", () => {
      // Bytes that hang may arrive after their sender is gone.
      if (direction === "requests" && pair.withheld.length > 0) return;
      this.#pairs.delete(pair);
      to.end();
    });
    // The `close` that follows tells the other side.
    from.on("error", () => from.destroy());
  }

  #cutAll(): void {
    for (const pair of this.#pairs) cut(pair);
    this.#pairs.clear();
  }
}

function cut({ client, store }: Pair): void {
  client.resetAndDestroy();
  store.resetAndDestroy();
}

async function listenOn(port: number): Promise<Server> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}
