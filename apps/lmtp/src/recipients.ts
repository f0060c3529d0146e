/** Which account a recipient address means: aliases first, then the address, then it without its detail (RFC 5233), then
 * the catch-all. Lower case throughout. */
export interface RecipientRules {
  readonly aliases: Readonly<Record<string, string>>;
  /** Begins the detail in `user+detail@domain`; "" for none. */
  readonly delimiter: string;
  /** The account of all other addresses; "" for none. */
  readonly catchAll: string;
}

/** Addresses to look up, in order: the first that is an account's is meant. */
export function candidates(address: string, rules: RecipientRules): string[] {
  const normalized = address.normalize("NFC").toLowerCase();
  const bare = withoutDetail(normalized, rules.delimiter);
  const aliases = new Map(Object.entries(rules.aliases).map(([from, to]) => [from.toLowerCase(), to.toLowerCase()]));
  const named = [aliases.get(normalized), normalized, aliases.get(bare), bare, rules.catchAll.toLowerCase()];
  return [...new Set(named.filter((item) => item !== undefined && item !== ""))] as string[];
}

function withoutDetail(address: string, delimiter: string): string {
  const at = address.lastIndexOf("@");
  const cut = delimiter === "" ? -1 : address.indexOf(delimiter);
  return cut > 0 && cut < at ? address.slice(0, cut) + address.slice(at) : address;
}
