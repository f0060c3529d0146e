import { LINE_BYTES_MAX } from "../limits.ts";

/** Octets of a part: at hand, or a stream of a length that is known before it is read. */
export type Content = Uint8Array | StreamedContent;

export interface StreamedContent {
  /** Octets that `read` gives: no more and no fewer. */
  readonly length: number;
  /** May be called again for each time that the message is read. */
  read(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Facts by {@link look} or {@link OctetLook}: needed for content that can't be encoded. */
  readonly facts?: OctetFacts;
}

/** Facts that decide how octets may travel: RFC 2045 §2.7 to §2.9. */
export interface OctetFacts {
  /** Some are above 127. */
  readonly eightBit: boolean;
  /** Lines end with CRLF, none is longer than RFC 5322 §2.1.1 allows, and no octet is NUL. */
  readonly isLines: boolean;
  /** Octets of the longest line, without its end. */
  readonly longestLine: number;
  /** The most underscores behind `--=` at the beginning of a line. A boundary of more than those can't stand in it. */
  readonly underscores: number;
}

/** Looks octets through, as they come. */
export class OctetLook {
  #eightBit = false;
  #isLines = true;
  #longest = 0;
  #underscores = 0;
  /** Octets of the line so far. */
  #line = 0;
  #afterCr = false;
  /** How far the line is the beginning of a boundary: `--=`, then underscores. -1 where it is none. */
  #mark = 0;

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at++) {
      if (this.#mark < 0 && !this.#afterCr) at = this.#passText(bytes, at);
      if (at === bytes.length) return;
      const byte = bytes[at]!;
      if (byte === LF) {
        if (!this.#afterCr) this.#isLines = false;
        this.#endLine(this.#line - (this.#afterCr ? 1 : 0));
        continue;
      }
      if (this.#afterCr || byte === 0) this.#isLines = false;
      this.#afterCr = byte === CR;
      if (byte > 127) this.#eightBit = true;
      if (this.#mark >= 0) this.#lookAtMark(byte);
      this.#line++;
    }
  }

  facts(): OctetFacts {
    const longestLine = Math.max(this.#longest, this.#line);
    const isLines = this.#isLines && !this.#afterCr && longestLine <= LINE_BYTES_MAX;
    return { eightBit: this.#eightBit, isLines, longestLine, underscores: this.#underscores };
  }

  /** Passes over what is neither a line's end nor NUL. Returns where that stands. */
  #passText(bytes: Uint8Array, from: number): number {
    let at = from;
    let bits = 0;
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte <= CR) break;
      bits |= byte;
    }
    if (bits > 127) this.#eightBit = true;
    this.#line += at - from;
    return at;
  }

  #lookAtMark(byte: number): void {
    if (this.#mark < MARK.length) this.#mark = byte === MARK[this.#mark] ? this.#mark + 1 : -1;
    else if (byte === UNDERSCORE) this.#mark++;
    else this.#mark = -1;
    this.#underscores = Math.max(this.#underscores, this.#mark - MARK.length);
  }

  #endLine(length: number): void {
    this.#longest = Math.max(this.#longest, length);
    this.#line = 0;
    this.#afterCr = false;
    this.#mark = 0;
  }
}

const CR = 0x0d;
const LF = 0x0a;
const UNDERSCORE = 0x5f;
/** `--=` */
const MARK = [0x2d, 0x2d, 0x3d] as const;

/** Looks a content through. Rejects with what its stream rejects with. */
export async function look(content: Content): Promise<OctetFacts> {
  const octets = new OctetLook();
  if (content instanceof Uint8Array) octets.push(content);
  else for await (const piece of content.read()) octets.push(piece);
  return octets.facts();
}

/** The facts of what is at hand, or what was told of a stream. */
export function factsOf(content: Content): OctetFacts | undefined {
  if (!(content instanceof Uint8Array)) return content.facts;
  const octets = new OctetLook();
  octets.push(content);
  return octets.facts();
}
