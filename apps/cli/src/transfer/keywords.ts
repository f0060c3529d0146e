import { encodeMailboxName } from "@restante/imap";

/** Characters that no atom has: RFC 9051 §9 (atom-specials), and "\\", which would make a system flag of a keyword. */
const NO_ATOM = /[^!#$&'+-[^-z|}~]/g;
const SYSTEM = new Set(["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"].map((flag) => flag.toLowerCase()));
/** Octets that a keyword may have: RFC 8621 §4.1.1. */
const KEYWORD_BYTES_MAX = 255;

/**
 * A flag or keyword of other programs as IMAP can say it: letters outside ASCII as modified UTF-7, as Thunderbird writes
 * them, and `_` for what no atom has. The same goes in as comes out if it was an atom that is not too long.
 */
export function atomFlag(flag: string): string {
  if (SYSTEM.has(flag.toLowerCase())) return flag;
  const ascii = /^[\x20-\x7e]*$/.test(flag) ? flag : encodeMailboxName(flag);
  return ascii.replace(NO_ATOM, "_").slice(0, KEYWORD_BYTES_MAX);
}
