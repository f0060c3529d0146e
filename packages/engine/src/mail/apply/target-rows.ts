import { type Row, type Uid, uidAfter } from "../numbers.ts";
import type { OpOf, Targets } from "../ops/op.ts";
import type { PlacedOp } from "../ops/placed-op.ts";
import { comparePlaces, makeRuns, type Place, type RunStep, type TargetRun } from "../ops/targets.ts";
import type { Mailbox } from "../state/mailbox.ts";
import type { ReadMailbox, ReadState } from "../state/read-state.ts";
import type { MailState } from "../state/state.ts";
import type { Block } from "./block.ts";

/** Which rows of the state an op names. */
export type TargetOp = OpOf<"flags" | "copy" | "move" | "expunge">;

/** The live memberships of `mailbox` that `runs` name, in uid order, and how many single names are gone. However many
 * the runs are, the mailbox is walked over once. */
export function resolveTargets(
  state: ReadState,
  mailbox: ReadMailbox,
  runs: readonly TargetRun[],
): { readonly rows: Row[]; readonly gone: number } {
  const { uid } = state.memberships.columns;
  const rows: Row[] = [];
  let gone = 0;
  const long: TargetRun[] = [];
  for (const run of runs) {
    if (comparePlaces(run.first, run.last) !== 0) {
      long.push(run);
      continue;
    }
    const row = state.findMembership({ writer: run.writer, ...run.first });
    if (row !== undefined && state.isLive(row) && state.mailboxOf(row) === mailbox) rows.push(row);
    else gone++;
  }
  if (long.length > 0) for (const row of rowsInRuns(state, mailbox, long)) rows.push(row);
  return { rows: isAscending(rows, uid) ? rows : inUidOrder(state, [...new Set(rows)]), gone };
}

function rowsInRuns(state: ReadState, mailbox: ReadMailbox, runs: readonly TargetRun[]): Row[] {
  const { uid, writer, sequence, index } = state.memberships.columns;
  const { messages } = mailbox;
  const uidOf = (row: Row): Uid => uid.get(row);
  const byWriter = new Map<number, TargetRun[]>();
  let from = messages.length;
  let to = 0;
  for (const run of runs) {
    const number = state.findWriter(run.writer);
    if (number === undefined) continue;
    const known = byWriter.get(number);
    if (known) known.push(run);
    else byWriter.set(number, [run]);
    const first = state.findMembership({ writer: run.writer, ...run.first });
    const last = state.findMembership({ writer: run.writer, ...run.last });
    from = Math.min(from, first === undefined ? 0 : messages.lowerBound(uid.get(first), uidOf));
    to = Math.max(to, last === undefined ? messages.length : messages.lowerBound(uidAfter(uid.get(last)), uidOf));
  }
  for (const own of byWriter.values()) own.sort((a, b) => comparePlaces(a.first, b.first));
  const rows: Row[] = [];
  for (let position = from; position < to; position++) {
    const row = messages.at(position);
    const own = byWriter.get(writer.get(row));
    if (own && isInRuns(own, { sequence: sequence.get(row), index: index.get(row) })) rows.push(row);
  }
  return rows;
}

/** True if one of a writer's runs, which begin in order, holds this place. Runs of our authors don't overlap: only the last
 * one that begins before the place may hold it. Hostile runs that overlap name less. */
function isInRuns(runs: readonly TargetRun[], place: Place): boolean {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (comparePlaces(runs[middle]!.first, place) <= 0) low = middle + 1;
    else high = middle;
  }
  return low > 0 && comparePlaces(place, runs[low - 1]!.last) <= 0;
}

/** Memberships that are walked over in the time in which one is looked up by its uid. */
const LOOKUP_COST = 16;

/** Runs that name these live rows of `mailbox` (in uid order). */
export function runsOf(state: ReadState, mailbox: ReadMailbox, rows: readonly Row[]): TargetRun[] {
  const { uid } = state.memberships.columns;
  const { messages } = mailbox;
  const step = (row: Row, isNamed: boolean): RunStep => {
    const { writer, sequence, index } = state.nameOf(row);
    return { writer, place: { sequence, index }, isNamed };
  };
  const positionOf = (row: Row): number => messages.lowerBound(uid.get(row), (r) => uid.get(r));
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined) return [];
  const [from, to] = [positionOf(first), positionOf(last)];
  // Few that lie far apart: each by itself.
  if ((to - from) / rows.length > LOOKUP_COST) return rows.flatMap((row) => makeRuns([step(row, true)]));
  return makeRuns(
    (function* () {
      let next = 0;
      for (let position = from; position <= to; position++) {
        const row = messages.at(position);
        const isNamed = row === rows[next];
        if (isNamed) next++;
        yield step(row, isNamed);
      }
    })(),
  );
}

/** The rows that an op acts on, in uid order. If its author judged it these are the ones that he saw, though others may
 * have taken them since: a move beside an expunge leaves the moved message. */
export function targetRows(state: MailState, placed: PlacedOp, op: Targets, block: Block): readonly Row[] {
  const mailbox = state.findMailbox(op.mailbox);
  if (!mailbox) return [];
  const { rows } = resolveTargets(state, mailbox, op.targets);
  if (!placed.judged) return rows;
  const isNamed = (row: Row): boolean => {
    const name = state.nameOf(row);
    return op.targets.some(
      ({ writer, first, last }) =>
        writer === name.writer && comparePlaces(first, name) <= 0 && comparePlaces(name, last) <= 0,
    );
  };
  return inUidOrder(state, [...rows, ...block.takenUnknownTo(placed, mailbox).filter(isNamed)]);
}

/** All rows that were in `mailbox` for the author of an op. */
export function rowsKnown(state: MailState, placed: PlacedOp, mailbox: Mailbox, block: Block): readonly Row[] {
  const rows = Array.from({ length: mailbox.messages.length }, (_, position) => mailbox.messages.at(position));
  if (!placed.judged) return rows;
  const isKnown = (row: Row): boolean => {
    const { writer, sequence } = state.nameOf(row);
    return placed.knows(writer, sequence);
  };
  return inUidOrder(state, [...rows, ...block.takenUnknownTo(placed, mailbox)].filter(isKnown));
}

/** Runs are made in uid order; hostile ones may overlap. */
function isAscending(rows: readonly Row[], uid: { get(row: Row): Uid }): boolean {
  return rows.every((row, at) => at === 0 || uid.get(rows[at - 1]!) < uid.get(row));
}

function inUidOrder(state: ReadState, rows: Row[]): Row[] {
  const { uid } = state.memberships.columns;
  return rows.sort((a, b) => uid.get(a) - uid.get(b));
}
