import {
  asUid,
  type Condition,
  EngineError,
  type SequenceNumber,
  type SortKey,
  sequenceNumberAt,
  type Uid,
} from "@restante/engine";
import { PACE } from "@restante/host";
import { CONTEXT_MESSAGES_MAX, CONTEXTS_MAX } from "./limits.ts";
import { conditionOf } from "./search.ts";
import type { Session } from "./session.ts";
import { formatString } from "./wire/format.ts";
import type { SearchKey } from "./wire/search-keys.ts";
import { formatSequenceSet } from "./wire/sequence-set.ts";

/** A search whose result a client holds. */
interface Context {
  readonly tag: string;
  /** Its sets name uids. */
  readonly key: SearchKey;
  /** Undefined: the mailbox's order. */
  readonly by: readonly SortKey[] | undefined;
  /** True where answers name uids: the search was a UID form. */
  readonly uid: boolean;
  /** Uids of the result as the client holds it, in its order. */
  held: Uint32Array;
}

/** A message's sequence number, as the client has it. */
type NumberOf = (uid: Uid) => SequenceNumber;

/** Results of searches that a client wants to be kept up to date with, in the selected mailbox: RFC 5267 §4.3. */
export class SearchContexts {
  readonly #contexts = new Map<string, Context>();
  /** Uids of messages that the client itself changed. */
  #changed: Uid[] = [];

  has(tag: string): boolean {
    return this.#contexts.has(tag);
  }

