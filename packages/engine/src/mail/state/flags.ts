import { EngineError } from "../../errors.ts";

/**
 * Flags as the state keeps them: the five system flags of RFC 9051 §2.3.2 as bits of one byte, and the keywords of a
 * message as one number, an interned set. A mailbox of a million messages has a handful of distinct keyword sets.
 */
export const SYSTEM_FLAGS = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"] as const;

export const DELETED = 4;
export const SEEN = 8;
export const DRAFT = 16;

/** Octets of one keyword (RFC 8621 §4.1.1), and flags in one change: beyond these an op's author refuses. */
const KEYWORD_BYTES_MAX = 255;
const FLAGS_MAX = 100;

/** A flag change split into bits and keywords. */
export interface FlagParts {
  readonly bits: number;
  readonly keywords: readonly string[];
}

const BIT_BY_NAME = new Map(SYSTEM_FLAGS.map((name, bit) => [name.toLowerCase(), 1 << bit]));

/** Splits flag names. System flags in any case; names with a backslash that are none of ours are left out. */
export function splitFlags(flags: readonly string[]): FlagParts {
  let bits = 0;
  const keywords: string[] = [];
  for (const flag of flags) {
    const bit = BIT_BY_NAME.get(flag.toLowerCase());
    if (bit !== undefined) bits |= bit;
    else if (!flag.startsWith("\\")) keywords.push(flag);
  }
  return { bits, keywords };
}

/** Throws EngineError `invalid` for flags that an op must not carry. */
export function checkFlags(flags: readonly string[]): void {
  if (flags.length > FLAGS_MAX || flags.some((flag) => flag === "" || flag.length > KEYWORD_BYTES_MAX))
    throw new EngineError("invalid", "too many keywords, or too long ones");
}

/** Interned keyword sets; number 0 is the empty set. A keyword keeps the case in which it was first written for as long as
 * some message carries it: what nobody carries any more may be left out by a checkpoint, so it must decide nothing. */
export class KeywordSets {
  readonly #sets: (readonly string[])[] = [[]];
  readonly #numberByText = new Map<string, number>([["", 0]]);
  /** How many messages carry each set. */
  readonly #carried: number[] = [0];
  /** Of each keyword in use, in lower case: its spelling, and how many of the carried sets have it. */
  readonly #inUse = new Map<string, { readonly spelling: string; sets: number }>();

  /** The set's keywords, sorted. */
  get(number: number): readonly string[] {
    return this.#sets[number]!;
  }

  /** All sets in the order of their numbers, for a checkpoint. */
  get all(): readonly (readonly string[])[] {
    return this.#sets;
  }

  number(keywords: readonly string[]): number {
    if (keywords.length === 0) return 0;
    const spelled = this.#spell(keywords);
    const text = spelled.join(" ");
    const known = this.#numberByText.get(text);
    if (known !== undefined) return known;
    this.#sets.push(spelled);
    this.#carried.push(0);
    this.#numberByText.set(text, this.#sets.length - 1);
    return this.#sets.length - 1;
  }

  /** Messages that carry the set are `by` more. */
  count(number: number, by: 1 | -1): void {
    if (number === 0) return;
    const before = this.#carried[number]!;
    this.#carried[number] = before + by;
    if (before === 0) for (const keyword of this.#sets[number]!) this.#use(keyword);
    if (before + by === 0) for (const keyword of this.#sets[number]!) this.#endUse(keyword.toLowerCase());
  }

  #use(keyword: string): void {
    const known = this.#inUse.get(keyword.toLowerCase());
    if (known) known.sets++;
    else this.#inUse.set(keyword.toLowerCase(), { spelling: keyword, sets: 1 });
  }

  #endUse(folded: string): void {
    const known = this.#inUse.get(folded);
    if (known && --known.sets === 0) this.#inUse.delete(folded);
  }

  /** Each once, in the case that it is known by. */
  #spell(keywords: readonly string[]): string[] {
    const spelled = new Map<string, string>();
    for (const keyword of keywords) {
      const folded = keyword.toLowerCase();
      if (!spelled.has(folded)) spelled.set(folded, this.#inUse.get(folded)?.spelling ?? keyword);
    }
    return [...spelled.values()].sort();
  }
}

/** A test for messages that a change would give other system flags or keywords. Registers no keyword set. */
export function changesFlags({
  mode,
  flags,
}: {
  readonly mode: "add" | "remove" | "replace";
  readonly flags: readonly string[];
}): (bits: number, keywords: readonly string[]) => boolean {
  const { bits: wanted, keywords } = splitFlags(flags);
  const folded = new Set(keywords.map((keyword) => keyword.toLowerCase()));
  return (bits, own) => {
    if (mode === "remove") return (bits & wanted) !== 0 || own.some((keyword) => folded.has(keyword.toLowerCase()));
    const isThere = new Set(own.map((keyword) => keyword.toLowerCase()));
    const isMissing = [...folded].some((keyword) => !isThere.has(keyword));
    if (mode === "add") return (bits & wanted) !== wanted || isMissing;
    return bits !== wanted || isMissing || isThere.size !== folded.size;
  };
}

/** A function that gives a message's system flags after a change, and the number of its keyword set. */
export function createFlagChange(
  sets: KeywordSets,
  { mode, flags }: { readonly mode: "add" | "remove" | "replace"; readonly flags: readonly string[] },
): { bits(of: number): number; keywords(of: number): number } {
  const { bits, keywords } = splitFlags(flags);
  const folded = new Set(keywords.map((keyword) => keyword.toLowerCase()));
  const made = new Map<number, number>();
  const make = (of: number): number => {
    if (mode === "replace") return sets.number(keywords);
    if (mode === "add") return sets.number([...sets.get(of), ...keywords]);
    return sets.number(sets.get(of).filter((keyword) => !folded.has(keyword.toLowerCase())));
  };
  return {
    bits: (of) => (mode === "add" ? of | bits : mode === "remove" ? of & ~bits : bits),
    // Of many messages few have keywords that differ.
    keywords(of) {
      if (keywords.length === 0 && mode !== "replace") return of;
      const known = made.get(of) ?? make(of);
      made.set(of, known);
      return known;
    },
  };
}
