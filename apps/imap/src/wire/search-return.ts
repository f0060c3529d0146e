import { type PartialRange, parsePartialRange } from "./fetch-items.ts";
import { ImapSyntaxError, type Parser } from "./parser.ts";

/** Result options of a search: RFC 4731 §3.1; SAVE: RFC 5182 §2.1; PARTIAL: RFC 9394 §3.1; UPDATE: RFC 5267 §4.2. CONTEXT of
 * RFC 5267 changes nothing and is not kept. */
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
/** Result options of `RETURN ()`, and of IMAP4rev2 without RETURN: RFC 9051 §6.4.4. */
export const RETURN_ALL: SearchReturn = { ...NOTHING, all: true };

/** True if the options ask for an answer: any of them but SAVE alone. RFC 5182 §2.1. */
export function tells({ min, max, all, count, partial }: SearchReturn): boolean {
  return min || max || all || count || partial !== undefined;
}

/** `["RETURN" SP "(" [option *(SP option)] ")" SP]`; undefined if there is none. */
export function parseSearchReturn(parser: Parser): SearchReturn | undefined {
  if (!/^RETURN \(/i.test(parser.rest(8))) return undefined;
  parser.keyword();
  parser.space();
  let wanted = NOTHING;
  /** RFC 5267 §4.4: of ALL and PARTIAL there may be one, once. */
  let lists = 0;
  parser.list(
    () => {
      const name = parser.keyword();
      if (name === "ALL" || name === "PARTIAL") lists++;
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
          // CONTEXT is an option, so that this is not `RETURN ()`.
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
  if (lists > 1) throw new ImapSyntaxError("Either ALL or PARTIAL");
  return wanted === NOTHING ? RETURN_ALL : wanted;
}
