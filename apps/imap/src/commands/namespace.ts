import { type Command, defineCommand, noArguments, ok, SIGNED_IN } from "./command.ts";

/** NAMESPACE: RFC 2342 §5. One personal namespace, none of others, none shared. */
export const namespace: Command<unknown> = defineCommand({
  name: "NAMESPACE",
  in: SIGNED_IN,
  capabilities: ["NAMESPACE"],
  parse: noArguments,
  async run(_, { untagged }) {
    untagged('NAMESPACE (("" "/")) NIL NIL');
    return ok("NAMESPACE completed");
  },
});
