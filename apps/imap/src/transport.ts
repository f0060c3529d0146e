import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import { letGo, shakeHands } from "@restante/host";
import type { Backlog } from "./backlog.ts";
import { Deflater, Inflater } from "./deflate.ts";
import { INPUT_BYTES_MAX } from "./limits.ts";
import { Output } from "./output.ts";
import { ConnectionEnded, InputBuffer } from "./wire/command-reader.ts";

export interface TransportOptions {
  /** Octets that wait for slow readers, over all connections of the server. */
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

/** Milliseconds in which a last word is compressed, and sent to a client that reads. */
const PACK_MS = 1_000;

/**
 * The octets of one connection, below its dialogue: what came and what is to be sent, whatever lies between that and the
 * network: nothing, TLS, compression.
 */
export class Transport {
  readonly input: InputBuffer = new InputBuffer();
  readonly output: Output;
  readonly #options: TransportOptions;
  #socket: Socket;
  #detach: () => void;
  #deflater: Deflater | undefined;
  #inflater: Inflater | undefined;
  #isLeaving = false;
  /** Compression has just ended. */
  #isBehindDeflate = false;
  /** True during a TLS handshake: no text may be sent in clear any more, and none sealed yet. */
  #shakesHands = false;

  constructor(socket: Socket, options: TransportOptions) {
    this.#options = options;
    this.#socket = socket;
    this.output = new Output(socket, options);
    // Whenever we wait for the client, it has all that we have to say.
    this.input.onDrained = () => {
      this.flushSoon();
      if (this.#inflater) this.#inflater.resume();
      else this.#socket.resume();
    };
    this.#detach = this.#attach(socket);
  }

  get isSecure(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  /** Listens to the client. Gives the function that ends that. */
  #attach(socket: Socket): () => void {
    socket.setNoDelay(true);
    const data = (chunk: Uint8Array): void => {
      if (this.#inflater) {
        if (!this.#inflater.push(chunk)) socket.pause();
        return;
      }
      this.#pushClear(chunk);
      if (this.input.length > this.#options.inputBytesMax()) socket.pause();
      this.#options.onInput();
    };
    const end = (): void => {
      // Octets that are still compressed are read first, and end the input then.
      if (this.#inflater) this.#inflater.finish();
      else this.#ended();
    };
    const close = (): void => (this.#inflater ? this.#inflater.finish() : this.endInput());
    socket.on("data", data).on("end", end).on("close", close);
    // The `close` that follows ends the input.
    socket.on("error", () => socket.destroy());
    socket.on("timeout", () => this.#options.onTimeout());
    return () => {
      socket.off("data", data).off("end", end).off("close", close);
    };
  }

  get isCompressed(): boolean {
    return this.#inflater !== undefined;
  }

  /** COMPRESS: RFC 4978 §3. Octets that the client sent behind the command are compressed. */
  compress(): void {
    this.#deflater = new Deflater();
    this.output.compress(this.#deflater);
    const inflater = new Inflater({
      onData: (bytes) => {
        this.input.push(bytes);
        if (this.input.length > this.#options.inputBytesMax()) inflater.pause();
        this.#options.onInput();
      },
      onEnd: () => this.#ended(),
      onDrain: () => this.#socket.resume(),
    });
    this.#inflater = inflater;
    for (let bytes = this.input.takeUpTo(INPUT_BYTES_MAX); bytes; bytes = this.input.takeUpTo(INPUT_BYTES_MAX))
      inflater.push(bytes);
    this.#socket.resume();
    if (this.#socket.destroyed) inflater.finish();
  }

  /** The client compresses nothing behind the command that is being answered, and must wait for the answer: where in a stream of
   * deflate clear text begins nobody says. */
  decompress(): void {
    this.#endCompression();
    this.#deflater = undefined;
    this.#inflater = undefined;
    this.output.compress(undefined);
    this.#isBehindDeflate = true;
    this.#socket.resume();
  }

  /** A flush of deflate ends with octets that no command begins with, and they may come behind the text. */
  #pushClear(chunk: Uint8Array): void {
    const start = this.#isBehindDeflate ? chunk.findIndex((octet) => octet > 0x20 && octet < 0x7f) : 0;
    if (start < 0) return;
    this.#isBehindDeflate = false;
    this.input.push(chunk.subarray(start));
  }

  /** Nothing comes any more. The client takes what was written, or leaves it: nobody waits for it. */
  #ended(): void {
    this.endInput();
    letGo(this.#socket);
  }

  #endCompression(): void {
    this.#deflater?.close();
    this.#inflater?.close();
  }

  /** Ends the input: a reader that waits for the client waits no more. */
  endInput(): void {
    this.input.end();
    this.#options.onInput();
  }

  flushSoon(): void {
    // A client that is gone is noticed by the next read.
    this.output.flush().catch(() => this.endInput());
  }

  /** How long the client may say nothing. */
  allow(idleMs: number): void {
    this.#socket.setTimeout(idleMs);
  }

  /** Ends the connection from our side, whatever it does. The client is told why where it can't take that for something
   * else. */
  leave(why: string): void {
    const farewell = `* BYE ${why}\r\n`;
    if (this.output.isWithinAnswer || this.#shakesHands) this.#socket.destroy();
    else if (this.#deflater) this.#leaveCompressed(farewell);
    else if (!this.#socket.destroyed) this.#socket.end(farewell);
    this.close();
    this.endInput();
  }

  /** The last words have still to be packed. */
  #leaveCompressed(farewell: string): void {
    this.#isLeaving = true;
    const end = (): void => {
      clearTimeout(timer);
      letGo(this.#socket);
      this.#endCompression();
    };
    const timer = setTimeout(end, PACK_MS);
    this.output.takeBack();
    this.output.text(farewell);
    this.output.flush().then(end, end);
  }

  /** Nobody speaks any more. */
  close(): void {
    if (this.#isLeaving) return;
    letGo(this.#socket);
    this.#endCompression();
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
