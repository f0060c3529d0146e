import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import { type AccountSession, EngineError } from "@restante/engine";
import { type Dismissal, HANDSHAKE_MS, letGo, shakeHands, type Visitor } from "@restante/host";
import type { Backlog } from "./backlog.ts";
import type { Command, Completion, Unfinished } from "./commands/command.ts";
import { capabilityList, findCommand, isCommand, streamsLiteral } from "./commands/index.ts";
import { refusalOf } from "./errors.ts";
import {
  BAD_COMMANDS_MAX,
  COMMAND_BYTES_MAX,
  COMMAND_BYTES_MAX_UNAUTHENTICATED,
  COMMAND_LITERALS_BYTES_MAX,
  COMMAND_LITERALS_BYTES_MAX_UNAUTHENTICATED,
  DRAIN_MS,
  IDLE_KEEPALIVE_MS,
  IDLE_TIMEOUT_MS,
  INPUT_BYTES_MAX,
  INPUT_BYTES_MAX_UNAUTHENTICATED,
  LITERAL_BYTES_MAX,
  LITERAL_BYTES_MAX_UNAUTHENTICATED,
  MESSAGE_BYTES_MAX,
} from "./limits.ts";
import { Output, OutputBroken } from "./output.ts";
import { type Link, MailboxInvalidated, Session } from "./session.ts";
import { takeTurn } from "./turns.ts";
import {
  type CommandLimits,
  CommandReader,
  type CommandText,
  ConnectionEnded,
  InputBuffer,
  type LiteralHead,
  type LiteralVerdict,
  type Read,
} from "./wire/command-reader.ts";
import { asSentence } from "./wire/format.ts";
import { ImapSyntaxError, Parser } from "./wire/parser.ts";
import { redactCommand } from "./wire/redact.ts";

/**
 * One socket: read a command, look it up, run it, answer. Commands run one after the other, so pipelined ones are
 * answered in order and never race: RFC 9051 §5.5. Only while an APPEND is stored the message of the next one is taken
 * in. This is the only place that turns errors into replies.
 */
export interface ConnectionOptions {
  readonly signIn: (user: string, password: string, address: string) => Promise<AccountSession>;
  /** Where passwords are taken without TLS. */
  readonly plainLogin: "loopback" | "never";
  /** For STARTTLS. */
  readonly secureContext: () => SecureContext;
  readonly log: (event: ConnectionEvent) => void;
  /** Who follows what this user's programs say, if anybody does. */
  readonly traceOf?: ((user: string) => Trace | undefined) | undefined;
  /** What waits for slow readers, of all connections. */
  readonly backlog: Backlog;
  readonly times?: Partial<ConnectionTimes>;
}

/** Milliseconds. */
export interface ConnectionTimes {
  /** For a TLS handshake. */
  readonly handshakeMs: number;
  /** Without an octet of a client that has signed in. */
  readonly idleMs: number;
  /** For a client to take what waits for it. */
  readonly drainMs: number;
}

export const TIMES: ConnectionTimes = { handshakeMs: HANDSHAKE_MS, idleMs: IDLE_TIMEOUT_MS, drainMs: DRAIN_MS };

const STRANGER_LIMITS: CommandLimits = {
  lineBytesMax: COMMAND_BYTES_MAX_UNAUTHENTICATED,
  literalsBytesMax: COMMAND_LITERALS_BYTES_MAX_UNAUTHENTICATED,
};
const OWNER_LIMITS: CommandLimits = {
  lineBytesMax: COMMAND_BYTES_MAX,
  literalsBytesMax: COMMAND_LITERALS_BYTES_MAX,
};
const FAREWELLS: Record<Dismissal, string> = {
  "too-late": "Sign in sooner",
  "too-many": "Too many connections that are not signed in",
};

export type ConnectionEvent =
  | { readonly event: "failed"; readonly command: string; readonly error: unknown }
  /** A command was answered; `command` is its name, or "unknown". */
  | {
      readonly event: "command";
      readonly command: string;
      readonly status: Completion["status"];
      readonly ms: number;
      /** Who has signed in. */
      readonly user: string | undefined;
      readonly address: string;
    }
  | {
      readonly event: "closed";
      readonly user: string | undefined;
      readonly address: string;
      readonly ms: number;
      /** How often each was answered, by name. */
      readonly commands: Readonly<Record<string, number>>;
    };

/** A dialogue that somebody follows: lines, redacted. */
export type Trace = (line: string) => void;

/** A command that is being run. */
interface Running {
  readonly name: string;
  readonly startedAt: number;
}

