import { type DateTime, parseDateTime } from "./date.ts";
import { ImapSyntaxError, type Parser } from "./parser.ts";

/** Where in APPEND's arguments one stands: before a message, in the parts of one, behind its UTF8 literal. */
export type AppendPlace = "message" | "parts" | "utf8";

/** One argument of APPEND, in the order of the text: RFC 9051 §6.3.12, RFC 4469 §3, RFC 6855 §4. */
export type AppendStep =
  | { readonly kind: "begin"; readonly flags: readonly string[]; readonly date: DateTime | undefined }
  /** A literal, which the text ends with. */
  | { readonly kind: "literal" }
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "end" };

/** Reads as far as the text goes: to its end, or to the literal that it ends with. `steps` are what it says, `place` where it
 * goes on behind the literal. Throws ImapSyntaxError. */
export function parseAppendData(
  parser: Parser,
  from: AppendPlace,
  parseFlags: (parser: Parser) => string[],
): { readonly steps: readonly AppendStep[]; readonly place: AppendPlace } {
  const steps: AppendStep[] = [];
  let place = from;
  for (;;) {
    if (place === "message") {
      if (parser.atEnd) return { steps, place };
      parser.space();
      steps.push(parseHead(parser, parseFlags));
      place = parseKind(parser);
      if (place === "message") {
        takeLiteral(parser);
        steps.push({ kind: "literal" }, { kind: "end" });
        return { steps, place };
      }
      if (place === "utf8") {
        takeLiteral(parser);
        steps.push({ kind: "literal" });
        return { steps, place };
      }
    } else if (place === "utf8" || parser.tryChar(")")) {
      if (place === "utf8") parser.char(")");
      steps.push({ kind: "end" });
      place = "message";
      continue;
    } else parser.space();
    const kind = parser.keyword();
    parser.space();
    if (kind === "URL") steps.push({ kind: "url", url: parser.astring() });
    else if (kind === "TEXT") {
      takeLiteral(parser);
      steps.push({ kind: "literal" });
      return { steps, place };
    } else throw new ImapSyntaxError("TEXT or URL expected");
  }
}

function parseHead(parser: Parser, parseFlags: (parser: Parser) => string[]): AppendStep {
  const flags = parser.atOpen ? parseFlags(parser) : undefined;
  if (flags) parser.space();
  let date: DateTime | undefined;
  if (parser.peek() === 0x22) {
    date = parseDateTime(parser.string());
    parser.space();
  }
  return { kind: "begin", flags: flags ?? [], date };
}

/** The form of the message data: one literal, `UTF8 (` and a literal, or `CATENATE (` and parts. */
function parseKind(parser: Parser): AppendPlace {
  const kind = /^(UTF8|CATENATE) \(/i.exec(parser.rest(10));
  if (!kind) return "message";
  parser.skip(kind[0].length);
  return kind[1]!.toUpperCase() === "UTF8" ? "utf8" : "parts";
}

/** The literal that the text ends with. */
function takeLiteral(parser: Parser): void {
  const literal = /^~?\{\d+\+?\}$/.exec(parser.rest());
  if (!literal) throw new ImapSyntaxError("Message expected");
  parser.skip(literal[0].length);
}
