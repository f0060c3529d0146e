import { domainToASCII, domainToUnicode } from "node:url";
import { normalizeAddress } from "../account/sign-in/users.ts";

/** Characters that no domain has, and that a reader of URLs would take for something else. */
const NO_DOMAIN = /[\s/?#@:\\%<>^|[\]]/;
const HAS_FORMS = /[^\x00-\x7f]|(?:^|\.)xn--/;

/** Forms in which one address may be written: itself, then with its domain in A-labels and in U-labels (RFC 5890 §2.3.2.1),
 * which are one domain. The first form that an account has is meant. */
export function addressForms(address: string): readonly string[] {
  const normalized = normalizeAddress(address);
  const at = normalized.lastIndexOf("@") + 1;
  const domain = normalized.slice(at);
  if (at === 0 || !HAS_FORMS.test(domain) || NO_DOMAIN.test(domain)) return [normalized];
  const forms = [domain, domainToASCII(domain), domainToUnicode(domain)].filter((form) => form !== "");
  return [...new Set(forms)].map((form) => normalizeAddress(normalized.slice(0, at) + form));
}

/** Equal for all forms of one address. */
export function addressKey(address: string): string {
  return [...addressForms(address)].sort()[0]!;
}
