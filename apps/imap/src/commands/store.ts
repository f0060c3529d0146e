import { asModSeq, type FlagChange, type ModSeq } from "@restante/engine";
import { limited, tellLimit } from "../message-limit.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { formatRanges } from "../wire/sequence-set.ts";
import { type Command, defineCommand, ok } from "./command.ts";
import { numberingOf, parseSet, positionsOf, rangesOf } from "./message-set.ts";

/** STORE: RFC 9051 §6.4.6; UNCHANGEDSINCE: RFC 7162 §3.1.3; MESSAGELIMIT: RFC 9738. */
export const store: Command<unknown> = defineCommand({
  name: "STORE",
  in: ["selected"],
  uid: true,
  expunges: "must-not",
  parse(parser) {
    const set = parseSet(parser);
    parser.space();
    const unchangedSince = parser.atOpen ? parseUnchangedSince(parser) : undefined;
    const item = /^[+-]?FLAGS(\.SILENT)?(?= )/i.exec(parser.rest())?.[0];
    if (!item) throw new ImapSyntaxError("FLAGS expected");
    parser.skip(item.length);
    parser.space();
    const mode: FlagChange["mode"] = item[0] === "+" ? "add" : item[0] === "-" ? "remove" : "replace";
    const change = { mode, flags: parseFlags(parser) };
    return { set, silent: /SILENT$/i.test(item), change, unchangedSince };
  },
  async run({ set, change, silent, unchangedSince }, session, { uid }) {
    const { view } = session;
    if (unchangedSince !== undefined) session.enableCondstore();
    const { positions, code } = limited(session, positionsOf(session, set, uid));
    const { refused } = await view.setFlags(positions, change, unchangedSince);
    session.tellKeywords();
    const isRefused = new Set(refused);
    const stored = positions.filter((position) => !isRefused.has(position));
    session.selected!.contexts.noteChanged(session, stored);
    const told = code === undefined ? stored : stored.toReversed();
    if (!silent) await session.answerEach(told, (position) => session.flagsAnswer(position, uid));
    // A client that is told modseqs gets the new one all the same.
    else if (session.tellsModSeqs) await session.answerEach(told, (position) => session.modSeqAnswer(position, uid));
    if (refused.length === 0) return ok("STORE completed", code);
    // RFC 7162 §3.1.3 has MODIFIED here, and there is room for one code.
    tellLimit(session, code);
    return ok("Some were changed meanwhile", `MODIFIED ${formatRanges(rangesOf(refused, numberingOf(view, uid)))}`);
  },
});

/** `(UNCHANGEDSINCE modseq) ` */
function parseUnchangedSince(parser: Parser): ModSeq {
  let modSeq: ModSeq | undefined;
  parser.list(() => {
    if (parser.keyword() !== "UNCHANGEDSINCE") throw new ImapSyntaxError("UNCHANGEDSINCE expected");
    parser.space();
    modSeq = asModSeq(parser.number64());
  });
  parser.space();
  return modSeq!;
}

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
