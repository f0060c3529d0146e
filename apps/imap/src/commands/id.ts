import { formatString } from "../wire/format.ts";
import { ANY, type Command, defineCommand, ok } from "./command.ts";

/** ID: RFC 2971 §3.1. The client's fields are read and not kept. */
export const id: Command<unknown> = defineCommand({
  name: "ID",
  in: ANY,
  capabilities: ["ID"],
  parse(parser) {
    parser.space();
    if (!parser.atOpen) return parser.nstring();
    parser.list(
      () => {
        parser.string();
        parser.space();
        parser.nstring();
      },
      { empty: true },
    );
    return undefined;
  },
  async run(_, { untagged }) {
    untagged(`ID ("name" ${formatString("Restante")})`);
    return ok("ID completed");
  },
});
