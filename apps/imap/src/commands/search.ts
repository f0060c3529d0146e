import { createSearch } from "../search.ts";
import { takeTurn } from "../turns.ts";
import { BadCharset, parseSearchProgram, SEARCH_CHARSETS, type SearchKey } from "../wire/search-keys.ts";
import { type Command, defineCommand, no, ok } from "./command.ts";
import { positionTest } from "./message-set.ts";

/** Messages that are looked at together: what they need is read in one go. */
const CHUNK_MESSAGES = 256;

/** SEARCH: RFC 9051 §6.4.4, answered as RFC 3501 §7.2.5 has it. */
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
    const search = createSearch(key, {
      mail,
      isIn: (set, byUid) => positionTest(view, set, byUid),
      isRecent: (position) => session.isRecent(view.uidAt(position)),
    });
    const hits: number[] = [];
    for (let from = 0; from < view.length; from += CHUNK_MESSAGES) {
      const messages = view.messagesIn(from, Math.min(from + CHUNK_MESSAGES, view.length));
      for (const { position } of await search(messages)) hits.push(uid ? view.uidAt(position) : position + 1);
      await takeTurn();
    }
    untagged(hits.length > 0 ? `SEARCH ${hits.join(" ")}` : "SEARCH");
    return ok("SEARCH completed");
  },
});
