import { isTurnOver, takeTurn } from "@restante/host";
import { conditionOf } from "../search.ts";
import { asksModSeq, esearch, highestOf, savedOf, tellingProgress } from "../search-answers.ts";
import { BadCharset, parseSearchProgram, SEARCH_CHARSETS } from "../wire/search-keys.ts";
import { parseSearchReturn, tells } from "../wire/search-return.ts";
import { type Command, defineCommand, no, ok } from "./command.ts";

/** SEARCH: RFC 9051 §6.4.4, answered as RFC 3501 §7.2.5 has it, or by ESEARCH: RFC 4731; WITHIN: RFC 5032; MODSEQ: RFC 7162
 * §3.1.5. SENTBEFORE, SENTON and SENTSINCE find no message without a Date. */
export const search: Command<unknown> = defineCommand({
  name: "SEARCH",
  in: ["selected"],
  uid: true,
  expunges: "must-not",
  parse(parser) {
    parser.space();
    const wanted = parseSearchReturn(parser);
    try {
      return { wanted, key: parseSearchProgram(parser) };
    } catch (error) {
      if (!(error instanceof BadCharset)) throw error;
      parser.skip(parser.rest().length);
      return { wanted, key: error };
    }
  },
  async run({ wanted, key }, session, form) {
    // What was saved is gone, however this ends: RFC 5182 §2.1.
    if (wanted?.save) session.save([]);
    if (key instanceof BadCharset) return no("Charset is not supported", `BADCHARSET (${SEARCH_CHARSETS.join(" ")})`);
    const byModSeq = asksModSeq(key);
    if (byModSeq) session.enableCondstore();
    const { view, mail } = session;
    const condition = conditionOf(key, session, session.link.nowMs());
    const pace = { isOver: isTurnOver, take: takeTurn };
    const places = await tellingProgress(session, form, () => mail.search(view, condition, { pace }));
    if (wanted?.save) session.save(savedOf(session, places, wanted));
    if (wanted && !tells(wanted)) return ok("SEARCH completed, result saved");
    if (wanted || session.isRev2) session.untagged(esearch(session, places, form, { wanted, byModSeq }));
    else {
      const hits = places.map((place) => (form.uid ? view.uidAt(place) : place + 1));
      const modSeq = byModSeq && places.length > 0 ? ` (MODSEQ ${highestOf(session, places)})` : "";
      session.untagged(`${["SEARCH", ...hits].join(" ")}${modSeq}`);
    }
    return ok("SEARCH completed");
  },
});
