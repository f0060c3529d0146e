import { type PartialRange, parsePartialRange } from "./fetch-items.ts";
import { ImapSyntaxError, type Parser } from "./parser.ts";

/** What a search is to tell of what it finds: RFC 4731 §3.1; SAVE: RFC 5182 §2.1; PARTIAL: RFC 9394 §3.1; UPDATE, and CONTEXT,
 * which no search needs to be told: RFC 5267 §4.2. */
export interface SearchReturn {
  readonly min: boolean;
  readonly max: boolean;
  readonly all: boolean;
  readonly count: boolean;
  readonly save: boolean;
  readonly update: boolean;
  readonly partial: PartialRange | undefined;
}

const NOTHING: SearchReturn = {
  min: false,
  max: false,
  all: false,
  count: false,
  save: false,
  update: false,
  partial: undefined,
};
/** What `RETURN ()` asks for, and IMAP4rev2 where there is no RETURN: RFC 9051 §6.4.4. */
export const RETURN_ALL: SearchReturn = { ...NOTHING, all: true };

/** Whether it asks for anything beside SAVE, of which nothing is told: RFC 5182 §2.1. */
export function tells({ min, max, all, count, partial }: SearchReturn): boolean {
  return min || max || all || count || partial !== undefined;
}

/** `["RETURN" SP "(" [option *(SP option)] ")" SP]`; undefined if there is none. */
export function parseSearchReturn(parser: Parser): SearchReturn | undefined {
  if (!/^RETURN \(/i.test(parser.rest(8))) return undefined;
  parser.keyword();
  parser.space();
  let wanted = NOTHING;
  parser.list(
    () => {
      const name = parser.keyword();
      switch (name) {
        case "MIN":
        case "MAX":
        case "ALL":
        case "COUNT":
        case "SAVE":
        case "UPDATE":
          wanted = { ...wanted, [name.toLowerCase()]: true };
          break;
        case "CONTEXT":
          // It asks for something, so that () is not meant.
          wanted = { ...wanted };
          break;
        case "PARTIAL":
          wanted = { ...wanted, partial: parsePartialRange(parser) };
          break;
        default:
          throw new ImapSyntaxError("Unknown result option");
      }
    },
    { empty: true },
  );
  parser.space();
  if (wanted.all && wanted.partial) throw new ImapSyntaxError("Either ALL or PARTIAL");
  return wanted === NOTHING ? RETURN_ALL : wanted;
}
