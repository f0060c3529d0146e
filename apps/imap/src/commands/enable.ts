import { type Command, defineCommand, ok, SIGNED_IN } from "./command.ts";

/** What ENABLE can switch on: an extension adds its name. */
const ENABLABLE: readonly string[] = [];

/** ENABLE: RFC 9051 §6.3.1. Unknown names are passed over. */
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
  async run(names, { enabled, untagged }) {
    const fresh = names.filter((name) => ENABLABLE.includes(name) && !enabled.has(name));
    for (const name of fresh) enabled.add(name);
    untagged(["ENABLED", ...fresh].join(" "));
    return ok("ENABLE completed");
  },
});
