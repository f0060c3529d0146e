import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AccountSession } from "@restante/engine";
import { Gate, type GateLimits, Tls } from "@restante/host";
import { onTestFinished } from "vitest";
import type { Backlog } from "./backlog.ts";
import type { ConnectionEvent, ConnectionTimes } from "./connection-options.ts";
import { createImapServer } from "./server.ts";

export interface TestServer {
  readonly gate: Gate;
  readonly backlog: Backlog;
  readonly events: readonly ConnectionEvent[];
  connect(listener: "imap" | "imaps"): Socket;
  stop(): Promise<void>;
}

/** A server for `account`, whoever signs in. It ends with the test. */
export async function startTestServer(options: {
  readonly account?: object;
  readonly signIn?: (user: string, password: string) => Promise<AccountSession>;
  readonly limits?: Partial<GateLimits>;
  readonly times?: Partial<ConnectionTimes>;
  readonly plainLogin?: "never";
  readonly hiddenFrom?: (user: string | undefined) => ReadonlySet<string>;
  readonly literalMinus?: boolean;
  readonly messageLimit?: number;
  readonly jmapUrl?: string;
}): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), "restante-imap-"));
  const tls = new Tls({ cert: "", key: "", folder, minVersion: "TLSv1.2", oldSuites: false });
  await tls.reload();
  rmSync(folder, { recursive: true });
  const gate = new Gate({ networkOf: (address) => address, ...(options.limits ? { limits: options.limits } : {}) });
  const events: ConnectionEvent[] = [];
  const server = createImapServer({
    signIn: options.signIn ?? (async () => options.account as AccountSession),
    plainLogin: options.plainLogin ?? "loopback",
    secureContext: () => tls.context,
    gate,
    log: (event) => events.push(event),
    ...(options.times ? { times: options.times } : {}),
    ...(options.hiddenFrom ? { hiddenFrom: options.hiddenFrom } : {}),
    ...(options.literalMinus ? { literalMinus: true } : {}),
    messageLimit: options.messageLimit,
    jmapUrl: options.jmapUrl,
  });
  for (const listener of [server.imap, server.imaps]) {
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
  }
  const sockets: Socket[] = [];
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    server.imap.close();
    server.imaps.close();
    stopped ??= server.stop();
    return stopped;
  };
  onTestFinished(stop);
  return {
    gate,
    backlog: server.backlog,
    events,
    connect(listener) {
      const socket = connect({ port: (server[listener].address() as AddressInfo).port, host: "127.0.0.1" });
      // Tests wait for what the server does, and for its end.
      socket.on("error", () => socket.destroy());
      sockets.push(socket);
      return socket;
    },
    stop,
  };
}

/** Text that a client received, one character an octet. */
export class Received {
  text = "";
  isEnded = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      this.text += text;
      this.#wake();
    });
    for (const event of ["end", "close"])
      socket.on(event, () => {
        this.isEnded = true;
        this.#wake();
      });
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** All up to and with the first match, which is taken away; or what came until the end. */
  async until(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match || this.isEnded) {
        const end = match ? match.index + match[0].length : this.text.length;
        const taken = this.text.slice(0, end);
        this.text = this.text.slice(end);
        return taken;
      }
      await this.#more();
    }
  }

  async end(): Promise<string> {
    while (!this.isEnded) await this.#more();
    return this.text;
  }
}
