/** Every number that bounds a client of the submission ports, with its unit. */

/** Milliseconds of silence before a connection is closed: RFC 5321 §4.5.3.2.7 asks for at least five minutes. */
export const SILENCE_MS: number = 5 * 60_000;
/** When the server stops, clients have so long to end. */
export const CLOSE_MS = 3_000;
/** Octets of a message that are held in memory; a larger one waits sealed in its owner's account. */
export const HELD_BYTES_MAX: number = 512 * 1024;
/** A client that goes on this far beyond the size limit is cut off. */
export const OVERSIZE_FACTOR_MAX = 2;
/** Wrong passwords of one connection. */
export const TRIES_MAX = 3;
