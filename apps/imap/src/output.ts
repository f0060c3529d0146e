import type { Socket } from "node:net";
import { asciiText } from "./ascii.ts";
import { OUTPUT_BYTES_MAX } from "./limits.ts";

/**
 * What is to be sent. Text (one character a byte) and bytes are collected and leave in one write when the answer is
 * complete or large; a client that doesn't read holds back the command that writes, and nothing else.
 */
export class Output {
  #socket: Socket;
  #text = "";
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #broken = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** After STARTTLS the same answers go through the secured socket. */
  moveTo(socket: Socket): void {
    this.#socket = socket;
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

  /** Whether so much waits that `flush` should be awaited before more is made. */
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
    this.#cut();
    if (this.#pieces.length === 0) return;
    const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#pieceBytes = 0;
    const socket = this.#socket;
    if (socket.destroyed || this.#broken) throw new OutputBroken();
    if (socket.write(bytes)) return;
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        socket.off("drain", drained);
        socket.off("close", closed);
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
    });
  }
}

export class OutputBroken extends Error {
  constructor() {
    super("connection is gone");
    this.name = "OutputBroken";
  }
}
