import { isTurnOver, takeTurn } from "@restante/host";
import { INPROGRESS_MS } from "../limits.ts";
import { conditionOf } from "../search.ts";
import type { Session } from "../session.ts";
import { formatString } from "../wire/format.ts";
import { BadCharset, parseSearchProgram, SEARCH_CHARSETS, type SearchKey } from "../wire/search-keys.ts";
import { parseSearchReturn, RETURN_ALL, type SearchReturn } from "../wire/search-return.ts";
import { formatRanges, type SetRange } from "../wire/sequence-set.ts";
import { type Command, defineCommand, type Form, no, ok } from "./command.ts";
import { partOf } from "./fetch.ts";
import { rangesOf } from "./message-set.ts";

/** SEARCH: RFC 9051 §6.4.4, answered as RFC 3501 §7.2.5 has it, or by ESEARCH: RFC 4731; WITHIN: RFC 5032; MODSEQ: RFC 7162
 * §3.1.5. SENTBEFORE, SENTON and SENTSINCE find no message without a Date. */
export const search: Command<unknown> = defineCommand({
  name: "SEARCH",
  in: ["selected"],
  uid: true,
  expunges: "must-not",
  parse(parser) {
    parser.space();
    const wanted = parseSearchReturn(parser);
    try {
      return { wanted, key: parseSearchProgram(parser) };
    } catch (error) {
      if (!(error instanceof BadCharset)) throw error;
      parser.skip(parser.rest().length);
      return { wanted, key: error };
    }
  },
  async run({ wanted, key }, session, form) {
    // What was saved is gone, however this ends: RFC 5182 §2.1.
    if (wanted?.save) session.save([]);
    if (key instanceof BadCharset) return no("Charset is not supported", `BADCHARSET (${SEARCH_CHARSETS.join(" ")})`);
    const byModSeq = asksModSeq(key);
    if (byModSeq) session.enableCondstore();
    const { view, mail } = session;
    const condition = conditionOf(key, session, session.link.nowMs());
    const pace = { isOver: isTurnOver, take: takeTurn };
    const places = await tellingProgress(session, form, () => mail.search(view, condition, { pace }));
    if (wanted?.save) session.save(savedOf(session, places, wanted));
    if (wanted || session.isRev2) session.untagged(esearch(session, places, form, { wanted, byModSeq }));
    else {
      const hits = places.map((place) => (form.uid ? view.uidAt(place) : place + 1));
      const modSeq = byModSeq && places.length > 0 ? ` (MODSEQ ${highestOf(session, places)})` : "";
      session.untagged(`${["SEARCH", ...hits].join(" ")}${modSeq}`);
    }
    return ok("SEARCH completed");
  },
});

/** Long work, and a word now and then that it goes on: RFC 9585. */
export async function tellingProgress<T>(session: Session, { tag }: Form, work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => {
    session.untagged(`OK [INPROGRESS (${formatString(tag)} NIL NIL)] Still searching`);
    session.link.flushSoon();
  }, INPROGRESS_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

function asksModSeq(key: SearchKey): boolean {
  switch (key.kind) {
    case "modSeq":
      return true;
    case "and":
    case "or":
      return key.keys.some(asksModSeq);
    case "not":
      return asksModSeq(key.key);
    default:
      return false;
  }
}

/** ESEARCH: RFC 4731 §3.1. */
function esearch(
  session: Session,
  places: readonly number[],
  { uid, tag }: Form,
  { wanted = RETURN_ALL, byModSeq }: { readonly wanted: SearchReturn | undefined; readonly byModSeq: boolean },
): string {
  const { view } = session;
  const numberOf = (place: number): number => (uid ? view.uidAt(place) : place + 1);
  const parts = [`ESEARCH (TAG ${formatString(tag)})`];
  if (uid) parts.push("UID");
  if (places.length > 0) {
    if (wanted.min) parts.push(`MIN ${numberOf(places[0]!)}`);
    if (wanted.max) parts.push(`MAX ${numberOf(places.at(-1)!)}`);
    if (wanted.all) parts.push(`ALL ${formatRanges(rangesOf(view, places, uid))}`);
  }
  if (wanted.count) parts.push(`COUNT ${places.length}`);
  if (wanted.partial) {
    const { first, last } = wanted.partial;
    const part = partOf(places, wanted.partial);
    const set = part.length > 0 ? formatRanges(rangesOf(view, part, uid)) : "NIL";
    parts.push(`PARTIAL (${first}:${last} ${set})`);
  }
  const told = toldOf(places, wanted);
  if (byModSeq && told.length > 0) parts.push(`MODSEQ ${highestOf(session, told)}`);
  return parts.join(" ");
}

/** The places whose modseqs count: all, unless some alone were asked for: RFC 7162 §3.1.10. */
function toldOf(places: readonly number[], { min, max, all, count, partial }: SearchReturn): readonly number[] {
  if (places.length === 0 || all || count || !(min || max || partial)) return places;
  const ends = [...(min ? [places[0]!] : []), ...(max ? [places.at(-1)!] : [])];
  const inPart = partial ? partOf(places, partial) : [];
  return [...new Set([...ends, ...inPart])].sort((a, b) => a - b);
}

function highestOf({ view }: Session, places: readonly number[]): number {
  return places.reduce((highest, place) => Math.max(highest, view.modSeqOf(view.message(place))), 0);
}

/** What `$` then stands for: RFC 5182 §2.4. Ranges of uids: what lies between two messages never comes again. */
function savedOf({ view }: Session, places: readonly number[], wanted: SearchReturn): SetRange[] {
  const ranges = rangesOf(view, toldOf(places, wanted), false);
  return ranges.map(({ first, last }) => ({ first: view.uidAt(first - 1), last: view.uidAt(last - 1) }));
}
