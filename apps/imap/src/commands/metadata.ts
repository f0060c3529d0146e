import { EngineError, type ReadMailbox } from "@restante/engine";
import { METADATA_ENTRIES_MAX, METADATA_VALUE_BYTES_MAX } from "../limits.ts";
import { parseEntries, parseEntry, parseValue, readEntries, type Wanted, writeEntries } from "../metadata.ts";
import type { Session } from "../session.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { type Command, type Completion, defineCommand, no, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";

/** GETMETADATA: RFC 5464 §4.2. The empty name stands for the server. */
export const getMetadata: Command<unknown> = defineCommand({
  name: "GETMETADATA",
  in: SIGNED_IN,
  capabilities: ["METADATA"],
  parse(parser, form) {
    const before = parseOptions(parser);
    const path = parseMailbox(parser, form);
    const options = { ...before, ...parseOptions(parser) };
    parser.space();
    return { path, wanted: { depth: 0, maxSize: Number.POSITIVE_INFINITY, ...options, entries: parseEntries(parser) } };
  },
  async run({ path, wanted }, session) {
    const { answer, longest } = await readEntries(session, mailboxOf(session, path), wanted as Wanted);
    if (answer !== undefined) session.untagged(answer);
    return ok("GETMETADATA completed", longest > 0 ? `METADATA LONGENTRIES ${longest}` : undefined);
  },
});

/** SETMETADATA: RFC 5464 §4.3: all entries are written, or none. */
export const setMetadata: Command<unknown> = defineCommand({
  name: "SETMETADATA",
  in: SIGNED_IN,
  parse(parser, form) {
    const path = parseMailbox(parser, form);
    parser.space();
    const entries = new Map<string, Uint8Array | undefined>();
    parser.list(() => {
      const name = parseEntry(parser);
      parser.space();
      entries.set(name, parseValue(parser));
    });
    return { path, entries };
  },
  async run({ path, entries }, session) {
    try {
      await writeEntries(session, mailboxOf(session, path), entries);
      return ok("SETMETADATA completed");
    } catch (error) {
      return refusalOf(error);
    }
  },
});

function refusalOf(error: unknown): Completion {
  if (error instanceof EngineError && error.code === "over-quota")
    return no(`No more than ${METADATA_ENTRIES_MAX} annotations are kept`, "METADATA TOOMANY");
  if (error instanceof EngineError && error.code === "too-large")
    return no("The value is too large", `METADATA MAXSIZE ${METADATA_VALUE_BYTES_MAX}`);
  throw error;
}

function mailboxOf({ mail }: Session, path: string): ReadMailbox | undefined {
  return path === "" ? undefined : mail.getMailbox(path);
}

/** `[SP "(" option *(SP option) ")"]` */
function parseOptions(parser: Parser): Partial<Pick<Wanted, "depth" | "maxSize">> {
  let options: Partial<Pick<Wanted, "depth" | "maxSize">> = {};
  if (!/^ \((DEPTH|MAXSIZE) /i.test(parser.rest(10))) return options;
  parser.space();
  parser.list(() => {
    const name = parser.keyword();
    parser.space();
    if (name === "MAXSIZE") options = { ...options, maxSize: parser.number() };
    else if (name === "DEPTH") options = { ...options, depth: parseDepth(parser) };
    else throw new ImapSyntaxError("Unknown GETMETADATA option");
  });
  return options;
}

function parseDepth(parser: Parser): Wanted["depth"] {
  switch (parser.keyword()) {
    case "0":
      return 0;
    case "1":
      return 1;
    case "INFINITY":
      return Number.POSITIVE_INFINITY;
    default:
      throw new ImapSyntaxError("Bad DEPTH");
  }
}