export class Connection implements Link {
  readonly reader: CommandReader;
  readonly address: string;
  readonly #options: ConnectionOptions;
  readonly #times: ConnectionTimes;
  readonly #visitor: Visitor;
  readonly #input = new InputBuffer();
  readonly #output: Output;
  readonly #session: Session;
  #socket: Socket;
  #detach: () => void;
  /** It says nothing in clear any more, and nothing sealed yet. */
  #shakesHands = false;
  /** In a row. */
  #badCommands = 0;
  readonly #beganAt = performance.now();
  readonly #commands = new Map<string, number>();
  #closing = false;
  #wake: (() => void) | undefined;
  /** The APPEND that is read, and not answered yet. Never rejects. */
  #unfinished: Promise<void> = Promise.resolve();

  constructor(socket: Socket, address: string, visitor: Visitor, options: ConnectionOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    this.#visitor = visitor;
    this.#socket = socket;
    this.address = address;
    this.#output = new Output(socket, {
      backlog: options.backlog,
      drainMs: this.#times.drainMs,
      isFollowed: () => this.#trace !== undefined,
      tell: (line) => this.#trace?.(`S: ${line}`),
    });
    this.reader = new CommandReader(this.#input, {
      limits: () => (this.#session.account ? OWNER_LIMITS : STRANGER_LIMITS),
      judgeLiteral: (text, literal) => this.#judgeLiteral(text, literal),
      sendContinuation: () => {
        this.#output.text("+ Ready for literal data\r\n");
        this.#flushSoon();
      },
    });
    this.#session = new Session(this, this.#output);
    // Whenever we wait for the client, it has all that we have to say.
    this.#input.onDrained = () => {
      this.#flushSoon();
      this.#socket.resume();
    };
    this.#detach = this.#attach(socket);
  }

  get arrivedAt(): number {
    return this.#input.arrivedAt;
  }

  get secure(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  get loginAllowed(): boolean {
    return this.secure || (this.#options.plainLogin === "loopback" && isLoopback(this.address));
  }

  get startTlsOffered(): boolean {
    return !this.secure;
  }

  capabilities(): string {
    return capabilityList(this);
  }

  /** Listens to the client. What is returned ends that. */
  #attach(socket: Socket): () => void {
    socket.setNoDelay(true);
    const data = (chunk: Uint8Array): void => {
      this.#input.push(chunk);
      if (this.#input.length > (this.#session.account ? INPUT_BYTES_MAX : INPUT_BYTES_MAX_UNAUTHENTICATED))
        socket.pause();
      this.#wake?.();
    };
    const end = (): void => {
      this.#endInput();
      // It takes what was written, or leaves it: nobody waits for it any more.
      letGo(socket);
    };
    const close = (): void => this.#endInput();
    socket.on("data", data).on("end", end).on("close", close);
    // What broke the socket is told by the `close` that follows.
    socket.on("error", () => socket.destroy());
    socket.on("timeout", () => this.#leave("Idle for too long"));
    return () => {
      socket.off("data", data).off("end", end).off("close", close);
    };
  }

  #endInput(): void {
    this.#input.end();
    this.#wake?.();
  }

  /** Serves the client until it leaves. Never rejects. */
  async serve(): Promise<void> {
    try {
      this.#output.text(`* OK [CAPABILITY ${this.capabilities()}] Restante ready\r\n`);
      await this.#output.flush();
      while (!this.#session.loggedOut && !this.#closing) {
        const read = await this.reader.read();
        if (read.kind === "end") break;
        await this.#handle(read);
        // Who sends many commands at once has them done in steps.
        if (this.#input.length > 0) await takeTurn();
      }
    } catch (error) {
      this.#break(error);
    } finally {
      await this.#unfinished;
      this.#session.account?.close();
      letGo(this.#socket);
      this.#options.log({
        event: "closed",
        user: this.#user,
        address: this.address,
        ms: performance.now() - this.#beganAt,
        commands: Object.fromEntries(this.#commands),
      });
    }
  }

  /** The server stops: RFC 9051 §7.1.5. */
  shutDown(why = "Server is stopping"): void {
    this.#leave(asSentence(why));
  }

  /** It has not signed in, and must go. */
  dismiss(why: Dismissal): void {
    this.#leave(FAREWELLS[why]);
  }

  /** Ends the connection from our side, whatever it does. The client is told why where it can't take that for something
   * else. */
  #leave(why: string): void {
    this.#closing = true;
    if (this.#output.isWithinAnswer || this.#shakesHands) this.#socket.destroy();
    else if (!this.#socket.destroyed) this.#socket.end(`* BYE ${why}\r\n`);
    letGo(this.#socket);
    this.#endInput();
  }

  /** It can't go on. What broke it is told, unless the client just went. */
  #break(error: unknown): void {
    if (!(error instanceof OutputBroken || error instanceof ConnectionEnded))
      this.#options.log({ event: "failed", command: "", error });
    // Nothing of an answer that is missing comes any more, nor anything else.
    this.#closing = true;
    this.#endInput();
  }

  async #handle(read: Read): Promise<void> {
    if (read.kind === "end") return;
    const startedAt = performance.now();
    this.#trace?.(`C: ${redactCommand(read.text)}`);
    const parser = new Parser(read.text);
    let tag = "*";
    let name = "";
    let completion: Completion | Unfinished;
    try {
      tag = parser.tag();
      parser.space();
      name = parser.keyword();
      const uid = name === "UID";
      if (uid) {
        parser.space();
        name = parser.keyword();
      }
      completion = await this.#runNamed(name, uid, parser, read);
      await this.#settled();
    } catch (error) {
      await this.#settled();
      completion = this.#completionOf(name, error);
    }
    if ("finish" in completion) this.#unfinished = this.#finish(tag, { name, startedAt }, completion);
    else await this.#complete(tag, { name, startedAt }, completion);
  }

  /** Waits for the APPEND that is being stored. Throws ConnectionEnded if the connection ended meanwhile, by its outcome
   * perhaps: then nothing more is done, or answered. */
  async #settled(): Promise<void> {
    await this.#unfinished;
    if (this.#closing) throw new ConnectionEnded();
  }

  async #finish(tag: string, of: Running, command: Unfinished): Promise<void> {
    try {
      await this.#complete(
        tag,
        of,
        await command.finish().catch((error: unknown) => this.#completionOf(of.name, error)),
      );
    } catch (error) {
      this.#break(error);
    }
    // Whoever reads waits for the client, which may have nothing more to say.
    if (this.#closing) this.#endInput();
  }

  async #runNamed(
    name: string,
    uid: boolean,
    parser: Parser,
    read: Exclude<Read, { kind: "end" }>,
  ): Promise<Completion | Unfinished> {
    const command = findCommand(name, uid);
    if (read.kind === "refused") return refusal(command, read.reason);
    if (!command) throw new ImapSyntaxError("Unknown command");
    if (!command.in.includes(this.#session.state)) throw new ImapSyntaxError("Command is not allowed in this state");
    const form = { uid };
    const args = command.parse(parser, form);
    const session = this.#session;
    if (read.kind === "stream") session.message = this.#incoming(read.literal);
    else {
      parser.end();
      // Only a message is taken in while the one before it is stored.
      await this.#settled();
    }
    const synced = async (completion: Completion): Promise<Completion> => {
      if (!command.silent) await this.#syncView(command, uid);
      return completion;
    };
    try {
      const result = await command.run(args, session, form);
      return "finish" in result ? { finish: async () => synced(await result.finish()) } : await synced(result);
    } finally {
      await this.#finishMessage(read);
    }
  }

  #syncView(command: Command<unknown>, uid: boolean): Promise<void> {
    return this.#session.syncView({ expunges: command.expunges !== "must-not" || uid, uid });
  }

  #incoming(literal: LiteralHead) {
    let finished: Promise<Read> | undefined;
    return {
      literal,
      read: () => this.reader.readLiteral(literal),
      rest: () => {
        finished ??= this.reader.resume();
        return finished;
      },
    };
  }

  /** A command that stopped before its message was read leaves the bytes on the wire: they are dropped, unless the
   * client never got its continuation and so never sends them. */
  async #finishMessage(read: Exclude<Read, { kind: "end" }>): Promise<void> {
    const { message } = this.#session;
    if (!message || read.kind !== "stream") return;
    this.#session.message = undefined;
    if (!this.reader.awaitsContinuation) await message.rest();
  }

  /** Throws what ends the connection. */
  #completionOf(name: string, error: unknown): Completion {
    if (error instanceof OutputBroken || error instanceof ConnectionEnded || this.#output.isWithinAnswer) throw error;
    this.#output.takeBack();
    if (error instanceof ImapSyntaxError) return { status: "BAD", text: error.message };
    if (error instanceof MailboxInvalidated || (error instanceof EngineError && error.code === "unknown-outcome")) {
      this.#closing = true;
      return { status: "BYE", text: "Sign in again: the outcome of your last command must be looked up" };
    }
    if (this.#session.account?.ended.aborted) {
      this.#closing = true;
      return { status: "BYE", text: asSentence((this.#session.account.ended.reason as EngineError).message) };
    }
    if (error instanceof EngineError) return refusalOf(error);
    this.#options.log({ event: "failed", command: name, error });
    return { status: "NO", text: "Internal error", code: "SERVERBUG" };
  }

  get #user(): string | undefined {
    return this.#session.account?.address;
  }

  /** Who follows, from the command after the one that signed in. */
  get #trace(): Trace | undefined {
    const user = this.#user;
    return user === undefined ? undefined : this.#options.traceOf?.(user);
  }

  #answered({ name, startedAt }: Running, status: Completion["status"]): void {
    // A stranger's words are no names.
    const command = isCommand(name) ? name : "unknown";
    this.#commands.set(command, (this.#commands.get(command) ?? 0) + 1);
    const ms = performance.now() - startedAt;
    this.#options.log({ event: "command", command, status, ms, user: this.#user, address: this.address });
  }

  async #complete(tag: string, of: Running, { status, code, text }: Completion): Promise<void> {
    const words = code === undefined ? text : `[${code}] ${text}`;
    this.#output.text(`${status === "BYE" ? "*" : tag} ${status} ${words}\r\n`);
    this.#answered(of, status);
    this.#badCommands = status === "BAD" ? this.#badCommands + 1 : 0;
    if (this.#badCommands >= BAD_COMMANDS_MAX) {
      this.#output.text("* BYE Too many commands that are no IMAP\r\n");
      this.#closing = true;
    }
    if (status === "BYE") this.#closing = true;
    // Answers to pipelined commands leave together.
    if (this.#input.length === 0 || this.#output.isFull || this.#session.afterwards || this.#closing)
      await this.#output.flush();
    const { afterwards } = this.#session;
    this.#session.afterwards = undefined;
    await afterwards?.();
    if (this.#session.account) this.#socket.setTimeout(this.#times.idleMs);
  }

  #judgeLiteral(text: CommandText, literal: LiteralHead): LiteralVerdict {
    const signedIn = this.#session.account !== undefined;
    if (signedIn && streamsLiteral(text)) return literal.size <= MESSAGE_BYTES_MAX ? "stream" : "refuse";
    const max = signedIn ? LITERAL_BYTES_MAX : LITERAL_BYTES_MAX_UNAUTHENTICATED;
    return literal.size <= max ? "keep" : "refuse";
  }

  #flushSoon(): void {
    // A client that is gone is noticed by who reads from it next.
    this.#output.flush().catch(() => this.#endInput());
  }

  async ask(prompt: string): Promise<Uint8Array | undefined> {
    this.#output.text(`+ ${prompt}\r\n`);
    await this.#output.flush();
    return this.reader.readLine();
  }

  async signIn(user: string, password: string): Promise<AccountSession> {
    const account = await this.#options.signIn(user, password, this.address);
    const { ended } = account;
    ended.addEventListener("abort", () => this.shutDown((ended.reason as EngineError).message));
    this.#visitor.signedIn();
    return account;
  }

  async idle(onWake: () => Promise<void>): Promise<Uint8Array | undefined> {
    const { account } = this.#session;
    this.#output.text("+ idling\r\n");
    let ended = false;
    const line = this.reader.readLine().finally(() => {
      ended = true;
      this.#wake?.();
    });
    let rung = true;
    const stop = account?.onChange(() => {
      rung = true;
      this.#wake?.();
    });
    const keepAlive = setInterval(() => {
      this.#output.text("* OK Still here\r\n");
      this.#flushSoon();
    }, IDLE_KEEPALIVE_MS);
    try {
      while (!ended) {
        if (rung) {
          rung = false;
          await onWake();
          await this.#output.flush();
        }
        if (ended || rung) continue;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        // The line's own bytes wake us too: let its reader finish first.
        await Promise.resolve();
      }
      return await line;
    } finally {
      clearInterval(keepAlive);
      stop?.();
    }
  }

  /** STARTTLS: RFC 9051 §6.2.1. Whatever the client sent in clear behind the command is dropped unread. */
  async secureNow(): Promise<void> {
    const context = this.#options.secureContext;
    const plain = this.#socket;
    this.#detach();
    this.#input.clear();
    this.#shakesHands = true;
    const secured = await shakeHands(plain, context(), this.#times.handshakeMs);
    if (!secured) throw new ConnectionEnded();
    this.#shakesHands = false;
    this.#socket = secured;
    this.#output.moveTo(secured);
    this.#detach = this.#attach(secured);
  }
}

function refusal(command: Command<unknown> | undefined, reason: "too-long" | "literal"): Completion {
  if (reason === "too-long") return { status: "BAD", text: "Command is too long" };
  if (command?.streams) return { status: "NO", code: "TOOBIG", text: "Message is too large" };
  return { status: "BAD", text: "Literal is too large" };
}

function isLoopback(address: string): boolean {
  return address === "" || address === "::1" || address.startsWith("127.") || address.startsWith("::ffff:127.");
}
