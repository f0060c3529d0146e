import {
  higherOf,
  type MailboxView,
  type ModSeq,
  NO_MODSEQ,
  positionOf,
  type SequenceNumber,
  sequenceNumberAt,
  type Uid,
  type UidSpan,
} from "@restante/engine";
import type { Form } from "./commands/command.ts";
import { numberingOf, rangesOf } from "./commands/message-set.ts";
import { KeptTexts } from "./kept-texts.ts";
import { INPROGRESS_MS } from "./limits.ts";
import { partOf } from "./part-of.ts";
import type { Session } from "./session.ts";
import { formatString } from "./wire/format.ts";
import type { SearchKey } from "./wire/search-keys.ts";
import { RETURN_ALL, type SearchReturn } from "./wire/search-return.ts";
import { formatRanges } from "./wire/sequence-set.ts";

/** How SEARCH and SORT tell what they found. */

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

export function asksModSeq(key: SearchKey): boolean {
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

const texts = new KeptTexts<Uint32Array>();

/** The numbers of all that was found, in order. */
export function numbersOf({ view }: Session, places: Uint32Array, { uid }: Form): string {
  return texts.get(places, uid ? "uids" : "numbers", () => Array.from(places, numberingOf(view, uid)).join(" "));
}

function setOf(view: MailboxView, places: Uint32Array, uid: boolean): string {
  return texts.get(places, uid ? "uid set" : "number set", () =>
    formatRanges(rangesOf(places, numberingOf(view, uid))),
  );
}

interface Found {
  readonly wanted: SearchReturn | undefined;
  readonly byModSeq: boolean;
  /** Which mailbox it was found in, if that is not the selected one: RFC 7377 §2. */
  readonly of?: string;
}

/** ESEARCH: RFC 4731 §3.1. `places` stand in their order, which is that of the answer: RFC 5267 §3. */
export function esearch(
  session: Session,
  places: Uint32Array,
  { uid, tag }: Form,
  { wanted = RETURN_ALL, byModSeq, of = "" }: Found,
): string {
  const { view } = session;
  const numberOf = numberingOf(view, uid);
  const parts = [`ESEARCH (TAG ${formatString(tag)}${of})`];
  if (uid) parts.push("UID");
  if (places.length > 0) {
    if (wanted.min) parts.push(`MIN ${numberOf(places[0]!)}`);
    if (wanted.max) parts.push(`MAX ${numberOf(places.at(-1)!)}`);
    if (wanted.all) parts.push(`ALL ${setOf(view, places, uid)}`);
  }
  if (wanted.count) parts.push(`COUNT ${places.length}`);
  if (wanted.partial) {
    const { first, last } = wanted.partial;
    const part = partOf(places, wanted.partial);
    const set = part.length > 0 ? formatRanges(rangesOf(part, numberOf)) : "NIL";
    parts.push(`PARTIAL (${first}:${last} ${set})`);
  }
  const told = toldOf(places, wanted);
  if (byModSeq && told.length > 0) parts.push(`MODSEQ ${highestOf(session, told)}`);
  return parts.join(" ");
}

/** The places whose modseqs count: all, unless some alone were asked for: RFC 7162 §3.1.10. */
function toldOf(places: Uint32Array, { min, max, all, count, partial }: SearchReturn): Uint32Array {
  if (places.length === 0 || all || count || !(min || max || partial)) return places;
  const ends = [...(min ? [places[0]!] : []), ...(max ? [places.at(-1)!] : [])];
  const inPart = partial ? partOf(places, partial) : [];
  return Uint32Array.from(new Set([...ends, ...inPart])).sort();
}

/** The highest modseq that is told of these. */
export function highestOf({ view }: Session, places: Uint32Array): ModSeq {
  return places.reduce<ModSeq>((highest, place) => higherOf(highest, view.modSeqOf(view.message(place))), NO_MODSEQ);
}

/** Uids that `$` stands for after the search: RFC 5182 §2.4. A range may span two neighbours of the mailbox, since no message
 * ever gets a uid between theirs. */
export function savedOf({ view }: Session, places: Uint32Array, wanted: SearchReturn): UidSpan[] {
  const told = toldOf(places, wanted).toSorted();
  const uidAt = (number: SequenceNumber): Uid => view.uidAt(positionOf(number));
  return rangesOf(told, sequenceNumberAt).map(({ first, last }) => ({ first: uidAt(first), last: uidAt(last) }));
}
