declare const kind: unique symbol;

/**
 * A place in the log: that of the last entry that somebody applied, or of an entry. Later ones are greater.
 *
 * In the linear log it is the entry's number, from 1; {@link NOWHERE} is where nothing was applied. Code upon it asks no
 * more than the order, so that a log of another shape may have positions of another.
 */
export type Position = number & { readonly [kind]: "position" };

/** Before the first entry. */
export const NOWHERE = 0 as Position;

/** Throws RangeError for what is no place of a log. */
export function position(number: number): Position {
  if (!Number.isSafeInteger(number) || number < 0) throw new RangeError("no place in a log");
  return number as Position;
}

/** The place after it. */
export function after(place: Position): Position {
  return (place + 1) as Position;
}

/** The first of some, of which there is one at least. */
export function earliest(places: readonly Position[]): Position {
  return Math.min(...places) as Position;
}
