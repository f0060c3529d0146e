import { type CommandReader, ConnectionEnded, type LiteralHead, type Read } from "./wire/command-reader.ts";

/** A literal of a command that is read while the command runs: a message, or a part of one. */
export class Incoming {
  readonly literal: LiteralHead;
  readonly #reader: CommandReader;
  #rest: Promise<Read> | undefined;

  constructor(reader: CommandReader, literal: LiteralHead) {
    this.#reader = reader;
    this.literal = literal;
  }

  /** Its octets; throws ConnectionEnded if the connection ends first. */
  read(): AsyncIterable<Uint8Array> {
    return this.#reader.readLiteral(this.literal);
  }

  /** The command's text behind the literal, up to its next streamed literal. Octets of this literal that were not read are
   * dropped. */
  rest(): Promise<Read> {
    this.#rest ??= this.#reader.resume();
    return this.#rest;
  }

  /** The next one of the command behind it. */
  async next(): Promise<Incoming | undefined> {
    const read = await this.rest();
    return read.kind === "stream" ? new Incoming(this.#reader, read.literal) : undefined;
  }

  /** Drops all that the client sends of the command, which is refused, unless it waits for a continuation that it never gets.
   * Throws ConnectionEnded where that has no end, or is more than is dropped: nothing behind it is known for a command. */
  async drop(): Promise<void> {
    for (let literal: Incoming | undefined = this; literal; literal = await literal.next()) {
      if (this.#reader.awaitsContinuation) return;
      if ((await literal.rest()).kind === "end") throw new ConnectionEnded();
    }
  }

  /** The text behind it, and the literal that this ends with. Throws ConnectionEnded, and what `refused` makes of a literal that
   * is too large. */
  async following(
    refused: () => Error,
  ): Promise<{ readonly read: Exclude<Read, { kind: "end" | "refused" }>; readonly next: Incoming | undefined }> {
    const read = await this.rest();
    if (read.kind === "end") throw new ConnectionEnded();
    if (read.kind === "refused") throw refused();
    return { read, next: await this.next() };
  }
}
