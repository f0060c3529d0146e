import { BadCharset, parseSearchProgram } from "../wire/search-keys.ts";
import { parseSearchReturn } from "../wire/search-return.ts";
import { type Command, defineCommand } from "./command.ts";
import { runSearch } from "./run-search.ts";

/** SEARCH: RFC 9051 §6.4.4, answered as RFC 3501 §7.2.5 has it, or by ESEARCH: RFC 4731; WITHIN: RFC 5032; UIDAFTER, UIDBEFORE and MESSAGELIMIT: RFC 9738; MODSEQ: RFC 7162
 * §3.1.5; changes of the result: RFC 5267 §4.3. SENTBEFORE, SENTON and SENTSINCE find no message without a Date. */
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
  run: (args, session, form) => runSearch("SEARCH", args, session, form),
});
