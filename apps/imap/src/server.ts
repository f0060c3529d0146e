import { createServer, type Server, type Socket } from "node:net";
import type { SecureContext } from "node:tls";
import { TLSSocket } from "node:tls";
import type { AccountSession } from "@restante/engine";
import { Connection, type ConnectionEvent } from "./connection.ts";
import { CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX } from "./limits.ts";

export interface ImapServerOptions {
  readonly signIn: (user: string, password: string, address: string) => Promise<AccountSession>;
  /** The certificate now in force; asked for each connection, so that it may be renewed. */
  readonly secureContext: () => SecureContext;
  readonly log: (event: ConnectionEvent) => void;
}

export interface ImapServer {
  /** Sockets arrive by these: `imap` begins in clear and offers STARTTLS, `imaps` begins with TLS (RFC 8314 §3.2). */
  readonly imap: Server;
  readonly imaps: Server;
  /** No new connections; those that are open get BYE. Resolves when they are gone. */
  stop(): Promise<void>;
}

/** IMAP4rev1 (RFC 3501, RFC 9051) for the accounts of `signIn`. */
export function createImapServer(options: ImapServerOptions): ImapServer {
  const connections = new Map<Connection, Promise<void>>();
  const perAddress = new Map<string, number>();

  const accept = (socket: Socket, secure: boolean): void => {
    const address = socket.remoteAddress ?? "";
    const count = perAddress.get(address) ?? 0;
    if (connections.size >= CONNECTIONS_MAX || count >= CONNECTIONS_PER_ADDRESS_MAX) {
      if (secure) socket.destroy();
      else socket.end("* BYE Too many connections\r\n");
      return;
    }
    perAddress.set(address, count + 1);
    const used = secure ? new TLSSocket(socket, { isServer: true, secureContext: options.secureContext() }) : socket;
    const connection = new Connection(used, address, options);
    const served = connection.serve().finally(() => {
      connections.delete(connection);
      const left = perAddress.get(address)! - 1;
      if (left > 0) perAddress.set(address, left);
      else perAddress.delete(address);
    });
    connections.set(connection, served);
  };

  return {
    imap: createServer({ noDelay: true }, (socket) => accept(socket, false)),
    imaps: createServer({ noDelay: true }, (socket) => accept(socket, true)),
    async stop() {
      for (const connection of connections.keys()) connection.shutDown();
      await Promise.all(connections.values());
    },
  };
}
