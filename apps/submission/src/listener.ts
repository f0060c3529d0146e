import type { Socket } from "node:net";
import { SMTPServer } from "smtp-server";
import { SMTPConnection, type SMTPConnectionOptions } from "smtp-server/lib/smtp-connection.js";

/**
 * smtp-server, whose replies may bring their own enhanced codes (RFC 3463), and which leaves those who wait for a socket's end
 * their listeners at STARTTLS: who counts connections would count them for ever. docs/decisions/0006-smtp-server.md.
 */
export class SubmissionListener extends SMTPServer {
  /** The certificate is set for each connection, before it comes. */
  override _warnAboutDefaultCertificate(): void {
    // Nobody sees the library's own.
  }

  /** As the library's, but for the connection's class. */
  override connect(socket: Socket, options?: SMTPConnectionOptions | null): void {
    const connection = new SubmissionConnection(this, socket, options);
    this.connections.add(connection);
    connection.on("error", (error: Error) => this._onError(error));
    connection.init();
  }
}

type Listener = (...args: unknown[]) => void;

class SubmissionConnection extends SMTPConnection {
  /** Listeners of code that had the socket before the library. */
  readonly #waiting: readonly Listener[];
  readonly #raw: Socket;

  constructor(server: SubmissionListener, socket: Socket, options?: SMTPConnectionOptions | null) {
    super(server, socket, options);
    this.#raw = socket;
    this.#waiting = socket.rawListeners("close") as Listener[];
  }

  override upgrade(callback: () => void, secureCallback?: () => void): void {
    super.upgrade(callback, secureCallback);
    for (const listener of this.#waiting)
      if (!this.#raw.rawListeners("close").includes(listener)) this.#raw.on("close", listener);
  }

  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    const bringsCode = typeof data === "string" && /^[245]\.\d{1,3}\.\d{1,3} /.test(data);
    super.send(code, data, bringsCode ? false : context);
  }
}
