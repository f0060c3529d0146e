import type { Socket } from "node:net";
import { SMTPServer } from "smtp-server";
import { SMTPConnection, type SMTPConnectionOptions } from "smtp-server/lib/smtp-connection.js";
import { COMMAND_MS, COMMANDS_AT_ONCE, CONNECTIONS_MAX, MESSAGE_MS } from "./limits.ts";
import { readPath } from "./path.ts";

/**
 * smtp-server, with what LMTP needs and its options don't give: the greeting comes at once, each command is heard of, a
 * reply may bring its own enhanced code (RFC 3463), a client has a total time for each command, and addresses are taken as mail
 * servers send them. It overrides `SMTPServer.connect` and of each connection `init`, `_onCommand`, `send`, `_onClose` and
 * `_parseAddressCommand`: docs/decisions/0006-smtp-server.md.
 */
export interface ListenerHooks {
  /** A client sends a command: it has read the replies before it. */
  readonly onCommand: (connectionId: string) => void;
  readonly limits?: Partial<ListenerLimits>;
}

export interface ListenerLimits {
  /** Milliseconds from a command to the end of the next one. */
  readonly commandMs: number;
  /** The same where a message is between them. */
  readonly messageMs: number;
  readonly connectionsMax: number;
}

export class LmtpListener extends SMTPServer {
  readonly hooks: ListenerHooks;

  constructor(options: ConstructorParameters<typeof SMTPServer>[0], hooks: ListenerHooks) {
    super(options);
    this.hooks = hooks;
  }

  /** As the library's, but for the connection's class. */
  override connect(socket: Socket, options?: SMTPConnectionOptions | null): void {
    const connection = new LmtpConnection(this, socket, options);
    this.connections.add(connection);
    connection.on("error", (error: Error) => this._onError(error));
    connection.init();
  }
}

class LmtpConnection extends SMTPConnection {
  readonly #hooks: ListenerHooks;
  readonly #limits: ListenerLimits;
  #deadline: NodeJS.Timeout | undefined;
  #commands = 0;

  constructor(server: LmtpListener, socket: Socket, options?: SMTPConnectionOptions | null) {
    super(server, socket, options);
    this.#hooks = server.hooks;
    this.#limits = {
      commandMs: COMMAND_MS,
      messageMs: MESSAGE_MS,
      connectionsMax: CONNECTIONS_MAX,
      ...server.hooks.limits,
    };
  }

  /** The library holds its greeting back for a tenth of a second: who speaks sooner is a spammer. LMTP's clients are mail
   * servers of the same house. */
  override init(): void {
    this._setListeners(() => {
      if (this._server.connections.size > this.#limits.connectionsMax) this.send(421, "4.3.2 Too many connections");
      else this.connectionReady();
      this.#expect(this.#limits.commandMs);
    });
  }

  override _onCommand(command: Buffer, callback?: () => void): void {
    // Commands that are answered without waiting for anything would all be done in one turn.
    if (++this.#commands % COMMANDS_AT_ONCE === 0) setImmediate(() => this.#handle(command, callback));
    else this.#handle(command, callback);
  }

  #handle(command: Buffer, callback?: () => void): void {
    if (this._closed) return;
    this.#hooks.onCommand(this.id);
    const isData = /^DATA\s*$/i.test(command.subarray(0, 8).toString("latin1"));
    this.#expect(isData ? this.#limits.messageMs : this.#limits.commandMs);
    super._onCommand(command, callback);
  }

  /** The next command comes whole within this time, however the client spends it. */
  #expect(ms: number): void {
    clearTimeout(this.#deadline);
    if (this._closed || this._closing) return;
    this.#deadline = setTimeout(() => this.send(421, "4.4.2 Too slow"), ms).unref();
  }

  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    const bringsCode = typeof data === "string" && /^[245]\.\d{1,3}\.\d{1,3} /.test(data);
    super.send(code, data, bringsCode ? false : context);
  }

  /** The library reads the parameters, and would refuse addresses that mail has. */
  override _parseAddressCommand(name: string, command: string | Buffer): ParsedAddress | false {
    const [verb, path] = cutAt(command.toString(), ":");
    const read = readPath(path);
    const parsed = read && super._parseAddressCommand(name, `${verb}:<${STAND_IN}>${read.rest}`);
    return parsed ? { ...parsed, address: read!.address } : false;
  }

  override _onClose(): void {
    clearTimeout(this.#deadline);
    super._onClose();
  }
}

const STAND_IN = "somebody@example.org";
type ParsedAddress = Exclude<ReturnType<SMTPConnection["_parseAddressCommand"]>, false>;

function cutAt(text: string, sign: string): readonly [string, string] {
  const at = text.indexOf(sign);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
