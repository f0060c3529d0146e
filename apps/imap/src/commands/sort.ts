import type { SortKey } from "@restante/engine";
import { isTurnOver, takeTurn } from "@restante/host";
import { conditionOf } from "../search.ts";
import { asksModSeq, esearch, highestOf, savedOf, tellingProgress } from "../search-answers.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { BadCharset, parseSearchKeys, SEARCH_CHARSETS, type SearchKey } from "../wire/search-keys.ts";
import { parseSearchReturn, tells } from "../wire/search-return.ts";
import { type Command, type Completion, defineCommand, no, ok } from "./command.ts";

/** SORT: RFC 5256 §3; by names as they are shown: RFC 5957; answered by ESEARCH: RFC 5267 §3. */
export const sort: Command<unknown> = defineCommand({
  name: "SORT",
  in: ["selected"],
  uid: true,
  capabilities: ["SORT", "SORT=DISPLAY", "ESORT"],
  expunges: "must-not",
  parse(parser) {
    parser.space();
    const wanted = parseSearchReturn(parser);
    const by = parseSortKeys(parser);
    return { wanted, by, key: parseProgram(parser) };
  },
  async run({ wanted, by, key }, session, form) {
    if (wanted?.save) session.save([]);
    if (key instanceof BadCharset) return badCharset;
    const byModSeq = asksModSeq(key);
    if (byModSeq) session.enableCondstore();
    const { view, mail } = session;
    const condition = conditionOf(key, session, session.link.nowMs());
    const pace = { isOver: isTurnOver, take: takeTurn };
    const places = [...(await tellingProgress(session, form, () => mail.sort(view, condition, by, { pace })))];
    if (wanted?.save) session.save(savedOf(session, places, wanted));
    if (wanted && !tells(wanted)) return ok("SORT completed, result saved");
    if (wanted) session.untagged(esearch(session, places, form, { wanted, byModSeq }));
    else {
      const hits = places.map((place) => (form.uid ? view.uidAt(place) : place + 1));
      const modSeq = byModSeq && places.length > 0 ? ` (MODSEQ ${highestOf(session, places)})` : "";
      session.untagged(`${["SORT", ...hits].join(" ")}${modSeq}`);
    }
    return ok("SORT completed");
  },
});

export const badCharset: Completion = no("Charset is not supported", `BADCHARSET (${SEARCH_CHARSETS.join(" ")})`);

const KEYS: Readonly<Record<string, SortKey["by"]>> = {
  ARRIVAL: "received",
  CC: "cc",
  DATE: "sent",
  FROM: "from",
  SIZE: "size",
  SUBJECT: "subject",
  TO: "to",
  DISPLAYFROM: "from-name",
  DISPLAYTO: "to-name",
};
/** More say nothing that the first did not. */
const SORT_KEYS_MAX = 20;

/** `"(" ["REVERSE" SP] key *(SP …) ")"` */
function parseSortKeys(parser: Parser): SortKey[] {
  return parser.list(
    () => {
      let name = parser.keyword();
      const descending = name === "REVERSE";
      if (descending) {
        parser.space();
        name = parser.keyword();
      }
      if (!Object.hasOwn(KEYS, name)) throw new ImapSyntaxError("Unknown SORT key");
      return { by: KEYS[name]!, descending };
    },
    { max: SORT_KEYS_MAX },
  );
}

/** `SP charset SP search-key *(SP search-key)` */
export function parseProgram(parser: Parser): SearchKey | BadCharset {
  parser.space();
  const charset = parser.astring();
  parser.space();
  try {
    return parseSearchKeys(parser, charset);
  } catch (error) {
    if (!(error instanceof BadCharset)) throw error;
    parser.skip(parser.rest().length);
    return error;
  }
}
