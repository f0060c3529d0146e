import { pathOfName } from "../wire/mailbox-name.ts";
import type { Parser } from "../wire/parser.ts";

/** `SP mailbox`: the path it names. A delimiter at its end (RFC 9051 §6.3.4 lets CREATE have one) is dropped. */
export function parseMailbox(parser: Parser): string {
  parser.space();
  const name = pathOfName(parser.astring());
  return name.length > 1 && name.endsWith("/") ? name.slice(0, -1) : name;
}
