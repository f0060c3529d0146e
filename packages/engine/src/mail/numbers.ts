import type { Fields } from "../bay/fields.ts";

declare const kind: unique symbol;

/**
 * Numbers that must not be taken for one another. Each kind is a plain number when the program runs; arithmetic on one gives
 * a number that is of no kind. Functions below make one of a number whose kind is known by where it came from: stored
 * bytes, what a client said, a counter.
 */

/** A number of none of these kinds: the position of a message in a view, from 0; the lasting number of an email. */
export type Plain = number & { readonly [kind]?: never };

/** A message's unique identifier in its mailbox, from 1; also the one that comes next: RFC 9051 §2.3.1.1. */
export type Uid = number & { readonly [kind]: "uid" };

/** A place in the order of an account's changes: RFC 7162 §3. {@link NO_MODSEQ} is before the first. */
export type ModSeq = number & { readonly [kind]: "modSeq" };

/** A message's number in a mailbox as one client knows it, from 1: RFC 9051 §2.3.1.2. */
export type SequenceNumber = number & { readonly [kind]: "sequence number" };

/** Below the first, where there is none. */
export const NO_UID = 0 as Uid;
export const FIRST_UID = 1 as Uid;
export const NO_MODSEQ = 0 as ModSeq;
export const FIRST_MODSEQ = 1 as ModSeq;
/** No modseq is above it. */
export const HIGHEST_MODSEQ: ModSeq = Number.POSITIVE_INFINITY as ModSeq;

/** A membership's row in the columns of one state, from 0. */
export type Row = number & { readonly [kind]: "row" };

/** An email's row in the columns of one state, from 0. The lasting number of an email is another one. */
export type EmailRow = number & { readonly [kind]: "email row" };

/** Where a walk over all rows begins. */
export const FIRST_ROW = 0 as Row;
export const FIRST_EMAIL_ROW = 0 as EmailRow;

export function asRow(number: number): Row {
  return number as Row;
}

export function asEmailRow(number: number): EmailRow {
  return number as EmailRow;
}

export function asUid(number: number): Uid {
  return number as Uid;
}

export function asModSeq(number: number): ModSeq {
  return number as ModSeq;
}

/** A stored uid. Throws RangeError. */
export function readUid(fields: Fields): Uid {
  return asUid(fields.integer());
}

/** A stored modseq. Throws RangeError. */
export function readModSeq(fields: Fields): ModSeq {
  return asModSeq(fields.integer());
}

/** The uid that is `by` above. */
export function uidAfter(uid: Uid, by = 1): Uid {
  return (uid + by) as Uid;
}

/** The uid one below; 0 of the first. */
export function uidBefore(uid: Uid): Uid {
  return (uid - 1) as Uid;
}

export function modSeqAfter(modSeq: ModSeq, by = 1): ModSeq {
  return (modSeq + by) as ModSeq;
}

export function modSeqBefore(modSeq: ModSeq): ModSeq {
  return (modSeq - 1) as ModSeq;
}

/** The higher of two of one kind. */
export function higherOf<K extends number>(a: K, b: K): K {
  return a > b ? a : b;
}

export function lowerOf<K extends number>(a: K, b: K): K {
  return a < b ? a : b;
}

/** The sequence number of the message at a position; positions count from 0. */
export function sequenceNumberAt(position: Plain): SequenceNumber {
  return (position + 1) as SequenceNumber;
}

/** The position of the message with this sequence number. */
export function positionOf(sequenceNumber: SequenceNumber): number {
  return sequenceNumber - 1;
}