  /** From now on changes of this result are told; `places` are what was found. False: there are too many. */
  add(session: Session, context: Omit<Context, "held">, places: Uint32Array): boolean {
    const messages = [...this.#contexts.values()].reduce((sum, { held }) => sum + held.length, places.length);
    if (this.#contexts.size >= CONTEXTS_MAX || messages > CONTEXT_MESSAGES_MAX) return false;
    const held = Uint32Array.from(places, (place) => session.view.uidAt(place));
    this.#contexts.set(context.tag, { ...context, held });
    return true;
  }

  /** CANCELUPDATE: RFC 5267 §4.3.5. */
  cancel(tag: string): void {
    this.#contexts.delete(tag);
  }

  /** Sequence numbers are told no more: RFC 9586 §3. Results that are told in them are followed no longer. */
  *endNumbers(): Generator<string> {
    for (const { tag, uid } of [...this.#contexts.values()]) if (!uid) yield this.#endFollowing(tag);
  }

  #endFollowing(tag: string): string {
    this.cancel(tag);
    return `NO [${noUpdate(tag)}] This search can't be followed any more`;
  }

  /** Answers for results that lose messages. They are sent before the EXPUNGE or VANISHED, while the client's sequence
   * numbers still hold: RFC 5267 §4.3.4. `uids` are those that the view has just lost, ascending. */
  *expunged({ view }: Session, uids: readonly Uid[]): Generator<string> {
    if (this.#contexts.size === 0 || uids.length === 0) return;
    const numbers = new Map(uids.map((uid, at) => [uid, sequenceNumberAt(view.lowerBound(uid) + at)]));
    for (const context of this.#contexts.values()) {
      const removed = remove(
        context,
        (uid) => numbers.has(uid),
        (uid) => numbers.get(uid)!,
      );
      if (removed.length > 0) yield answer(context, removed);
    }
  }

  /** The client itself changed these: no other answer may tell of it. */
  noteChanged({ view }: Session, positions: readonly number[]): void {
    if (this.#contexts.size > 0) for (const position of positions) this.#changed.push(view.uidAt(position));
  }

  /** Answers for results that gain or lose messages: after messages came, or after the client was told of changed ones. */
  async *changed(session: Session, positions: readonly number[]): AsyncGenerator<string> {
    if (this.#contexts.size === 0) return;
    const { view } = session;
    const changed = [...new Set([...this.#changed, ...positions.map((at) => view.uidAt(at))])].sort((a, b) => a - b);
    this.#changed = [];
    if (changed.length === 0) return;
    for (const context of this.#contexts.values()) {
      try {
        const parts = await (context.by ? sortAgain(context, session) : judge(context, session, changed));
        if (parts.length > 0) yield answer(context, parts);
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        // A search that fails now would give wrong results later, so its following ends.
        yield this.#endFollowing(context.tag);
      }
    }
  }
}

/** RFC 5267 §4.3.1. */
export function noUpdate(tag: string): string {
  return `NOUPDATE ${formatString(tag)}`;
}

function answer({ tag, uid }: Context, parts: readonly string[]): string {
  return [`ESEARCH (TAG ${formatString(tag)})`, ...(uid ? ["UID"] : []), ...parts].join(" ");
}

/** Which of the changed messages are in the result now, and were. */
async function judge(context: Context, session: Session, changed: readonly Uid[]): Promise<string[]> {
  const { view, mail } = session;
  const among: Condition = { kind: "uids", ranges: changed.map((uid) => ({ first: uid, last: uid })) };
  const condition: Condition = { kind: "and", of: [among, conditionOf(context.key, session, session.link.nowMs())] };
  const places = await mail.search(view, condition, { pace: PACE });
  const found = new Set(Array.from(places, (place) => view.uidAt(place)));
  const isOut = new Set(changed.filter((uid) => !found.has(uid)));
  const removed = remove(context, (uid) => isOut.has(uid), numbersOf(session));
  const held = new Set(context.held);
  const added = changed.filter((uid) => found.has(uid) && !held.has(uid));
  if (added.length === 0) return removed;
  context.held = Uint32Array.from([...context.held, ...added]).sort();
  return [...removed, `ADDTO (0 ${formatUids(context, added, numbersOf(session))})`];
}

/** The whole is sorted anew. A message's sort keys never change: messages that stay keep their order. */
async function sortAgain(context: Context, session: Session): Promise<string[]> {
  const { view, mail } = session;
  const condition = conditionOf(context.key, session, session.link.nowMs());
  const places = await mail.sort(view, condition, context.by!, { pace: PACE });
  const present = Uint32Array.from(places, (place) => view.uidAt(place));
  const stays = new Set(present);
  const removed = remove(context, (uid) => !stays.has(uid), numbersOf(session));
  const before = new Set(context.held);
  context.held = present;
  const added = runsOf(present, (uid) => !before.has(uid));
  return added.length === 0 ? removed : [...removed, `ADDTO (${formatRuns(context, added, numbersOf(session))})`];
}

/** Takes what fits out of what the client holds, and tells it. */
function remove(context: Context, fits: (uid: Uid) => boolean, numberOf: NumberOf): string[] {
  const runs = runsOf(context.held, fits);
  if (runs.length === 0) return [];
  context.held = context.held.filter((uid) => !fits(asUid(uid)));
  if (context.by)
    // From the end: those before keep their positions.
    return [`REMOVEFROM (${formatRuns(context, runs.reverse(), numberOf)})`];
  return [
    `REMOVEFROM (0 ${formatUids(
      context,
      runs.flatMap(({ uids }) => [...uids]),
      numberOf,
    )})`,
  ];
}

/** Neighbours in a result, from a position on. */
interface Run {
  readonly from: number;
  readonly uids: Uint32Array;
}

function runsOf(list: Uint32Array, fits: (uid: Uid) => boolean): Run[] {
  const runs: Run[] = [];
  for (let from = 0; from < list.length; from++) {
    let to = from;
    while (to < list.length && fits(asUid(list[to]!))) to++;
    if (to === from) continue;
    runs.push({ from, uids: list.subarray(from, to) });
    from = to;
  }
  return runs;
}

/** `context-position SP sequence-set`, of each: RFC 5267 §5. */
function formatRuns(context: Context, runs: readonly Run[], numberOf: NumberOf): string {
  return runs.map(({ from, uids }) => `${from + 1} ${formatUids(context, uids, numberOf)}`).join(" ");
}

function formatUids({ uid: isUid }: Context, uids: Iterable<number>, numberOf: NumberOf): string {
  return formatSequenceSet(isUid ? uids : Array.from(uids, (uid) => numberOf(asUid(uid))));
}

function numbersOf({ view }: Session): NumberOf {
  return (uid) => sequenceNumberAt(view.lowerBound(uid));
}
