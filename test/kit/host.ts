import { freePort } from "../interop/harness.ts";
import { nowUs } from "./exchange.ts";
import { type RunningServer, startServer } from "./server.ts";
import { StoreProxy } from "./store-proxy.ts";

/** One of several machines that serve the same accounts from one store, each with its own way there. Its ports stay. */
export class Host {
  readonly name: string;
  readonly data: string;
  readonly proxy: StoreProxy;
  readonly ports: { readonly imap: number; readonly lmtp: number };
  readonly #env: Readonly<Record<string, string>>;
  #server: RunningServer | undefined;
  /** Ends of servers that ended by themselves. */
  readonly ends: string[] = [];
  /** When it was killed, by {@link nowUs}. */
  readonly killedAt: number[] = [];

  private constructor(
    { name, data, env }: HostOptions,
    proxy: StoreProxy,
    ports: { readonly imap: number; readonly lmtp: number },
  ) {
    this.name = name;
    this.data = data;
    this.proxy = proxy;
    this.ports = ports;
    this.#env = env;
  }

  static async make(options: HostOptions): Promise<Host> {
    const proxy = await StoreProxy.start(options.env.RESTANTE_S3_ENDPOINT!);
    return new Host(options, proxy, { imap: await freePort(), lmtp: await freePort() });
  }

  /** Environment of its processes. */
  get env(): Readonly<Record<string, string>> {
    return {
      ...this.#env,
      RESTANTE_S3_ENDPOINT: this.proxy.endpoint,
      RESTANTE_IMAP_LISTEN: `127.0.0.1:${this.ports.imap}`,
      RESTANTE_LMTP_LISTEN: `127.0.0.1:${this.ports.lmtp}`,
    };
  }

  /** `trustedHosts` are the public keys of the others. */
  async start(trustedHosts: readonly string[]): Promise<void> {
    const env = { ...this.env, RESTANTE_LOGIN_TRUSTED_HOSTS: trustedHosts.join(",") };
    const server = await startServer(this.data, { env });
    this.#server = server;
    server.process.once("exit", (code, signal) => {
      if (this.#server === server) this.ends.push(`${this.name} ended by itself: ${code ?? signal}: ${server.logs()}`);
    });
  }

  /** Starts it once, for the key by which it signs deliveries, which it logs. */
  async readPublicKey(): Promise<string> {
    await this.start([]);
    const server = this.#running;
    const code = await this.stop();
    const key = /"publicKey":"([^"]+)"/.exec(server.logs())?.[1];
    if (code !== 0 || key === undefined) throw new Error(`${this.name} ended with ${code}: ${server.logs()}`);
    return key;
  }

  /** Errors in the log of the server that runs: faults that it did not foresee. */
  errors(): readonly string[] {
    return this.#running.logs().match(/^.*"level":"error".*$/gm) ?? [];
  }

  get #running(): RunningServer {
    if (!this.#server) throw new Error(`${this.name} does not run`);
    return this.#server;
  }

  /** SIGKILL, frozen or not. */
  async kill(): Promise<void> {
    const server = this.#running;
    this.#server = undefined;
    this.killedAt.push(nowUs());
    await server.kill();
  }

  freeze(): void {
    this.#running.process.kill("SIGSTOP");
  }

  thaw(): void {
    this.#running.process.kill("SIGCONT");
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    const server = this.#running;
    this.#server = undefined;
    return server.stop();
  }

  /** Ends all that is there of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server?.process.exitCode === null && this.#server.process.signalCode === null) await this.kill();
    await this.proxy.stop();
  }
}

interface HostOptions {
  readonly name: string;
  readonly data: string;
  /** The store itself, whom to trust, where the users are. */
  readonly env: Readonly<Record<string, string>>;
}
