import { DROPPED_LITERAL_BYTES_MAX } from "../limits.ts";

/**
 * Bytes of a connection into commands: lines and the literals within them (RFC 9051 §4.3, RFC 7888). It knows where a
 * command ends and nothing of what it says. Memory is bounded by `limits.ts`, whatever a client sends.
 */
export interface CommandText {
  /** Lines without their line ends, and between each two the literal that the earlier line announced. */
  readonly lines: readonly Uint8Array[];
  readonly literals: readonly Uint8Array[];
}

export interface LiteralHead {
  /** Octets that follow. */
  readonly size: number;
  /** The client waits for a continuation. */
  readonly synchronizing: boolean;
  /** `~{n}`: may hold NUL, RFC 3516 §4.4. */
  readonly binary: boolean;
}

/** Treatment of a literal: keep it in memory, hand it to the command as a stream, or refuse the command. */
export type LiteralVerdict = "keep" | "stream" | "refuse";

export type Read =
  | { readonly kind: "command"; readonly text: CommandText }
  /** The command's next literal is to be streamed: `readLiteral`, then `resume`. */
  | { readonly kind: "stream"; readonly text: CommandText; readonly literal: LiteralHead }
  /** The command is dropped whole; `text` is what was read of it: of a line that is too long, its beginning. */
  | { readonly kind: "refused"; readonly text: CommandText; readonly reason: "too-long" | "literal" }
  | { readonly kind: "end" };

/** Octets of one command that are kept in memory: of its lines together, of its literals together. */
export interface CommandLimits {
  readonly lineBytesMax: number;
  readonly literalsBytesMax: number;
}

export interface ReaderOptions {
  /** Asked at the beginning of each command. */
  readonly limits: () => CommandLimits;
  /** Asked before a literal is read. */
  readonly judgeLiteral: (text: CommandText, literal: LiteralHead) => LiteralVerdict;
  /** Tells the client to go on. */
  readonly sendContinuation: () => void;
}

export class CommandReader {
  readonly #input: InputBuffer;
  readonly #options: ReaderOptions;
  #pending: LiteralHead | undefined;

  constructor(input: InputBuffer, options: ReaderOptions) {
    this.#input = input;
    this.#options = options;
  }

  /** A literal was announced whose continuation was never sent: the client will not send it. */
  get awaitsContinuation(): boolean {
    return this.#pending?.synchronizing === true;
  }

  /** The next command; empty lines before it are passed over. */
  async read(): Promise<Read> {
    return this.#readFrom(false);
  }

