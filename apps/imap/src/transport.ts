import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import { letGo, shakeHands } from "@restante/host";
import type { Backlog } from "./backlog.ts";
import { Output } from "./output.ts";
import { ConnectionEnded, InputBuffer } from "./wire/command-reader.ts";

export interface TransportOptions {
  /** What waits for slow readers, of all connections. */
  readonly backlog: Backlog;
  /** Milliseconds that a client has to take what waits for it. */
  readonly drainMs: number;
  /** Octets that may wait to be read before the client is held back. */
  readonly inputBytesMax: () => number;
  /** Somebody follows what is sent, and gets it line by line, redacted. */
  readonly isFollowed: () => boolean;
  readonly tell: (line: string) => void;
  /** Nothing came for as long as {@link Transport.allow} said. */
  readonly onTimeout: () => void;
  /** Something came, or nothing comes any more. */
  readonly onInput: () => void;
}

/**
 * The octets of one connection, below its dialogue: what came and what is to be sent, whatever lies between that and the
 * network (nothing, TLS).
 */
export class Transport {
  readonly input: InputBuffer = new InputBuffer();
  readonly output: Output;
  readonly #options: TransportOptions;
  #socket: Socket;
  #detach: () => void;
  /** It says nothing in clear any more, and nothing sealed yet. */
  #shakesHands = false;

  constructor(socket: Socket, options: TransportOptions) {
    this.#options = options;
    this.#socket = socket;
    this.output = new Output(socket, options);
    // Whenever we wait for the client, it has all that we have to say.
    this.input.onDrained = () => {
      this.flushSoon();
      this.#socket.resume();
    };
    this.#detach = this.#attach(socket);
  }

  get isSecure(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  /** Listens to the client. What is returned ends that. */
  #attach(socket: Socket): () => void {
    socket.setNoDelay(true);
    const data = (chunk: Uint8Array): void => {
      this.input.push(chunk);
      if (this.input.length > this.#options.inputBytesMax()) socket.pause();
      this.#options.onInput();
    };
    const end = (): void => {
      this.endInput();
      // It takes what was written, or leaves it: nobody waits for it any more.
      letGo(socket);
    };
    const close = (): void => this.endInput();
    socket.on("data", data).on("end", end).on("close", close);
    // What broke the socket is told by the `close` that follows.
    socket.on("error", () => socket.destroy());
    socket.on("timeout", () => this.#options.onTimeout());
    return () => {
      socket.off("data", data).off("end", end).off("close", close);
    };
  }

  /** Whoever waits for the client waits no more. */
  endInput(): void {
    this.input.end();
    this.#options.onInput();
  }

  flushSoon(): void {
    // A client that is gone is noticed by who reads from it next.
    this.output.flush().catch(() => this.endInput());
  }

  /** How long the client may say nothing. */
  allow(idleMs: number): void {
    this.#socket.setTimeout(idleMs);
  }

  /** Ends the connection from our side, whatever it does. The client is told why where it can't take that for something
   * else. */
  leave(why: string): void {
    if (this.output.isWithinAnswer || this.#shakesHands) this.#socket.destroy();
    else if (!this.#socket.destroyed) this.#socket.end(`* BYE ${why}\r\n`);
    letGo(this.#socket);
    this.endInput();
  }

  /** Nobody speaks any more. */
  close(): void {
    letGo(this.#socket);
  }

  /** STARTTLS: RFC 9051 §6.2.1. Whatever the client sent in clear behind the command is dropped unread. */
  async secure(context: SecureContext, handshakeMs: number): Promise<void> {
    this.#detach();
    this.input.clear();
    this.#shakesHands = true;
    const secured = await shakeHands(this.#socket, context, handshakeMs);
    if (!secured) throw new ConnectionEnded();
    this.#shakesHands = false;
    this.#socket = secured;
    this.output.moveTo(secured);
    this.#detach = this.#attach(secured);
  }
}
