import { ImapSyntaxError } from "../wire/parser.ts";
import { type Command, defineCommand, ok } from "./command.ts";

/** Tags of one command: more than there can be contexts. */
const TAGS_MAX = 100;

/** CANCELUPDATE: RFC 5267 §4.3.5. */
export const cancelUpdate: Command<unknown> = defineCommand({
  name: "CANCELUPDATE",
  in: ["selected"],
  capabilities: ["CONTEXT=SEARCH", "CONTEXT=SORT"],
  parse(parser) {
    const tags: string[] = [];
    do {
      parser.space();
      tags.push(parser.astring());
      if (tags.length > TAGS_MAX) throw new ImapSyntaxError("Too many tags");
    } while (!parser.atEnd);
    return tags;
  },
  async run(tags, session) {
    const { contexts } = session.selected!;
    const unknown = tags.find((tag) => !contexts.has(tag));
    if (unknown !== undefined) throw new ImapSyntaxError("No search with this tag is followed");
    for (const tag of tags) contexts.cancel(tag);
    return ok("No more is told of it");
  },
});
