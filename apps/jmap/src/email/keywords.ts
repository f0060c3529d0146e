/**
 * Keywords of RFC 8621 §4.1.1 and flags of IMAP, which are the same marks by other names: the system flags have keywords of
 * their own, all else is called alike, and leaves in lower case.
 */
const FLAGS: Readonly<Record<string, string>> = {
  $seen: "\\Seen",
  $flagged: "\\Flagged",
  $answered: "\\Answered",
  $draft: "\\Draft",
};
const KEYWORDS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(FLAGS).map(([keyword, flag]) => [flag.toLowerCase(), keyword]),
);

/** RFC 8621 §4.1.1: what an IMAP atom may be, but for "]". */
const KEYWORD = /^[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]{1,255}$/;
/** IMAP's \Deleted and \Recent are told by what is there, and what is new; as keywords they would be a second truth. */
const RESERVED: ReadonlySet<string> = new Set(["$deleted", "$recent"]);
/** Words that an IMAP client may set as keywords, and that say nothing here: system flags have them, or nobody sees them. */
const NOT_SHOWN: ReadonlySet<string> = new Set([...Object.keys(FLAGS), ...RESERVED]);

/** The flag of a keyword; undefined for what is none, or can't be set. */
export function flagOf(keyword: string): string | undefined {
  const folded = keyword.toLowerCase();
  if (!KEYWORD.test(keyword) || RESERVED.has(folded)) return undefined;
  return Object.hasOwn(FLAGS, folded) ? FLAGS[folded] : folded;
}

/** The keyword of a flag; undefined for those that JMAP doesn't show. */
export function keywordOf(flag: string): string | undefined {
  if (flag.startsWith("\\")) return KEYWORDS[flag.toLowerCase()];
  const folded = flag.toLowerCase();
  return NOT_SHOWN.has(folded) ? undefined : folded;
}
