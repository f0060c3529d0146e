import type { FlagChange } from "@restante/engine";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { type Command, defineCommand, ok } from "./command.ts";
import { parseSet, positionsOf } from "./message-set.ts";

/** STORE: RFC 9051 §6.4.6. */
export const store: Command<unknown> = defineCommand({
  name: "STORE",
  in: ["selected"],
  uid: true,
  expunges: "must-not",
  parse(parser) {
    const set = parseSet(parser);
    parser.space();
    const item = /^[+-]?FLAGS(\.SILENT)?(?= )/i.exec(parser.rest())?.[0];
    if (!item) throw new ImapSyntaxError("FLAGS expected");
    parser.skip(item.length);
    parser.space();
    const mode: FlagChange["mode"] = item[0] === "+" ? "add" : item[0] === "-" ? "remove" : "replace";
    return { set, silent: /SILENT$/i.test(item), change: { mode, flags: parseFlags(parser) } };
  },
  async run({ set, change, silent }, session, { uid }) {
    const { view } = session;
    const positions = positionsOf(view, set, uid);
    await view.setFlags(positions, change);
    session.tellKeywords();
    if (!silent) await session.answerEach(positions, (position) => session.flagsAnswer(position, uid));
    return ok("STORE completed");
  },
});

/** `flag-list`, or flags without parentheses: RFC 9051 §9, `store-att-flags`. \Recent can't be set. */
export function parseFlags(parser: Parser): string[] {
  if (parser.atOpen) return parser.list(() => settable(parser.flag()), { empty: true });
  const flags = [settable(parser.flag())];
  while (parser.trySpace()) flags.push(settable(parser.flag()));
  return flags;
}

const SETTABLE = new Set(["\\answered", "\\flagged", "\\deleted", "\\seen", "\\draft"]);

function settable(flag: string): string {
  if (flag.startsWith("\\") && !SETTABLE.has(flag.toLowerCase())) throw new ImapSyntaxError("Flag can't be set");
  return flag;
}
