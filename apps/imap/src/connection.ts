import type { Socket } from "node:net";
import { type AccountSession, EngineError } from "@restante/engine";
import { type Dismissal, isLoopbackClient, takeTurn, type Visitor } from "@restante/host";
import { capabilitiesOf } from "./capabilities.ts";
import type { Command, Completion, Form, Unfinished } from "./commands/command.ts";
import { tellNew } from "./commands/fetch.ts";
import { findCommand, isCommand, streamingCommand } from "./commands/index.ts";
import { type ConnectionOptions, type ConnectionTimes, TIMES, type Trace } from "./connection-options.ts";
import { Refusal, refusalOf } from "./errors.ts";
import { Incoming } from "./incoming.ts";
import {
  BAD_COMMANDS_MAX,
  COMMAND_BYTES_MAX,
  COMMAND_BYTES_MAX_UNAUTHENTICATED,
  COMMAND_LITERALS_BYTES_MAX,
  COMMAND_LITERALS_BYTES_MAX_UNAUTHENTICATED,
  IDLE_KEEPALIVE_MS,
  INPUT_BYTES_MAX,
  INPUT_BYTES_MAX_UNAUTHENTICATED,
  LITERAL_BYTES_MAX,
  LITERAL_BYTES_MAX_UNAUTHENTICATED,
  LITERAL_MINUS_BYTES_MAX,
  MESSAGE_BYTES_MAX,
} from "./limits.ts";
import { News } from "./news.ts";
import { type Output, OutputBroken } from "./output.ts";
import { type Link, MailboxInvalidated, Session } from "./session.ts";
import { Transport } from "./transport.ts";
import { UnfinishedCommands } from "./unfinished.ts";
import {
  type CommandLimits,
  CommandReader,
  type CommandText,
  ConnectionEnded,
  type InputBuffer,
  type LiteralHead,
  type LiteralVerdict,
  type Read,
} from "./wire/command-reader.ts";
import { asSentence } from "./wire/format.ts";
import { ImapSyntaxError, Parser } from "./wire/parser.ts";
import { redactCommand } from "./wire/redact.ts";

const STRANGER_LIMITS: CommandLimits = {
  lineBytesMax: COMMAND_BYTES_MAX_UNAUTHENTICATED,
  literalsBytesMax: COMMAND_LITERALS_BYTES_MAX_UNAUTHENTICATED,
};
const OWNER_LIMITS: CommandLimits = {
  lineBytesMax: COMMAND_BYTES_MAX,
  literalsBytesMax: COMMAND_LITERALS_BYTES_MAX,
};
const INVALIDATED = "Sign in again: the outcome of your last command must be looked up";
const NOTHING_HIDDEN: ReadonlySet<string> = new Set();
const FAREWELLS: Record<Dismissal, string> = {
  "too-late": "Sign in sooner",
  "too-many": "Too many connections that are not signed in",
};

/** A command that is being run. */
interface Running {
  readonly name: string;
  readonly startedAt: number;
}

/** A command that is being finished; `sync` tells what happened meanwhile, before its completion. */
interface Storing extends Unfinished {
  readonly sync: (completion: Completion) => Promise<Completion>;
}

/**
 * One socket: read a command, look it up, run it, answer. Commands run one after the other, so pipelined ones are
 * answered in order and never race: RFC 9051 §5.5. Only while APPENDs are stored the messages of the next ones are taken
 * in. This is the only place that turns errors into replies.
 */
export class Connection implements Link {
  readonly reader: CommandReader;
  readonly address: string;
  readonly #isOnLoopback: boolean;
  readonly #options: ConnectionOptions;
  readonly #times: ConnectionTimes;
  readonly #visitor: Visitor;
  readonly #transport: Transport;
  readonly #session: Session;
  /** In a row. */
  #badCommands = 0;
  readonly #beganAt = performance.now();
  /** Ends the use of the account, and tells the log of it. */
  #leaveAccount: (() => void) | undefined;
  readonly #commands = new Map<string, number>();
  #closing = false;
  #wake: (() => void) | undefined;
  readonly #news: News;
  /** The command whose literals are read as streams. */
  #streaming: Command<unknown> | undefined;
  readonly #unfinished = new UnfinishedCommands();

