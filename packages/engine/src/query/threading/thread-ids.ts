import { FACT_BYTES, FIRST_REFERENCE, type IdsPage, type ThreadFacts } from "../../mail/contents/thread-facts.ts";
import { RowIndex } from "../../mail/state/row-index.ts";
import { withRoom } from "../row-chains.ts";

/** References of all messages beyond which only the nearest of each is known: what a mailbox of strangers' headers may take. */
const REFERENCES_KEPT_MAX = 4_000_000;

/**
 * Facts by which messages are threaded: their ids, those that they refer to, and their base subjects, as numbers that are
 * equal for equal hashes. 16 bytes a message, 4 a reference, 16 a hash.
 */
export class ThreadIds {
  readonly #referencesMax: number;
  /** By a hash's number, from 1: two words each. */
  #hashes: Uint32Array = new Uint32Array(64);
  #texts = 0;
  readonly #byHash = new RowIndex((text) => this.#hashes[text * 2]!);
  /** By message: where what is known of it begins; 0 if nothing is. */
  #starts: Uint32Array = new Uint32Array(64);
  /** Of each message: twice the number of references, and 1 if it is a reply or forward; its own id, its base subject, the
   * references. */
  #facts: Uint32Array = new Uint32Array(64);
  #end = 1;
  #references = 0;

  constructor(referencesMax: number = REFERENCES_KEPT_MAX) {
    this.#referencesMax = referencesMax;
  }

  /** Numbers of texts go from 1 to this one. */
  get texts(): number {
    return this.#texts;
  }

  has(message: number): boolean {
    return (this.#starts[message] ?? 0) > 0;
  }

  add(message: number, { hashes, isReplyOrForward }: ThreadFacts): void {
    const words = wordsOf(hashes);
    const count = hashes.length / FACT_BYTES - FIRST_REFERENCE;
    this.#add(message, count, isReplyOrForward, (nth) => this.#numberOf(words[nth * 2]!, words[nth * 2 + 1]!));
  }

  /** Adds messages of a page, those that it knows. */
  adder({ hashes, starts, numbers }: IdsPage): (message: number, at: number) => void {
    const words = wordsOf(hashes);
    const known = new Uint32Array(words.length / 2 + 1);
    const numberOf = (place: number): number => {
      if (place > 0 && known[place] === 0) known[place] = this.#numberOf(words[place * 2 - 2]!, words[place * 2 - 1]!);
      return known[place]!;
    };
    return (message, at) => {
      const start = starts[at] ?? 0;
      if (start === 0) return;
      const head = numbers[start]!;
      this.#add(message, head >> 1, (head & 1) === 1, (nth) => numberOf(numbers[start + 1 + nth]!));
    };
  }

  #add(message: number, count: number, isReplyOrForward: boolean, numberAt: (nth: number) => number): void {
    const kept = this.#references < this.#referencesMax ? count : Math.min(count, 1);
    this.#facts = withRoom(this.#facts, this.#end + FIRST_REFERENCE + kept);
    this.#starts = withRoom(this.#starts, message);
    this.#starts[message] = this.#end;
    this.#facts[this.#end++] = kept * 2 + (isReplyOrForward ? 1 : 0);
    for (let nth = 0; nth < FIRST_REFERENCE; nth++) this.#facts[this.#end++] = numberAt(nth);
    for (let nth = count - kept; nth < count; nth++) this.#facts[this.#end++] = numberAt(FIRST_REFERENCE + nth);
    this.#references += kept;
  }

  /** The number of its own id; 0 if it has none. */
  ownOf(message: number): number {
    return this.#facts[this.#starts[message]! + 1]!;
  }

  /** The number of its base subject (RFC 5256 §2.1), in any case; 0 if it is empty. */
  subjectOf(message: number): number {
    return this.#facts[this.#starts[message]! + 2]!;
  }

  isReplyOrForward(message: number): boolean {
    return (this.#facts[this.#starts[message]!]! & 1) === 1;
  }

  /** The numbers of the ids that it refers to, oldest first. */
  referencesOf(message: number): Uint32Array {
    const start = this.#starts[message]!;
    return this.#facts.subarray(start + 3, start + 3 + (this.#facts[start]! >> 1));
  }

  /** 0 for zeros: there is none. */
  #numberOf(high: number, low: number): number {
    if (high === 0 && low === 0) return 0;
    const known = this.#byHash.find(high, (one) => this.#hashes[one * 2] === high && this.#hashes[one * 2 + 1] === low);
    if (known !== undefined) return known;
    const number = ++this.#texts;
    this.#hashes = withRoom(this.#hashes, number * 2 + 1);
    this.#hashes[number * 2] = high;
    this.#hashes[number * 2 + 1] = low;
    this.#byHash.add(number);
    return number;
  }
}

/** Hashes as words, two each. */
function wordsOf(hashes: Uint8Array): Uint32Array {
  return new Uint32Array(hashes.slice().buffer);
}
