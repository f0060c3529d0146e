/** RFC 5321 §4.5.3.1.3. */
const ADDRESS_CHARS_MAX = 254;
/** RFC 5322 §3.4.1 with RFC 6531 §3.3, without quoted forms and literals. */
const ADDRESS =
  /^[^\p{C}\p{Z}"(),:;<>@[\\\]]{1,64}@((?:[\p{L}\p{M}\p{N}][\p{L}\p{M}\p{N}-]{0,62}\.)*[\p{L}\p{M}\p{N}][\p{L}\p{M}\p{N}-]{0,62})$/u;

/** The address that a mail program names. The server does not look whether an account has it. */
export interface Address {
  readonly text: string;
  readonly domain: string;
}

/** Undefined for what is no address. */
export function parseAddress(text: string | null | undefined): Address | undefined {
  const given = text?.trim() ?? "";
  if (given.length > ADDRESS_CHARS_MAX) return undefined;
  const domain = ADDRESS.exec(given)?.[1];
  return domain === undefined ? undefined : { text: given, domain: domain.toLowerCase() };
}
