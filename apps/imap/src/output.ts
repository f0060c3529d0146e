import type { Socket } from "node:net";
import { asciiText } from "./ascii.ts";
import type { Backlog } from "./backlog.ts";
import type { Deflater } from "./deflate.ts";
import { OUTPUT_BYTES_MAX } from "./limits.ts";
import { AnswerRedactor } from "./wire/redact.ts";

export interface OutputOptions {
  /** Octets that wait for slow readers, over all connections of the server. */
  readonly backlog: Backlog;
  /** Milliseconds that a client has to take what waits for it. */
  readonly drainMs: number;
  /** Somebody follows what is sent: asked at each sending. */
  readonly isFollowed?: () => boolean;
  /** Gets what was sent, line by line, redacted. */
  readonly tell?: (line: string) => void;
}

/** Output of one connection. Text (one character a byte) and bytes are collected and leave in one write when the answer is
 * complete or large. A client that doesn't read holds back the command that writes, and nothing else. */
export class Output {
  #socket: Socket;
  readonly #options: OutputOptions;
  #text = "";
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #broken = false;
  #deflater: Deflater | undefined;
  #redactor: AnswerRedactor | undefined;
  #draining: Promise<void> | undefined;
  /** Where the answer that is being made begins. */
  #mark: { readonly pieces: number; readonly pieceBytes: number; readonly textLength: number } | undefined;
  /** A part of an answer has left that is not whole: what can't be delivered of the rest cuts the connection, and nobody
   * else may say anything. */
  isWithinAnswer = false;

  constructor(socket: Socket, options: OutputOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** After STARTTLS the same answers go through the secured socket. */
  moveTo(socket: Socket): void {
    this.#socket = socket;
  }

  /** From now on all that is sent is compressed, or nothing any more. */
  compress(deflater: Deflater | undefined): void {
    this.#deflater = deflater;
  }

  /** True while an answer is being made: nothing else may be written. */
  get isOpen(): boolean {
    return this.#mark !== undefined;
  }

  /** Begins an answer that is whole at `end`, or not at all. */
  begin(): void {
    this.#mark = { pieces: this.#pieces.length, pieceBytes: this.#pieceBytes, textLength: this.#text.length };
  }

  end(): void {
    this.#mark = undefined;
    this.isWithinAnswer = false;
  }

  /** Takes back what there is of an answer, so that nothing of it was told. False if a part of it has left. */
  takeBack(): boolean {
    if (this.isWithinAnswer) return false;
    if (this.#mark === undefined) return true;
    const { pieces, pieceBytes, textLength } = this.#mark;
    // The text before it may have become the piece behind the last one.
    if (this.#pieces.length > pieces && textLength > 0) {
      this.#text = asciiText(this.#pieces[pieces]!.subarray(0, textLength));
    } else this.#text = this.#text.slice(0, textLength);
    this.#pieces.length = pieces;
    this.#pieceBytes = pieceBytes;
    this.end();
    return true;
  }

  text(text: string): void {
    this.#text += text;
  }

  bytes(bytes: Uint8Array): void {
    if (bytes.length < 1024) {
      this.#text += asciiText(bytes);
      return;
    }
    this.#cut();
    this.#pieces.push(bytes);
    this.#pieceBytes += bytes.length;
  }

  /** True if so much waits that `flush` should be awaited before more is made. */
  get isFull(): boolean {
    return this.#text.length + this.#pieceBytes >= OUTPUT_BYTES_MAX;
  }

  #cut(): void {
    if (this.#text === "") return;
    const piece = Buffer.from(this.#text, "latin1");
    this.#pieces.push(piece);
    this.#pieceBytes += piece.length;
    this.#text = "";
  }

  /** Sends all in one write; waits while the client is slow. Rejects when the connection is gone. */
  async flush(): Promise<void> {
    // A caller that comes while the client is slow waits with the first, and sends then.
    while (this.#draining !== undefined) await this.#draining;
    this.#cut();
    if (this.#pieces.length === 0) return;
    this.#follow(this.#pieces);
    if (this.#mark !== undefined) this.isWithinAnswer = true;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#pieceBytes = 0;
    if (this.#socket.destroyed || this.#broken) throw new OutputBroken();
    if (this.#deflater === undefined && writeAll(this.#socket, pieces)) return;
    const sent = this.#deflater ? this.#sendDeflated(this.#deflater, pieces) : this.#drained(this.#socket);
    this.#draining = sent.finally(() => {
      this.#draining = undefined;
    });
    await this.#draining;
  }

  async #sendDeflated(deflater: Deflater, pieces: readonly Uint8Array[]): Promise<void> {
    const packed = await deflater.pack(pieces).catch(() => undefined);
    if (!packed || this.#socket.destroyed || this.#broken) throw new OutputBroken();
    if (!writeAll(this.#socket, packed)) await this.#drained(this.#socket);
  }

  /** A trace doesn't begin in the middle of an answer: a message's content would be taken for the answer's words. */
  #follow(pieces: readonly Uint8Array[]): void {
    const { isFollowed, tell } = this.#options;
    if (!isFollowed?.()) this.#redactor = undefined;
    else if (!this.isWithinAnswer) this.#redactor ??= new AnswerRedactor((line) => tell?.(line));
    for (const piece of pieces) this.#redactor?.push(piece);
  }

  #drained(socket: Socket): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const cut = (): void => {
        socket.destroy();
      };
      const timer = setTimeout(cut, this.#options.drainMs);
      const done = (): void => {
        socket.off("drain", drained);
        socket.off("close", closed);
        clearTimeout(timer);
        this.#options.backlog.remove(cut);
      };
      const drained = (): void => {
        done();
        resolve();
      };
      const closed = (): void => {
        done();
        this.#broken = true;
        reject(new OutputBroken());
      };
      socket.once("drain", drained);
      socket.once("close", closed);
      this.#options.backlog.add(socket.writableLength, cut);
    });
  }
}

/** Writes pieces in one system call, without joining them first. True if the client keeps up. */
function writeAll(socket: Socket, pieces: readonly Uint8Array[]): boolean {
  socket.cork();
  let keepsUp = true;
  for (const piece of pieces) keepsUp = socket.write(piece);
  socket.uncork();
  return keepsUp;
}

export class OutputBroken extends Error {
  constructor() {
    super("connection is gone");
    this.name = "OutputBroken";
  }
}