  constructor(socket: Socket, remoteAddress: string | undefined, visitor: Visitor, options: ConnectionOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    this.#visitor = visitor;
    this.address = remoteAddress ?? "";
    this.#isOnLoopback = isLoopbackClient(remoteAddress);
    this.#transport = new Transport(socket, {
      backlog: options.backlog,
      drainMs: this.#times.drainMs,
      inputBytesMax: () => (this.#session.account ? INPUT_BYTES_MAX : INPUT_BYTES_MAX_UNAUTHENTICATED),
      isFollowed: () => this.#trace !== undefined,
      tell: (line) => this.#trace?.(`S: ${line}`),
      onTimeout: () => this.#leave("Idle for too long"),
      onInput: () => this.#wake?.(),
    });
    this.reader = new CommandReader(this.#transport.input, {
      limits: () => (this.#session.account ? OWNER_LIMITS : STRANGER_LIMITS),
      judgeLiteral: (text, literal) => this.#judgeLiteral(text, literal),
      sendContinuation: () => {
        // Not amid an answer.
        void this.#news.told.then(() => {
          this.#output.text("+ Ready for literal data\r\n");
          this.#transport.flushSoon();
        });
      },
    });
    this.#session = new Session(this, this.#output);
    this.#news = new News({
      session: this.#session,
      output: this.#output,
      isClosing: () => this.#closing,
      onFailure: (error) => {
        // The mailbox is gone, or the store: no command waits that could be refused.
        if (error instanceof MailboxInvalidated || error instanceof EngineError) this.#leave(INVALIDATED);
        else this.#break(error);
      },
    });
    this.#session.tellNew = (from, items) => tellNew(this.#session, from, items);
  }

  get #input(): InputBuffer {
    return this.#transport.input;
  }

  get #output(): Output {
    return this.#transport.output;
  }

  get arrivedAt(): number {
    return this.#input.arrivedAt;
  }

  get secure(): boolean {
    return this.#transport.isSecure;
  }

  get loginAllowed(): boolean {
    return this.secure || (this.#options.plainLogin === "loopback" && this.#isOnLoopback);
  }

  get startTlsOffered(): boolean {
    return !this.secure;
  }

  capabilities(): string {
    return this.#capabilities.join(" ");
  }

  offers(capability: string): boolean {
    return this.#capabilities.includes(capability);
  }

  get #capabilities(): readonly string[] {
    const { loginAllowed, startTlsOffered } = this;
    const { hiddenFrom, literalMinus = false, messageLimit } = this.#options;
    const hidden = hiddenFrom?.(this.#user) ?? NOTHING_HIDDEN;
    const hasJmap = this.#user !== undefined && this.jmapUrl !== undefined;
    return capabilitiesOf({ loginAllowed, startTlsOffered, hasJmap, hidden, literalMinus, messageLimit });
  }

  get messageLimit(): number | undefined {
    return this.#options.messageLimit;
  }

  get jmapUrl(): string | undefined {
    return this.#options.jmapUrl;
  }

  nowMs(): number {
    return Date.now();
  }

  flushSoon(): void {
    this.#transport.flushSoon();
  }

  /** Serves the client until it leaves. Never rejects. */
  async serve(): Promise<void> {
    try {
      this.#output.text(`* OK [CAPABILITY ${this.capabilities()}] Restante ready\r\n`);
      await this.#output.flush();
      while (!this.#session.loggedOut && !this.#closing) {
        this.#streaming = undefined;
        const read = await this.#news.during(() => this.reader.read());
        if (read.kind === "end") break;
        await this.#handle(read);
        // A client that sends many commands at once lets other connections have their turns between them.
        if (this.#input.length > 0) await takeTurn();
      }
    } catch (error) {
      this.#break(error);
    } finally {
      await this.#unfinished.answered();
      await this.#news.end();
      if (this.#leaveAccount) this.#leaveAccount();
      else this.#tellClosed(undefined);
      this.#transport.close();
    }
  }

  watch(on: boolean): void {
    this.#news.watch(on);
  }

  /** The server stops: RFC 9051 §7.1.5. */
  shutDown(why = "Server is stopping"): void {
    this.#leave(asSentence(why));
  }

  /** A stranger has to go. */
  dismiss(why: Dismissal): void {
    this.#leave(FAREWELLS[why]);
  }

  #leave(why: string): void {
    this.#closing = true;
    this.#transport.leave(why);
  }

  /** Ends the connection after an error. The error is logged, unless the client just went. */
  #break(error: unknown): void {
    if (!(error instanceof OutputBroken || error instanceof ConnectionEnded))
      this.#options.log({ event: "failed", command: "", error });
    // Nothing of an answer that is missing comes any more, nor anything else.
    this.#closing = true;
    this.#transport.endInput();
  }

  async #handle(read: Read): Promise<void> {
    if (read.kind === "end") return;
    const startedAt = performance.now();
    this.#trace?.(`C: ${redactCommand(read.text, isCommand)}`);
    const parser = new Parser(read.text);
    let tag = "*";
    let name = "";
    let completion: Completion | Storing;
    if (read.kind === "stream") this.#session.message = new Incoming(this.reader, read.literal);
    try {
      try {
        tag = parser.tag();
        parser.space();
        name = parser.keyword();
        const uid = name === "UID";
        if (uid) {
          parser.space();
          name = parser.keyword();
        }
        completion = await this.#runNamed(name, { uid, utf8: this.#session.isUtf8, tag }, parser, read);
      } finally {
        await this.#finishMessage();
      }
      await ("finish" in completion ? this.#hasRoom(completion.heldBytes) : this.#settled());
    } catch (error) {
      await this.#settled();
      completion = this.#completionOf(name, error);
    }
    if ("finish" in completion) {
      const { sync } = completion;
      this.#unfinished.begin(completion, (outcome) => this.#finish(tag, { name, startedAt }, outcome, sync));
    } else await this.#complete(tag, { name, startedAt }, completion);
  }

  /** Waits for the APPENDs that are being stored. Throws ConnectionEnded if the connection ended meanwhile, by its outcome
   * perhaps: then nothing more is done, or answered. */
  async #settled(): Promise<void> {
    await this.#unfinished.answered();
    if (this.#closing) throw new ConnectionEnded();
  }

  /** Waits until another APPEND may be stored. Throws as {@link #settled}. */
  async #hasRoom(heldBytes: number): Promise<void> {
    await this.#unfinished.hasRoom(heldBytes);
    if (this.#closing) throw new ConnectionEnded();
  }

  async #finish(
    tag: string,
    of: Running,
    stored: PromiseSettledResult<Completion>,
    sync: Storing["sync"],
  ): Promise<void> {
    // Of what was not done nothing more is told.
    if (this.#closing && stored.status === "rejected") return;
    const completion = async (): Promise<Completion> => {
      if (stored.status === "rejected") throw stored.reason;
      return sync(stored.value);
    };
    try {
      await this.#complete(tag, of, await completion().catch((error: unknown) => this.#completionOf(of.name, error)));
    } catch (error) {
      this.#break(error);
    }
    // The reader waits for the client, which may have nothing more to say.
    if (this.#closing) this.#transport.endInput();
  }

  async #runNamed(
    name: string,
    form: Form,
    parser: Parser,
    read: Exclude<Read, { kind: "end" }>,
  ): Promise<Completion | Storing> {
    const { uid } = form;
    const command = findCommand(name, uid);
    if (read.kind === "refused") return refusal(command, read.reason);
    if (!command) throw new ImapSyntaxError("Unknown command");
    if (!command.in.includes(this.#session.state)) throw new ImapSyntaxError("Command is not allowed in this state");
    if (this.#session.isUidOnly && command.uid && !uid && name !== "EXPUNGE")
      throw new ImapSyntaxError("Only uids are taken", "UIDREQUIRED");
    const args = command.parse(parser, form);
    const session = this.#session;
    if (read.kind !== "stream") {
      parser.end();
      // Only a message is taken in while the one before it is stored.
      await this.#settled();
    }
    const synced = async (completion: Completion): Promise<Completion> => {
      if (!command.silent) await this.#syncView(command, uid);
      return completion;
    };
    const result = await command.run(args, session, form);
    return "finish" in result ? { ...result, sync: synced } : await synced(result);
  }

  #syncView(command: Command<unknown>, uid: boolean): Promise<void> {
    return this.#session.syncView({ expunges: command.expunges !== "must-not" || uid, uid });
  }

  /** A command that stopped before its message was read, or never ran, leaves the bytes on the wire: they are dropped, unless
   * the client never got its continuation and so never sends them. Invariant: a message is never taken for commands. */
  async #finishMessage(): Promise<void> {
    const { message } = this.#session;
    this.#session.message = undefined;
    await message?.drop();
  }

  /** Throws what ends the connection. */
  #completionOf(name: string, error: unknown): Completion {
    if (error instanceof OutputBroken || error instanceof ConnectionEnded || this.#output.isWithinAnswer) throw error;
    this.#output.takeBack();
    if (error instanceof ImapSyntaxError) {
      const { message: text, code } = error;
      return code === undefined ? { status: "BAD", text } : { status: "BAD", text, code };
    }
    if (error instanceof MailboxInvalidated || (error instanceof EngineError && error.code === "unknown-outcome")) {
      this.#closing = true;
      return { status: "BYE", text: INVALIDATED };
    }
    if (this.#session.account?.ended.aborted) {
      this.#closing = true;
      return { status: "BYE", text: asSentence((this.#session.account.ended.reason as EngineError).message) };
    }
    if (error instanceof EngineError) return refusalOf(error);
    if (error instanceof Refusal) return { status: "NO", text: error.message, code: error.code };
    this.#options.log({ event: "failed", command: name, error });
    return { status: "NO", text: "Internal error", code: "SERVERBUG" };
  }

  get #user(): string | undefined {
    return this.#session.account?.address;
  }

  /** The trace of the signed-in user, if an operator follows it. Lines are traced from the command after LOGIN or
   * AUTHENTICATE on. */
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
    const said = typeof code === "function" ? code() : code;
    const words = said === undefined ? text : `[${said}] ${text}`;
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
    if (this.#session.account) this.#transport.allow(this.#times.idleMs);
  }

  #judgeLiteral(text: CommandText, literal: LiteralHead): LiteralVerdict {
    if (this.#options.literalMinus && !literal.synchronizing && literal.size > LITERAL_MINUS_BYTES_MAX) return "refuse";
    const signedIn = this.#session.account !== undefined;
    const within = this.#streaming;
    if (within === undefined && signedIn) this.#streaming = streamingCommand(text);
    if (within?.streams?.(text, true) ?? this.#streaming !== undefined)
      return literal.size <= MESSAGE_BYTES_MAX ? "stream" : "refuse";
    const max = signedIn ? LITERAL_BYTES_MAX : LITERAL_BYTES_MAX_UNAUTHENTICATED;
    return literal.size <= max ? "keep" : "refuse";
  }

  async ask(prompt: string): Promise<Uint8Array | undefined> {
    this.#output.text(`+ ${prompt}\r\n`);
    await this.#output.flush();
    return this.reader.readLine();
  }

  async signIn(user: string, password: string): Promise<AccountSession> {
    const account = await this.#options.signIn(user, password, this.address);
    const { ended } = account;
    const leave = (): void => this.shutDown((ended.reason as EngineError).message);
    ended.addEventListener("abort", leave);
    this.#visitor.signedIn();
    this.#leaveAccount = () => {
      ended.removeEventListener("abort", leave);
      account.close();
      this.#tellClosed(account.address);
    };
    return account;
  }

  signOut(): void {
    this.#leaveAccount?.();
    this.#leaveAccount = undefined;
    this.#news.watch(false);
    this.#visitor.signedOut();
  }

  #tellClosed(user: string | undefined): void {
    const commands = Object.fromEntries(this.#commands);
    this.#commands.clear();
    const ms = performance.now() - this.#beganAt;
    this.#options.log({ event: "closed", user, address: this.address, ms, commands });
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
      if (this.#output.isOpen) return;
      this.#output.text("* OK Still here\r\n");
      this.#transport.flushSoon();
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

  get isCompressed(): boolean {
    return this.#transport.isCompressed;
  }

  compress(): void {
    this.#transport.compress();
  }

  decompress(): void {
    this.#transport.decompress();
  }

  secureNow(): Promise<void> {
    return this.#transport.secure(this.#options.secureContext(), this.#times.handshakeMs);
  }
}

function refusal(command: Command<unknown> | undefined, reason: "too-long" | "literal"): Completion {
  if (reason === "too-long") return { status: "BAD", text: "Command is too long" };
  if (command?.streams) return { status: "NO", code: "TOOBIG", text: "Message is too large" };
  return { status: "BAD", text: "Literal is too large" };
}
