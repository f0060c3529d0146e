import { conditionOf } from "../search.ts";
import { isTurnOver, takeTurn } from "../turns.ts";
import { BadCharset, parseSearchProgram, SEARCH_CHARSETS, type SearchKey } from "../wire/search-keys.ts";
import { type Command, defineCommand, no, ok } from "./command.ts";

/** SEARCH: RFC 9051 §6.4.4, answered as RFC 3501 §7.2.5 has it. SENTBEFORE, SENTON and SENTSINCE find no message without a Date. */
export const search: Command<unknown> = defineCommand({
  name: "SEARCH",
  in: ["selected"],
  uid: true,
  expunges: "must-not",
  parse(parser): SearchKey | BadCharset {
    parser.space();
    try {
      return parseSearchProgram(parser);
    } catch (error) {
      if (!(error instanceof BadCharset)) throw error;
      parser.skip(parser.rest().length);
      return error;
    }
  },
  async run(key, session, { uid }) {
    if (key instanceof BadCharset) return no("Charset is not supported", `BADCHARSET (${SEARCH_CHARSETS.join(" ")})`);
    const { view, mail, untagged } = session;
    const condition = conditionOf(key, view, session.selected?.recent ?? []);
    const places = await mail.search(view, condition, { pace: { isOver: isTurnOver, take: takeTurn } });
    const hits = places.map((place) => (uid ? view.uidAt(place) : place + 1));
    untagged(hits.length > 0 ? `SEARCH ${hits.join(" ")}` : "SEARCH");
    return ok("SEARCH completed");
  },
});
