import { createServer, type Server, type Socket } from "node:net";
import { type Gate, letGo, shakeHands } from "@restante/host";
import { Backlog } from "./backlog.ts";
import { Connection } from "./connection.ts";
import { type ConnectionOptions, TIMES } from "./connection-options.ts";
import { BACKLOG_BYTES_MAX } from "./limits.ts";

export interface ImapServerOptions extends Omit<ConnectionOptions, "backlog"> {
  /** Bounds the connections of the process, of whichever service. */
  readonly gate: Gate;
}

export interface ImapServer {
  /** Sockets arrive by these: `imap` begins in clear and offers STARTTLS, `imaps` begins with TLS (RFC 8314 §3.2). */
  readonly imap: Server;
  readonly imaps: Server;
  /** Octets that wait for slow readers. */
  readonly backlog: Backlog;
  /** No new connections; those that are open get BYE. Resolves when they are gone. */
  stop(): Promise<void>;
}

/** IMAP4rev1 (RFC 3501, RFC 9051) for the accounts of `signIn`. */
export function createImapServer(options: ImapServerOptions): ImapServer {
  const connections = new Map<Connection, Promise<void>>();
  const handshakes = new Set<Socket>();
  const backlog = new Backlog(BACKLOG_BYTES_MAX);
  const { handshakeMs } = { ...TIMES, ...options.times };

  const secure = async (socket: Socket): Promise<Socket | undefined> => {
    handshakes.add(socket);
    const secured = await shakeHands(socket, options.secureContext(), handshakeMs);
    handshakes.delete(socket);
    return secured;
  };

  const accept = async (socket: Socket, isSecure: boolean): Promise<void> => {
    socket.on("error", () => socket.destroy());
    let connection: Connection | undefined;
    const visitor = options.gate.enter(socket, (why) => (connection ? connection.dismiss(why) : socket.destroy()));
    if (!visitor) {
      if (!isSecure) socket.write("* BYE Too many connections\r\n");
      letGo(socket);
      return;
    }
    const { remoteAddress } = socket;
    const used = isSecure ? await secure(socket) : socket;
    if (!used) return;
    connection = new Connection(used, remoteAddress, visitor, { ...options, backlog });
    const served = connection.serve();
    connections.set(connection, served);
    await served;
    connections.delete(connection);
  };

  const listener = (isSecure: boolean) => (socket: Socket) => {
    accept(socket, isSecure).catch((error: unknown) => {
      socket.destroy();
      options.log({ event: "failed", command: "", error });
    });
  };

  return {
    backlog,
    imap: createServer({ noDelay: true }, listener(false)),
    imaps: createServer({ noDelay: true }, listener(true)),
    async stop() {
      for (const socket of handshakes) socket.destroy();
      for (const connection of connections.keys()) connection.shutDown();
      await Promise.all(connections.values());
    },
  };
}
