import { type Command, defineCommand, no, ok, SIGNED_IN } from "./command.ts";

/** COMPRESS: RFC 4978 §3. */
export const compress: Command<unknown> = defineCommand({
  name: "COMPRESS",
  in: SIGNED_IN,
  capabilities: ["COMPRESS=DEFLATE"],
  parse(parser) {
    parser.space();
    return parser.keyword();
  },
  async run(mechanism, session) {
    if (mechanism !== "DEFLATE") return no("Only DEFLATE is known");
    if (session.link.isCompressed) return no("Compression is on already", "COMPRESSIONACTIVE");
    session.afterwards = async () => session.link.compress();
    return ok("DEFLATE active");
  },
});
