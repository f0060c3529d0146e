import type { Op } from "../ops/op.ts";
import type { PlacedOp } from "../ops/placed-op.ts";
import { comparePlaces, makeRuns, type TargetRun } from "../ops/targets.ts";
import type { Mailbox } from "../state/mailbox.ts";
import type { MailState } from "../state/state.ts";
import type { Block } from "./block.ts";

/** Which rows of the state an op names. */
export type TargetOp = Op & { kind: "flags" | "copy" | "move" | "expunge" };

/** The live memberships of `mailbox` that `runs` name, in uid order, and how many single names are gone. */
export function resolveTargets(
  state: MailState,
  mailbox: Mailbox,
  runs: readonly TargetRun[],
): { readonly rows: number[]; readonly gone: number } {
  const { uid, writer, sequence, index } = state.memberships.columns;
  const rows: number[] = [];
  let gone = 0;
  for (const run of runs) {
    const first = state.findMembership({ writer: run.writer, ...run.first });
    if (comparePlaces(run.first, run.last) === 0) {
      if (first !== undefined && state.isLive(first) && state.mailboxOf(first) === mailbox) rows.push(first);
      else gone++;
      continue;
    }
    const number = state.writerNumber(run.writer);
    const last = state.findMembership({ writer: run.writer, ...run.last });
    const { messages } = mailbox;
    const uidOf = (row: number): number => uid.get(row);
    const from = first === undefined ? 0 : messages.lowerBound(uid.get(first), uidOf);
    const to = last === undefined ? messages.length : messages.lowerBound(uid.get(last) + 1, uidOf);
    for (let position = from; position < to; position++) {
      const row = messages.at(position);
      const place = { sequence: sequence.get(row), index: index.get(row) };
      if (writer.get(row) === number && comparePlaces(run.first, place) <= 0 && comparePlaces(place, run.last) <= 0)
        rows.push(row);
    }
  }
  return { rows: isAscending(rows, uid) ? rows : inUidOrder(state, [...new Set(rows)]), gone };
}

/** Runs that name these live rows of `mailbox` (in uid order). */
export function runsOf(state: MailState, mailbox: Mailbox, rows: readonly number[]): TargetRun[] {
  const { uid } = state.memberships.columns;
  const uidOf = (row: number): number => uid.get(row);
  let position = -1;
  return makeRuns(
    (function* () {
      for (const row of rows) {
        const next = position + 1;
        position =
          next < mailbox.messages.length && mailbox.messages.at(next) === row
            ? next
            : mailbox.messages.lowerBound(uid.get(row), uidOf);
        yield { name: state.nameOf(row), position };
      }
    })(),
  );
}

/** The rows that an op acts on, in uid order. If its author judged it these are the ones that he saw, though others may
 * have taken them since: a move beside an expunge leaves the moved message. */
export function targetRows(state: MailState, placed: PlacedOp, op: TargetOp, block: Block): readonly number[] {
  const mailbox = state.findMailbox(op.mailbox);
  if (!mailbox) return [];
  const { rows } = resolveTargets(state, mailbox, op.targets);
  if (!placed.judged) return rows;
  const isNamed = (row: number): boolean => {
    const name = state.nameOf(row);
    return op.targets.some(
      ({ writer, first, last }) =>
        writer === name.writer && comparePlaces(first, name) <= 0 && comparePlaces(name, last) <= 0,
    );
  };
  return inUidOrder(state, [...rows, ...block.takenUnknownTo(placed, mailbox).filter(isNamed)]);
}

/** All rows that were in `mailbox` for the author of an op. */
export function rowsKnown(state: MailState, placed: PlacedOp, mailbox: Mailbox, block: Block): readonly number[] {
  const rows = Array.from({ length: mailbox.messages.length }, (_, position) => mailbox.messages.at(position));
  if (!placed.judged) return rows;
  const isKnown = (row: number): boolean => {
    const { writer, sequence } = state.nameOf(row);
    return placed.knows(writer, sequence);
  };
  return inUidOrder(state, [...rows, ...block.takenUnknownTo(placed, mailbox)].filter(isKnown));
}

/** Runs are made in uid order; hostile ones may overlap. */
function isAscending(rows: readonly number[], uid: { get(row: number): number }): boolean {
  return rows.every((row, at) => at === 0 || uid.get(rows[at - 1]!) < uid.get(row));
}

function inUidOrder(state: MailState, rows: number[]): number[] {
  const { uid } = state.memberships.columns;
  return rows.sort((a, b) => uid.get(a) - uid.get(b));
}
