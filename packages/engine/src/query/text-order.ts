import type { Pace } from "./pace.ts";
import { withRoom } from "./row-chains.ts";
import { sortInSteps } from "./sort-in-steps.ts";

/** Reader of the messages' texts. */
export interface TextSource {
  /** True for a message that can be read by all means. */
  isHeld(key: number): boolean;
  readTexts(keys: readonly number[]): Promise<readonly string[]>;
}

/** Messages that are renumbered between two looks whether it is the others' turn. */
const AT_ONCE = 4096;

/**
 * The order of messages by a text, without the texts: of each a rank, equal for equal texts. 4 bytes a message. A few new
 * messages find their places by the texts of some that are there, which are read again for it; many are sorted anew together
 * with all. Adding is one at a time; what is known holds still meanwhile.
 */
export class TextOrder {
  /** By key; 0 for messages that are not known. */
  #ranks: Uint32Array = new Uint32Array(0);
  /** The highest. */
  #highest = 0;

  /** Messages that the order does not have, each once. */
  missing(keys: Iterable<number>): number[] {
    const missing = new Set<number>();
    for (const key of keys) if ((this.#ranks[key] ?? 0) === 0) missing.add(key);
    return [...missing];
  }

  /** Of messages that are known. */
  ranksOf(keys: Uint32Array): Uint32Array {
    return keys.map((key) => this.#ranks[key]!);
  }

  /** Adds messages that are not known, each once. Rejects as the source does, and then nothing is added. */
  async add(keys: readonly number[], texts: readonly string[], source: TextSource, pace: Pace): Promise<void> {
    const known: number[] = [];
    for (const [key, rank] of this.#ranks.entries()) {
      if (rank > 0 && source.isHeld(key)) known.push(key);
      if (key % AT_ONCE === 0 && pace.isOver()) await pace.take();
    }
    const looks = keys.length * (32 - Math.clz32(known.length));
    if (known.length > 0 && looks < known.length) await this.#insert(keys, texts, known, source, pace);
    else await this.#sort([...keys, ...known], [...texts, ...(await source.readTexts(known))], pace);
  }

  async #sort(keys: readonly number[], texts: readonly string[], pace: Pace): Promise<void> {
    const order = await sorted(texts, pace);
    const ranks = roomFor(keys);
    let rank = 0;
    let before: string | undefined;
    for (const [at, index] of order.entries()) {
      const text = texts[index]!;
      if (text !== before) rank++;
      before = text;
      ranks[keys[index]!] = rank;
      if (at % AT_ONCE === 0 && pace.isOver()) await pace.take();
    }
    this.#ranks = ranks;
    this.#highest = rank;
  }

  async #insert(
    keys: readonly number[],
    texts: readonly string[],
    known: readonly number[],
    source: TextSource,
    pace: Pace,
  ): Promise<void> {
    const ladder = new Ladder(known, this.#ranks, this.#highest, source);
    const spots = new Map<string, Spot & { readonly nth: number }>();
    /** By old rank: how many new ones stand before it, each counted where it stands at first. */
    const shifts = new Uint32Array(this.#highest + 2);
    let made = 0;
    for (const index of await sorted(texts, pace)) {
      const text = texts[index]!;
      if (spots.has(text)) continue;
      const spot = await ladder.find(text);
      spots.set(text, { ...spot, nth: made });
      if (!spot.isThere) {
        shifts[spot.rank]!++;
        made++;
      }
      if (pace.isOver()) await pace.take();
    }
    for (let rank = 1; rank < shifts.length; rank++) shifts[rank]! += shifts[rank - 1]!;
    const ranks = roomFor([...known, ...keys]);
    for (const key of known) ranks[key] = this.#ranks[key]! + shifts[this.#ranks[key]!]!;
    // A text that equals an old one stands behind as many new ones as the old one does.
    for (const [at, key] of keys.entries()) {
      const { rank, nth } = spots.get(texts[at]!)!;
      ranks[key] = rank + nth;
    }
    this.#ranks = ranks;
    this.#highest += made;
  }
}

/** Where a text stands: at a rank, or before it. */
interface Spot {
  readonly rank: number;
  readonly isThere: boolean;
}

/** One message of each rank, whose text is read when it is compared. */
class Ladder {
  readonly #source: TextSource;
  readonly #ranks: readonly number[];
  readonly #keys: Uint32Array;
  readonly #highest: number;

  constructor(known: readonly number[], ranks: Uint32Array, highest: number, source: TextSource) {
    this.#source = source;
    this.#highest = highest;
    this.#keys = new Uint32Array(highest + 1);
    const isThere = new Uint8Array(highest + 1);
    for (const key of known) {
      this.#keys[ranks[key]!] = key;
      isThere[ranks[key]!] = 1;
    }
    // Of what went nothing may be left.
    this.#ranks = Array.from(isThere.keys()).filter((rank) => isThere[rank] === 1);
  }

  async find(text: string): Promise<Spot> {
    let low = 0;
    for (let high = this.#ranks.length; low < high; ) {
      const middle = (low + high) >> 1;
      const [found] = await this.#source.readTexts([this.#keys[this.#ranks[middle]!]!]);
      if (found === text) return { rank: this.#ranks[middle]!, isThere: true };
      if (found! < text) low = middle + 1;
      else high = middle;
    }
    return { rank: this.#ranks[low] ?? this.#highest + 1, isThere: false };
  }
}

function sorted(texts: readonly string[], pace: Pace): Promise<Uint32Array> {
  const compare = (a: number, b: number): number => (texts[a]! < texts[b]! ? -1 : texts[a]! > texts[b]! ? 1 : 0);
  return sortInSteps(Uint32Array.from(texts.keys()), compare, pace);
}

/** Zeros, with room for all of these keys. */
function roomFor(keys: readonly number[]): Uint32Array {
  let highest = 0;
  for (const key of keys) highest = Math.max(highest, key);
  return withRoom(new Uint32Array(0), highest);
}
