import type { SortKey } from "@restante/engine";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { BadCharset, parseSearchKeys, type SearchKey } from "../wire/search-keys.ts";
import { parseSearchReturn } from "../wire/search-return.ts";
import { type Command, defineCommand } from "./command.ts";
import { runSearch } from "./run-search.ts";

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
  run: (args, session, form) => runSearch("SORT", args, session, form),
});

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
