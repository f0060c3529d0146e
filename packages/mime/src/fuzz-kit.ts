/**
 * Damaged inputs for parsers, the same for the same seed. Two ways: mutation, which damages a good input, and grammar,
 * which strings tokens of the language together, so that the deep parts of a parser are reached too.
 */
export interface FuzzOptions {
  readonly seed: number;
  readonly runs: number;
  /** Good inputs. */
  readonly samples: readonly Uint8Array[];
  /** Words that the language is made of. */
  readonly tokens: readonly Uint8Array[];
  /** Octets of one input at most. */
  readonly bytesMax: number;
}

/** Changes made to one input at most, and tokens of one that is strung together. */
const CHANGES_MAX = 6;
const TOKENS_MAX = 60;
/** One in so many inputs is a string of tokens. */
const GRAMMAR_SHARE = 3;
/** Numbers at which readers of lengths go wrong. */
const ODD_BYTES: readonly number[] = [0, 1, 0x0a, 0x0d, 0x1b, 0x20, 0x7f, 0x80, 0x9b, 0xbb, 0xfb, 0xfe, 0xff];

export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }
  /** From 0 up to, not including, `below`. */
  next(below: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % below;
  }
  pick<T>(items: readonly T[]): T {
    return items[this.next(items.length)]!;
  }
}

/** Gives `check` one input after the other; throws what it throws, with the input that did it. */
export async function fuzz(
  options: FuzzOptions,
  check: (input: Uint8Array, random: Random) => void | Promise<void>,
): Promise<void> {
  const random = new Random(options.seed);
  for (let run = 0; run < options.runs; run++) {
    const isStrung = options.tokens.length > 0 && random.next(GRAMMAR_SHARE) === 0;
    const input = isStrung ? strung(random, options) : mutated(random, options);
    try {
      await check(input, random);
    } catch (cause) {
      throw new Error(`seed=${options.seed} run=${run} input=${hex(input)}`, { cause });
    }
  }
}

/** Some tokens, one after the other; now and then one many times. */
function strung(random: Random, { tokens, bytesMax }: FuzzOptions): Uint8Array {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (let count = random.next(TOKENS_MAX); count > 0; count--) {
    const token = random.pick(tokens);
    for (let times = random.next(20) === 0 ? random.next(200) : 1; times > 0; times--) {
      if (size + token.length > bytesMax) return joined(pieces);
      pieces.push(token);
      size += token.length;
    }
  }
  return joined(pieces);
}

function mutated(random: Random, { samples, tokens, bytesMax }: FuzzOptions): Uint8Array {
  let bytes: Uint8Array = random.pick(samples).slice();
  for (let count = random.next(CHANGES_MAX); count > 0; count--) bytes = changed(random, bytes, samples, tokens);
  return bytes.length <= bytesMax ? bytes : bytes.subarray(0, bytesMax);
}

function changed(
  random: Random,
  bytes: Uint8Array,
  samples: readonly Uint8Array[],
  tokens: readonly Uint8Array[],
): Uint8Array {
  const at = random.next(bytes.length + 1);
  const end = Math.min(bytes.length, at + random.next(32));
  switch (random.next(8)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return joined([bytes.subarray(0, at), bytes.subarray(end)]);
    case 2:
      return joined([bytes.subarray(0, end), bytes.subarray(at)]);
    case 3: {
      const other = random.pick(samples);
      return joined([bytes.subarray(0, at), other.subarray(random.next(other.length + 1))]);
    }
    case 4:
      if (tokens.length > 0) return joined([bytes.subarray(0, at), random.pick(tokens), bytes.subarray(at)]);
      return joined([bytes.subarray(0, at), Uint8Array.of(random.pick(ODD_BYTES)), bytes.subarray(at)]);
    case 5:
      return bytes.map((byte, place) => (place === at ? random.pick(ODD_BYTES) : byte));
    case 6:
      return bytes.map((byte, place) => (place === at ? byte ^ (1 << random.next(8)) : byte));
    default:
      return bytes.map((byte, place) => (place === at ? random.next(256) : byte));
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
