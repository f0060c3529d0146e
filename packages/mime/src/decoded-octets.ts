import { createTransferDecoder, isBase64Character, QuotedPrintableDecoder } from "./transfer.ts";

/** Octets that content comes to, counted as it streams. A copy goes on by itself. */
interface Fold {
  push(bytes: Uint8Array): void;
  /** If the content ended here. */
  octets(): number;
  copy(): Fold;
}

interface Mark {
  /** Octets from the start of the message. */
  readonly at: number;
  readonly fold: Fold;
}

/**
 * Counts the octets that a leaf's body comes to once its transfer encoding is undone, as the message streams by: exactly
 * those that `createTransferDecoder` makes of it, damaged or not, in one pass and a bounded memory.
 *
 * Where a body ends is known late: the line end before a delimiter is not its own, and the beginning of the delimiter's
 * line may have come in an earlier piece. So the places where it may yet have ended are marked.
 */
export class DecodedOctets {
  readonly #start: number;
  #fold: Fold;
  #at: number;
  #marks: readonly Mark[];
  #endsInCr = false;

  /** Undefined where the encoding leaves octets as they are. `start`: where the body starts, from that of the message. */
  static of(encoding: string, start: number): DecodedOctets | undefined {
    const decoder = createTransferDecoder(encoding);
    if (decoder instanceof QuotedPrintableDecoder) return new DecodedOctets(new QuotedPrintableFold(decoder), start);
    return encoding.trim().toLowerCase() === "base64" ? new DecodedOctets(new Base64Fold(), start) : undefined;
  }

  private constructor(fold: Fold, start: number) {
    this.#start = start;
    this.#fold = fold;
    this.#at = start;
    this.#marks = [{ at: start, fold: fold.copy() }];
  }

  /** A piece of the message, whose first octet is the message's octet `base`, is over. The body ends at `mayEnd` if the line
   * that is being read turns out to be a delimiter. */
  push(piece: Uint8Array, base: number, mayEnd: number): void {
    const end = base + piece.length;
    const places = [Math.max(mayEnd, this.#start)];
    // The line end may be these CRs and an LF to come.
    if (piece.at(-1) === CR) {
      if (piece.length > 1 ? piece.at(-2) === CR : this.#endsInCr) places.push(end - 2);
      places.push(end - 1);
    }
    const marks: Mark[] = [];
    for (const at of new Set(places)) {
      const known = this.#marks.find((mark) => mark.at === at);
      if (known) marks.push(known);
      else if (at >= this.#at) marks.push(this.#markAt(piece, base, at));
    }
    this.#feed(piece, base, end);
    this.#marks = marks;
    this.#endsInCr = piece.at(-1) === CR;
  }

  /** Octets of the content that ends at the message's octet `end`, which is one that may be its end. */
  octetsTo(piece: Uint8Array, base: number, end: number): number {
    if (end >= this.#at) return this.#markAt(piece, base, end).fold.octets();
    const mark = this.#marks.find(({ at }) => at === end);
    if (!mark) throw new Error("a body ended where it could not");
    return mark.fold.octets();
  }

  #markAt(piece: Uint8Array, base: number, at: number): Mark {
    this.#feed(piece, base, at);
    return { at, fold: this.#fold.copy() };
  }

  #feed(piece: Uint8Array, base: number, to: number): void {
    if (to <= this.#at) return;
    this.#fold.push(piece.subarray(this.#at - base, to - base));
    this.#at = to;
  }
}

const CR = 0x0d;
/** Weight of an octet in a run. That of `=`, which ends a run, is more than eight others have together. */
const PADDING = 9;
const WEIGHTS: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte === 0x3d ? PADDING : isBase64Character(byte) ? 1 : 0,
);

/** Of four characters of a run without `=` three octets are made; what else there is in it counts for nothing. */
class Base64Fold implements Fold {
  #done = 0;
  #run = 0;

  /** Eight at once: one by one takes seven times as long. */
  push(bytes: Uint8Array): void {
    let run = 0;
    let at = 0;
    for (; at + 8 <= bytes.length; at += 8) {
      const weight =
        WEIGHTS[bytes[at]!]! +
        WEIGHTS[bytes[at + 1]!]! +
        WEIGHTS[bytes[at + 2]!]! +
        WEIGHTS[bytes[at + 3]!]! +
        WEIGHTS[bytes[at + 4]!]! +
        WEIGHTS[bytes[at + 5]!]! +
        WEIGHTS[bytes[at + 6]!]! +
        WEIGHTS[bytes[at + 7]!]!;
      if (weight < PADDING) run += weight;
      else {
        this.#run += run;
        run = 0;
        this.#pushEach(bytes, at, at + 8);
      }
    }
    this.#run += run;
    this.#pushEach(bytes, at, bytes.length);
  }

  #pushEach(bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to; at++) {
      const weight = WEIGHTS[bytes[at]!]!;
      if (weight < PADDING) this.#run += weight;
      else {
        this.#done = this.octets();
        this.#run = 0;
      }
    }
  }

  octets(): number {
    return this.#done + octetsOf(this.#run);
  }

  copy(): Base64Fold {
    const copy = new Base64Fold();
    copy.#done = this.#done;
    copy.#run = this.#run;
    return copy;
  }
}

function octetsOf(characters: number): number {
  return Math.floor((characters * 3) / 4);
}

/** Octets that are decoded at once, to be counted. */
const DECODED_AT_ONCE: number = 64 * 1024;

class QuotedPrintableFold implements Fold {
  readonly #decoder: QuotedPrintableDecoder;
  #octets = 0;

  constructor(decoder: QuotedPrintableDecoder) {
    this.#decoder = decoder;
  }

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += DECODED_AT_ONCE)
      this.#octets += this.#decoder.push(bytes.subarray(at, at + DECODED_AT_ONCE)).length;
  }

  octets(): number {
    return this.#octets + this.#decoder.copy().end().length;
  }

  copy(): QuotedPrintableFold {
    const copy = new QuotedPrintableFold(this.#decoder.copy());
    copy.#octets = this.#octets;
    return copy;
  }
}
