import { addressKey } from "@restante/engine/node";
import { composed } from "@restante/mime";

/** Which account a recipient address means: aliases first, then the address, then it without its detail (RFC 5233), then
 * the catch-all. Lower case throughout; A-labels and U-labels of one domain are one. */
export interface RecipientRules {
  readonly aliases: Readonly<Record<string, string>>;
  /** Begins the detail in `user+detail@domain`; "" for none. */
  readonly delimiter: string;
  /** The account of all other addresses; "" for none. */
  readonly catchAll: string;
  /** The address for `postmaster` without a domain, which every server has: RFC 5321 §4.5.1; "" for none. */
  readonly postmaster: string;
}

/** Addresses to look up, in order: the first that is an account's is meant. */
export function candidates(address: string, rules: RecipientRules): string[] {
  const normalized = normalizeRecipient(address);
  const bare = withoutDetail(normalized, rules.delimiter);
  const aliases = new Map(Object.entries(rules.aliases).map(([from, to]) => [keyOf(from), normalizeRecipient(to)]));
  const named =
    normalized === "postmaster"
      ? [aliases.get(normalized), rules.postmaster]
      : [aliases.get(keyOf(normalized)), normalized, aliases.get(keyOf(bare)), bare, rules.catchAll];
  return [...new Set(named.filter((item) => item !== undefined && item !== "").map((item) => item!.toLowerCase()))];
}

/** Equal for addresses that are one. */
export function keyOf(address: string): string {
  return addressKey(normalizeRecipient(address));
}

/** Without quotes that it could do without, or that stand for the same characters (RFC 5321 §4.1.2), and without the dot of
 * a domain that is written whole. */
function normalizeRecipient(address: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"(?=@|$)/.exec(address);
  const local = quoted ? quoted[1]!.replace(/\\(.)/g, "$1") + address.slice(quoted[0].length) : address;
  return composed(local.replace(/\.$/, "")).toLowerCase();
}

function withoutDetail(address: string, delimiter: string): string {
  const at = address.lastIndexOf("@");
  const cut = delimiter === "" ? -1 : address.indexOf(delimiter);
  return cut > 0 && cut < at ? address.slice(0, cut) + address.slice(at) : address;
}
