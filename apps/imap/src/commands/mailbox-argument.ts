import { pathOfName } from "../wire/mailbox-name.ts";
import type { Parser } from "../wire/parser.ts";
import type { Form } from "./command.ts";

/** `SP mailbox`: the path it names. A delimiter at its end (RFC 9051 §6.3.4 lets CREATE have one) is dropped. */
export function parseMailbox(parser: Parser, { utf8 }: Pick<Form, "utf8">): string {
  parser.space();
  const name = pathOfName(parser.astring(), utf8);
  return name.length > 1 && name.endsWith("/") ? name.slice(0, -1) : name;
}
