import type { Condition, SortKey } from "@restante/engine";
import { PACE } from "@restante/host";
import { noUpdate } from "../contexts.ts";
import { limitedSearch } from "../message-limit.ts";
import { conditionOf, withUids } from "../search.ts";
import { asksModSeq, esearch, highestOf, numbersOf, savedOf, tellingProgress } from "../search-answers.ts";
import type { Session } from "../session.ts";
import { ImapSyntaxError } from "../wire/parser.ts";
import { BadCharset, SEARCH_CHARSETS, type SearchKey } from "../wire/search-keys.ts";
import { type SearchReturn, tells } from "../wire/search-return.ts";
import { type Completion, type Form, no, ok } from "./command.ts";

/** One search of the selected mailbox. */
export interface Search {
  readonly wanted: SearchReturn | undefined;
  readonly key: SearchKey | BadCharset;
  /** Undefined: in the mailbox's order. */
  readonly by?: readonly SortKey[];
}

/** Answers SEARCH and SORT, which differ in the order of what they find: RFC 5267 §4.1. */
export async function runSearch(
  name: "SEARCH" | "SORT",
  { wanted, key, by }: Search,
  session: Session,
  form: Form,
): Promise<Completion> {
  assertFreeTag(wanted, session, form);
  if (key instanceof BadCharset) return refuseCharset(wanted, session);
  const byModSeq = asksModSeq(key);
  if (byModSeq) session.enableCondstore();
  const { view, mail } = session;
  const { condition: asked, lasting } = prepare(key, wanted, session);
  const { condition, code } = by ? { condition: asked } : limitedSearch(session, asked);
  const places = await tellingProgress(session, form, () =>
    by ? mail.sort(view, condition, by, { pace: PACE }) : mail.search(view, condition, { pace: PACE }),
  );
  if (wanted?.save) session.save(savedOf(session, places, wanted));
  const updates = wanted?.update ? follow({ key: lasting, by }, places, session, form) : "";
  if (wanted && !tells(wanted) && wanted.save) return ok(`${name} completed, result saved${updates}`, code);
  if (wanted || (name === "SEARCH" && session.isRev2))
    session.untagged(esearch(session, places, form, { wanted, byModSeq }));
  else {
    const numbers = places.length > 0 ? ` ${numbersOf(session, places, form)}` : "";
    const modSeq = byModSeq && places.length > 0 ? ` (MODSEQ ${highestOf(session, places)})` : "";
    session.untagged(`${name}${numbers}${modSeq}`);
  }
  return ok(`${name} completed${updates}`, code);
}

/** A search that is refused saves nothing: RFC 5182 §2.1. */
export function refuseCharset(wanted: SearchReturn | undefined, session: Session): Completion {
  if (wanted?.save) session.save([]);
  return no("Charset is not supported", `BADCHARSET (${SEARCH_CHARSETS.join(" ")})`);
}

/** The condition to search by now, and the key to follow the search by. In both `$` is the former result. SAVE then empties
 * `$`, however the search ends: RFC 5182 §2.1. Throws as {@link conditionOf} does. */
export function prepare(
  key: SearchKey,
  wanted: SearchReturn | undefined,
  session: Session,
): { readonly condition: Condition; readonly lasting: SearchKey } {
  const condition = conditionOf(key, session, session.link.nowMs());
  const lasting = wanted?.update ? withUids(key, session) : key;
  if (wanted?.save) session.save([]);
  return { condition, lasting };
}

/** A tag names one result: RFC 5267 §4.3. */
export function assertFreeTag(wanted: SearchReturn | undefined, { selected }: Session, { tag }: Form): void {
  if (wanted?.update && selected?.contexts.has(tag)) throw new ImapSyntaxError("Tag is in use by another search");
}

/** From now on changes of this result are told. Gives the completion's text. */
export function follow(
  { key, by }: { readonly key: SearchKey; readonly by?: readonly SortKey[] | undefined },
  places: Uint32Array,
  session: Session,
  { tag, uid }: Form,
): string {
  if (session.selected?.contexts.add(session, { tag, key, by, uid }, places)) return ", changes will be told";
  return refuseUpdates(session, tag, "Too many searches are followed");
}

/** RFC 5267 §4.3.1. Gives the completion's text. */
export function refuseUpdates(session: Session, tag: string, why: string): string {
  session.untagged(`NO [${noUpdate(tag)}] ${why}`);
  return ", changes will not be told";
}
