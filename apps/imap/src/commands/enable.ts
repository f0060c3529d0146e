import { EXTENSIONS, type Extension } from "../session.ts";
import { type Command, defineCommand, ok, SIGNED_IN } from "./command.ts";

/** ENABLE: RFC 9051 §6.3.1. Unknown names are passed over. QRESYNC brings CONDSTORE along: RFC 7162 §3.2.3. */
export const enable: Command<unknown> = defineCommand({
  name: "ENABLE",
  in: SIGNED_IN,
  capabilities: ["ENABLE"],
  parse(parser) {
    const names: string[] = [];
    do {
      parser.space();
      names.push(parser.keyword());
    } while (!parser.atEnd);
    return names;
  },
  async run(names, session) {
    const isNew = (name: Extension): boolean => names.includes(name.toUpperCase()) && !session.enabled.has(name);
    const fresh = EXTENSIONS.filter((name) => isNew(name) && session.link.offers(name));
    for (const name of fresh) if (name !== "CONDSTORE") session.enabled.add(name);
    session.untagged(["ENABLED", ...fresh].join(" "));
    if (fresh.includes("UIDONLY"))
      for (const text of session.selected?.contexts.endNumbers() ?? []) session.untagged(text);
    if (fresh.includes("CONDSTORE") || fresh.includes("QRESYNC")) session.enableCondstore();
    return ok("ENABLE completed");
  },
});