  /** The streamed literal's bytes; ends early only if the connection does, then throws. */
  async *readLiteral(literal: LiteralHead): AsyncGenerator<Uint8Array> {
    if (literal.synchronizing) this.#options.sendContinuation();
    this.#pending = { ...literal, synchronizing: false };
    for (let left = literal.size; left > 0; ) {
      const bytes = this.#input.takeUpTo(left);
      if (bytes) {
        left -= bytes.length;
        this.#pending = left > 0 ? { ...literal, size: left, synchronizing: false } : undefined;
        yield bytes;
      } else if (!(await this.#input.more())) throw new ConnectionEnded();
    }
    this.#pending = undefined;
  }

  /** The command's text behind a streamed literal: up to the next literal, or to the end. Octets of the last literal that
   * were not read are dropped. */
  async resume(): Promise<Read> {
    const left = this.#pending;
    this.#pending = undefined;
    if (left && !left.synchronizing && !(await this.#drop(left.size))) return { kind: "end" };
    return this.#readFrom(true);
  }

  /** A line as it is, without its line end: a SASL response, DONE. Undefined at the end or if it is too long. */
  async readLine(): Promise<Uint8Array | undefined> {
    for (;;) {
      const line = this.#input.takeLine();
      if (line) return line;
      if (this.#input.length > this.#options.limits().lineBytesMax || !(await this.#input.more())) return undefined;
    }
  }

  /** `within`: behind a literal, where an empty line is the command's end. */
  async #readFrom(within: boolean): Promise<Read> {
    const lines: Uint8Array[] = [];
    const literals: Uint8Array[] = [];
    let lineBytes = 0;
    let literalBytes = 0;
    const { lineBytesMax, literalsBytesMax } = this.#options.limits();
    for (;;) {
      const line = await this.#line(lineBytesMax - lineBytes);
      if (line === "end") return { kind: "end" };
      if ("beginning" in line)
        return this.#refuse({ lines: lines.length > 0 ? lines : [line.beginning], literals }, line.literal, "too-long");
      if (lines.length === 0 && !within && line.length === 0) continue;
      lines.push(line);
      lineBytes += line.length;
      const literal = literalAtEnd(line);
      const text = { lines, literals };
      if (!literal) return { kind: "command", text };
      this.#pending = literal;
      const verdict = this.#options.judgeLiteral(text, literal);
      if (verdict === "stream") return { kind: "stream", text, literal };
      literalBytes += literal.size;
      if (verdict === "refuse" || literalBytes > literalsBytesMax) return this.#refuse(text, literal, "literal");
      if (literal.synchronizing) this.#options.sendContinuation();
      const bytes = await this.#bytes(literal.size);
      if (!bytes) return { kind: "end" };
      this.#pending = undefined;
      literals.push(bytes);
    }
  }

  /** A client that waits for the continuation sends nothing more; one that does not has the literal on its way. */
  async #refuse(
    text: CommandText,
    literal: LiteralHead | undefined,
    reason: (Read & { readonly kind: "refused" })["reason"],
  ): Promise<Read> {
    let next = literal;
    while (next && !next.synchronizing) {
      if (!(await this.#drop(next.size))) return { kind: "end" };
      const line = await this.#line(this.#options.limits().lineBytesMax);
      if (line === "end") return { kind: "end" };
      next = "beginning" in line ? line.literal : literalAtEnd(line);
    }
    this.#pending = undefined;
    return { kind: "refused", text, reason };
  }

  async #line(bytesMax: number): Promise<Uint8Array | TooLong | "end"> {
    for (;;) {
      const line = this.#input.takeLine();
      if (line) return line.length <= bytesMax ? line : new TooLong(line, line);
      if (this.#input.length > bytesMax) return this.#dropLine();
      if (!(await this.#input.more())) return "end";
    }
  }

  async #dropLine(): Promise<TooLong | "end"> {
    const beginning = this.#input.peek(BEGINNING_BYTES);
    for (let size = 0; ; ) {
      const end = this.#input.takeLine();
      if (end) return new TooLong(beginning, end);
      const dropped = Math.max(0, this.#input.length - LITERAL_HEAD_BYTES_MAX);
      size += dropped;
      if (size > DROPPED_LITERAL_BYTES_MAX) return "end";
      for (let left = dropped; left > 0; ) left -= this.#input.takeUpTo(left)!.length;
      if (!(await this.#input.more())) return "end";
    }
  }

  async #bytes(size: number): Promise<Uint8Array | undefined> {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; ) {
      const piece = this.#input.takeUpTo(size - at);
      if (piece) {
        bytes.set(piece, at);
        at += piece.length;
      } else if (!(await this.#input.more())) return undefined;
    }
    return bytes;
  }

  async #drop(size: number): Promise<boolean> {
    if (size > DROPPED_LITERAL_BYTES_MAX) return false;
    for (let left = size; left > 0; ) {
      const piece = this.#input.takeUpTo(left);
      if (piece) left -= piece.length;
      else if (!(await this.#input.more())) return false;
    }
    return true;
  }
}

/** Octets of a line that is too long which are looked at for its tag. */
const BEGINNING_BYTES = 256;
/** `~{n+}` and the line's end. */
const LITERAL_HEAD_BYTES_MAX = 32;

class TooLong {
  readonly beginning: Uint8Array;
  /** The literal that it announces: a client that does not wait sends that too. */
  readonly literal: LiteralHead | undefined;
  constructor(line: Uint8Array, end: Uint8Array) {
    // A copy, so that no line is kept for it; of whole words, so that no tag is cut.
    const beginning = line.slice(0, BEGINNING_BYTES);
    this.beginning = beginning.subarray(0, beginning.lastIndexOf(0x20) + 1);
    this.literal = literalAtEnd(end);
  }
}

export class ConnectionEnded extends Error {
  constructor() {
    super("connection ended");
    this.name = "ConnectionEnded";
  }
}

/** The literal that a line announces with its last characters: RFC 9051 §9, `literal`. */
export function literalAtEnd(line: Uint8Array): LiteralHead | undefined {
  if (line.at(-1) !== 0x7d) return undefined;
  let at = line.length - 2;
  const synchronizing = line[at] !== 0x2b;
  if (!synchronizing) at--;
  let size = 0;
  let scale = 1;
  const end = at;
  for (; at >= 0 && end - at < 15; at--) {
    const digit = line[at]! - 0x30;
    if (digit < 0 || digit > 9) break;
    size += digit * scale;
    scale *= 10;
  }
  if (at === end || line[at] !== 0x7b) return undefined;
  return { size, synchronizing, binary: line[at - 1] === 0x7e };
}

const BLOCK_BYTES = 4_096;
const NO_BLOCK = new Uint8Array(0);

/** Bytes that came from the socket and were not asked for yet. */
export class InputBuffer {
  #chunks: Uint8Array[] = [];
  #block = NO_BLOCK;
  #length = 0;
  /** Chunks, and their bytes, that are known to hold no line end. */
  #scannedChunks = 0;
  #scannedBytes = 0;
  #ended = false;
  #wake: (() => void) | undefined;
  /** When the newest of them came, by `performance.now()`. */
  arrivedAt = 0;
  /** Called when what waits has been taken: the socket may go on. */
  onDrained: () => void = () => undefined;

  get length(): number {
    return this.#length;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (chunk.length < BLOCK_BYTES / 2) this.#pushSmall(chunk);
    else this.#chunks.push(chunk);
    this.#length += chunk.length;
    this.arrivedAt = performance.now();
    this.#notify();
  }

  /** Small pieces lie together in one block: a client that sends octet by octet costs no more than another. */
  #pushSmall(chunk: Uint8Array): void {
    const last = this.#chunks.at(-1);
    // One alone, as nearly all are, stays as it came: who waits for the next one holds no block.
    if (last === undefined) {
      this.#chunks.push(chunk);
      this.#block = NO_BLOCK;
      return;
    }
    const used = last.buffer === this.#block.buffer ? last.byteOffset + last.length : BLOCK_BYTES;
    if (used + chunk.length > BLOCK_BYTES) {
      // Octets that were handed out may still be in use, so the old block is not overwritten.
      this.#block = new Uint8Array(BLOCK_BYTES);
      this.#block.set(chunk);
      this.#chunks.push(this.#block.subarray(0, chunk.length));
      return;
    }
    if (this.#scannedChunks === this.#chunks.length) {
      this.#scannedChunks--;
      this.#scannedBytes -= last.length;
    }
    this.#block.set(chunk, used);
    this.#chunks[this.#chunks.length - 1] = this.#block.subarray(last.byteOffset, used + chunk.length);
  }

  clear(): void {
    this.#chunks = [];
    this.#length = 0;
    this.#scannedChunks = 0;
    this.#scannedBytes = 0;
  }

  end(): void {
    this.#ended = true;
    this.#notify();
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Waits for bytes beyond those here now. False when there will be none. */
  async more(): Promise<boolean> {
    if (this.#ended) return false;
    const before = this.#length;
    this.onDrained();
    if (this.#length === before && !this.#ended)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.#length > before;
  }

  /** The next octets, at most `bytesMax`, without taking them. */
  peek(bytesMax: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(bytesMax, this.#length));
    let at = 0;
    for (const chunk of this.#chunks) {
      const piece = chunk.subarray(0, bytes.length - at);
      bytes.set(piece, at);
      at += piece.length;
      if (at === bytes.length) break;
    }
    return bytes;
  }

  /** The next line without its CRLF (a bare LF ends one too), or undefined if none is whole. */
  takeLine(): Uint8Array | undefined {
    for (; this.#scannedChunks < this.#chunks.length; this.#scannedChunks++) {
      const chunk = this.#chunks[this.#scannedChunks]!;
      const at = chunk.indexOf(0x0a);
      if (at >= 0) {
        const line = this.#take(this.#scannedBytes + at + 1);
        const end = line.length >= 2 && line[line.length - 2] === 0x0d ? 2 : 1;
        return line.subarray(0, line.length - end);
      }
      this.#scannedBytes += chunk.length;
    }
    return undefined;
  }

  /** The next bytes, at least one and at most `max`, or undefined if there are none. */
  takeUpTo(max: number): Uint8Array | undefined {
    const first = this.#chunks[0];
    if (!first || max <= 0) return undefined;
    return this.#take(Math.min(first.length, max));
  }

  #take(size: number): Uint8Array {
    this.#length -= size;
    this.#scannedChunks = 0;
    this.#scannedBytes = 0;
    const first = this.#chunks[0]!;
    if (first.length > size) {
      this.#chunks[0] = first.subarray(size);
      return first.subarray(0, size);
    }
    if (first.length === size) return this.#chunks.shift()!;
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; ) {
      const chunk = this.#chunks[0]!;
      const piece = chunk.subarray(0, size - at);
      bytes.set(piece, at);
      at += piece.length;
      if (piece.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(piece.length);
    }
    return bytes;
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
