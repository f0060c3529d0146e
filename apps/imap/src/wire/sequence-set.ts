import { ImapSyntaxError } from "./parser.ts";

/** Ranges of one set at most: a client that names every other message of a large mailbox. */
export const SET_RANGES_MAX = 100_000;

/** `sequence-set`, RFC 9051 §9: ranges of numbers, "*" is the largest in use. */
export interface SequenceSet {
  readonly ranges: readonly SetRange[];
  /** `$`: what the last search that was told to has saved: RFC 5182 §2.1. */
  readonly isSaved?: true;
}
/** Either end may be "*": `STAR`. `first` may be above `last`: RFC 9051 §9 lets either order stand. */
export interface SetRange<N extends number = number> {
  readonly first: N;
  readonly last: N;
}
export const STAR: number = Number.POSITIVE_INFINITY;

export function parseSequenceSet(text: string): SequenceSet {
  if (text === "$") return { ranges: [], isSaved: true };
  const parts = text.split(",");
  if (parts.length > SET_RANGES_MAX) throw new ImapSyntaxError("Message set too long");
  const ranges = parts.map((part) => {
    const colon = part.indexOf(":");
    if (colon < 0) {
      const number = parseNumber(part);
      return { first: number, last: number };
    }
    return { first: parseNumber(part.slice(0, colon)), last: parseNumber(part.slice(colon + 1)) };
  });
  return { ranges };
}

function parseNumber(text: string): number {
  if (text === "*") return STAR;
  const number = Number(text);
  if (!/^[1-9]\d{0,9}$/.test(text) || number > 0xffffffff) throw new ImapSyntaxError("Bad message number");
  return number;
}

/** Ranges with "*" set to `largest`, each low to high, sorted, and joined where they touch. The set's numbers are of the kind
 * that `largest` is. */
export function resolveRanges<N extends number>(set: SequenceSet, largest: N): SetRange<N>[] {
  const ranges = set.ranges
    .map(({ first, last }) => {
      const a = first === STAR ? largest : (first as N);
      const b = last === STAR ? largest : (last as N);
      return a <= b ? { first: a, last: b } : { first: b, last: a };
    })
    .sort((a, b) => a.first - b.first);
  const joined: SetRange<N>[] = [];
  for (const range of ranges) {
    const previous = joined.at(-1);
    if (previous && range.first <= previous.last + 1)
      joined[joined.length - 1] = {
        first: previous.first,
        last: previous.last > range.last ? previous.last : range.last,
      };
    else joined.push(range);
  }
  return joined;
}

/** Ranges as a `sequence-set`. */
export function formatRanges(ranges: readonly SetRange[]): string {
  return ranges.map(({ first, last }) => (first === last ? String(first) : `${first}:${last}`)).join(",");
}

/** Numbers in their order as a `sequence-set`: runs are joined, nothing is sorted (COPYUID pairs by order). */
export function formatSequenceSet(numbers: Iterable<number>): string {
  const parts: string[] = [];
  let first = -1;
  let last = -1;
  const flush = (): void => {
    if (first >= 0) parts.push(first === last ? String(first) : `${first}:${last}`);
  };
  for (const number of numbers) {
    if (number === last + 1 && first >= 0) last = number;
    else {
      flush();
      first = number;
      last = number;
    }
  }
  flush();
  return parts.join(",");
}
