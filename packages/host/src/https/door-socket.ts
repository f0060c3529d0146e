import type { WebSocket } from "ws";
import type { Deadline, Deadlines } from "./deadlines.ts";
import { CHUNK_BYTES, IDLE_MS, SOCKET_MESSAGES_AT_ONCE_MAX, SOCKET_PING_MS, UNREAD_BYTES_MAX } from "./limits.ts";

/** Close codes: RFC 6455 §7.4.1. */
const GOING_AWAY = 1001;
const NOT_TEXT = 1003;
const POLICY = 1008;
const TOO_LARGE = 1009;
const FAILED = 1011;

/** An open WebSocket: texts both ways. One that no longer answers, or does not read what it is sent, is dropped. */
export class DoorSocket {
  readonly #socket: WebSocket;
  readonly #onEnd = new Set<() => void>();
  readonly #deadline: Deadline;
  #unread = 0;
  /** Resolves when all before has been handed on: pieces of two messages never mix. */
  #sent: Promise<void> = Promise.resolve();

  constructor(socket: WebSocket, deadlines: Deadlines) {
    this.#socket = socket;
    this.#deadline = deadlines.begin(() => socket.terminate());
    const answer = deadlines.begin(() => socket.terminate());
    const question = deadlines.begin(() => {
      if (!this.isOpen) return;
      socket.ping();
      answer.expect(SOCKET_PING_MS);
    });
    question.expect(SOCKET_PING_MS);
    socket.on("pong", () => {
      answer.expect();
      question.expect(SOCKET_PING_MS);
    });
    socket.once("close", () => {
      question.end();
      answer.end();
      this.#deadline.end();
      for (const listener of this.#onEnd) listener();
      this.#onEnd.clear();
    });
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** `work` gets each message; at most {@link SOCKET_MESSAGES_AT_ONCE_MAX} run at once, and others wait unread. An error that
   * it throws ends the connection and is told to `onFailure`. */
  onText(bytesMax: number, work: (text: string) => Promise<void>, onFailure: (error: unknown) => void): void {
    let running = 0;
    /** Messages of the same read as the one at which the socket was paused. */
    const waiting: Buffer[] = [];
    const run = async (data: Buffer): Promise<void> => {
      running++;
      try {
        await work(data.toString());
      } catch (error) {
        onFailure(error);
        this.#socket.close(FAILED);
      } finally {
        running--;
        goOn();
      }
    };
    const goOn = (): void => {
      while (this.isOpen && running < SOCKET_MESSAGES_AT_ONCE_MAX && waiting.length > 0) void run(waiting.shift()!);
      if (running < SOCKET_MESSAGES_AT_ONCE_MAX) this.#socket.resume();
      else this.#socket.pause();
    };
    this.#socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (isBinary) this.#socket.close(NOT_TEXT);
      else if (data.length > bytesMax) this.#socket.close(TOO_LARGE);
      else {
        waiting.push(data);
        goOn();
      }
    });
  }

  /** An answer: resolves when it was handed on, or the connection is gone. A fast writer that waits for that is held back. */
  send(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    this.#unread += bytes.length;
    const sent = this.#sent.then(() => this.#write(bytes));
    this.#sent = sent;
    return sent;
  }

  /** Sends a text that the client did not ask for. A client that leaves too much of them unread is dropped. */
  tell(text: string): void {
    void this.send(text);
    if (this.#unread > UNREAD_BYTES_MAX) this.#socket.terminate();
  }

  /** In pieces, so that a slow reader is told from one who has stopped. */
  async #write(bytes: Buffer): Promise<void> {
    let at = 0;
    do {
      const piece = bytes.subarray(at, at + CHUNK_BYTES);
      at += CHUNK_BYTES;
      this.#deadline.expect(IDLE_MS);
      await new Promise<void>((resolve) => {
        this.#socket.send(piece, { binary: false, fin: at >= bytes.length }, () => resolve());
      });
      this.#deadline.expect();
    } while (at < bytes.length && this.isOpen);
    this.#unread -= bytes.length;
  }

  /** Called once, when it has ended, whoever ended it; at once if it has. */
  onEnd(listener: () => void): void {
    if (this.#socket.readyState === this.#socket.CLOSED) listener();
    else this.#onEnd.add(listener);
  }

  /** The server stops. */
  goAway(): void {
    this.#socket.close(GOING_AWAY);
  }

  /** Its owner may no longer use it. */
  refuse(reason: string): void {
    this.#socket.close(POLICY, reason);
  }
}
