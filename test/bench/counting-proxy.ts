import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** Stands between a client and the server, and counts: octets, and how often the client had to wait for an answer before it
 * went on. */
export class CountingProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  up = 0;
  down = 0;
  trips = 0;
  #wasUp = false;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as { port: number }).port;
  }

  static async start(target: number): Promise<CountingProxy> {
    const server = createServer({ noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const proxy = new CountingProxy(server);
    server.on("connection", (client) =>
      proxy.#join(client, connect({ host: "127.0.0.1", port: target, noDelay: true })),
    );
    return proxy;
  }

  #join(client: Socket, far: Socket): void {
    for (const socket of [client, far]) {
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
    }
    client.on("data", (bytes) => {
      this.up += bytes.length;
      if (!this.#wasUp) this.trips++;
      this.#wasUp = true;
      far.write(bytes);
    });
    far.on("data", (bytes) => {
      this.down += bytes.length;
      this.#wasUp = false;
      client.write(bytes);
    });
    client.on("close", () => far.destroy());
    // Its last answer is still on its way.
    far.on("close", () => client.end());
  }

  reset(): void {
    this.up = this.down = this.trips = 0;
    this.#wasUp = false;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
