import { decodeRaw } from "./binary.ts";

/** Characters that no domain has, and that a parser of URLs would take for something else. */
const NO_DOMAIN = /[\u0000-\u0020\u007f/?#@:\\%<>^|[\]]/;

/** A domain (binary, as a header has it) with A-labels for what is not ASCII: RFC 5891 §4.4. As it is, if that can't be. */
export function domainInAscii(domain: string): string {
  if (!/[\x80-\xff]/.test(domain) || NO_DOMAIN.test(domain)) return domain;
  const url = URL.parse(`http://${decodeRaw(domain)}/`);
  return url?.hostname || domain;
}
