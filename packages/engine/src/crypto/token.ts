import { concat, fromBase64Url, toBase64Url, utf8 } from "./primitives.ts";

/** Random bytes of a token's id, after which its slot is named, and of its secret. */
export const TOKEN_ID_BYTES = 10;
export const TOKEN_SECRET_BYTES = 16;
/** So that a token that got where it should not be is known as one. */
const MARK = "rst_";
/** Characters of the longest: the address is bounded by RFC 5321 §4.5.3.1. */
const TOKEN_CHARS_MAX = 400;

export interface Token {
  readonly id: Uint8Array;
  readonly secret: Uint8Array;
  /** Its owner's: a Bearer sign-in says no name. */
  readonly address: string;
}

/** `rst_` and base64url of id (10), secret (16), address. */
export function formatToken({ id, secret, address }: Token): string {
  return MARK + toBase64Url(concat(id, secret, utf8(address)));
}

/** Undefined for what can't be a token. */
export function parseToken(text: string): Token | undefined {
  if (!text.startsWith(MARK) || text.length > TOKEN_CHARS_MAX) return undefined;
  const bytes = fromBase64Url(text.slice(MARK.length));
  const start = TOKEN_ID_BYTES + TOKEN_SECRET_BYTES;
  if (!bytes || bytes.length <= start) return undefined;
  try {
    const address = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(start));
    return { id: bytes.slice(0, TOKEN_ID_BYTES), secret: bytes.slice(TOKEN_ID_BYTES, start), address };
  } catch {
    return undefined;
  }
}
