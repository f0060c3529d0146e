import type { Position } from "../../bay/position.ts";
import type { Breathe } from "../contents/digest.ts";
import {
  asModSeq,
  type EmailRow,
  FIRST_EMAIL_ROW,
  FIRST_ROW,
  higherOf,
  type ModSeq,
  modSeqAfter,
  NO_MODSEQ,
  type Row,
} from "../numbers.ts";
import type { Column, Kinds, Schema, Table } from "../state/columns.ts";
import type { Mailbox } from "../state/mailbox.ts";
import { DEAD, MailState } from "../state/state.ts";

/**
 * A state without what nobody asks for any more (docs/rules.md §5): memberships that were removed longer
 * ago than the last {@link REMOVALS_MAX}, emails that none of the others has, mailboxes that are gone, keyword sets and
 * writers that nothing uses. Rows get new numbers; uids, modseqs, names and the lasting numbers of emails stay.
 */

/** Removals of an account that it can still tell of one by one, and mailboxes that are gone. */
export const REMOVALS_MAX = 65_536;
export const GONE_MAILBOXES_MAX = 1_000;

/** Rows that are looked at in one turn: a few milliseconds. */
const ROWS_AT_ONCE = 8192;

/** True if a state has rows or keyword sets that it could do without. */
export function hasDeadWeight(state: MailState, limits: ShrinkLimits = LIMITS): boolean {
  const live = state.allMailboxes().reduce((sum, mailbox) => sum + mailbox.messages.length, 0);
  const gone = state.mailboxes.length - state.allMailboxes().length;
  const used = new Set(state.allMailboxes().flatMap(({ keywordSets }) => [...keywordSets.keys()]));
  return (
    state.memberships.rows - live > limits.removals ||
    gone > limits.goneMailboxes ||
    state.keywords.all.length - 1 > used.size
  );
}

export interface ShrinkLimits {
  readonly removals: number;
  readonly goneMailboxes: number;
}
const LIMITS: ShrinkLimits = { removals: REMOVALS_MAX, goneMailboxes: GONE_MAILBOXES_MAX };

/** Copies what others may change meanwhile, at once; the rest is done in turns by what is returned. `numbering` is the name of
 * the new numbering of rows. */
export function shrink(
  state: MailState,
  numbering: Position,
  breathe: Breathe,
  limits: ShrinkLimits = LIMITS,
): () => Promise<MailState> {
  const copy = state.copyTables();
  const shrunk = new MailState();
  const { modSeq, uidValidity, pathWrites, epoch, begun, requires, emailNumbers, silentBefore } = state;
  Object.assign(shrunk, { modSeq, uidValidity, pathWrites, epoch, begun, requires, emailNumbers, silentBefore });
  const { lastCondemn, lastForget, slots, checkpoints, trimmed, tailStart } = state;
  Object.assign(shrunk, { lastCondemn, lastForget, slots, checkpoints, trimmed });
  Object.assign(shrunk.sweep, state.sweep);
  Object.assign(shrunk.changed, state.changed);
  shrunk.numbering = state.numbering;
  shrunk.floor = state.floor;
  shrunk.pages = { ...state.pages, numbering, memberships: [], emails: [] };
  for (const path of state.subscriptions) shrunk.subscriptions.add(path);
  for (const [name, entry] of state.condemned) shrunk.condemned.set(name, entry);
  for (const [note, entry] of state.takenNotes) shrunk.takenNotes.set(note, entry);
  for (const [name, { missing, ...stream }] of state.streams)
    shrunk.streams.set(name, { ...stream, missing: new Map(missing) });
  for (const record of state.records.all()) shrunk.records.set(record);
  for (const [type, changed, floor] of state.records.types()) shrunk.records.setType(type, changed, floor);
  const mailboxes = state.mailboxes.map(copyMailbox);
  const keywords = [...state.keywords.all];
  const writers = [...state.writers];
  const lasting = state.lastingNames.entries();
  const tail = [...state.tail];
  return async () => {
    const lowest = await floorOf(copy.memberships, limits.removals, breathe);
    const goneFloor = floorOfMailboxes(mailboxes, limits.goneMailboxes);
    shrunk.floor = higherOf(shrunk.floor, higherOf(lowest, goneFloor));
    const { columns } = copy.memberships;
    const isKept = (row: Row): boolean => (columns.flags.get(row) & DEAD) === 0 || columns.modSeq.get(row) > lowest;

    // Emails that some kept membership has, in their order.
    const emailOf = new Map<EmailRow, EmailRow>();
    const wanted = new Uint8Array(copy.emails.rows);
    const ordinals = new Set<number>();
    for (let row = FIRST_ROW; row < copy.memberships.rows; row++) {
      if (isTurnOver(row)) await breathe?.();
      if (!isKept(row)) continue;
      wanted[columns.email.get(row)] = 1;
      ordinals.add(columns.mailbox.get(row));
    }
    for (let row = FIRST_EMAIL_ROW; row < copy.emails.rows; row++) {
      if (isTurnOver(row)) await breathe?.();
      if (wanted[row] === 0) continue;
      if (row < tailStart) shrunk.tailStart++;
      else shrunk.tail.push(tail[row - tailStart]!);
      const isHeld = copy.emails.columns.held.get(row) > 0;
      emailOf.set(row, copyRow(copy.emails, row, shrunk.emails, isHeld ? undefined : KEPT_OF_DEAD_EMAIL));
    }

    const ordinalOf = new Map<number, number>();
    for (const mailbox of mailboxes) {
      if (mailbox.gone && mailbox.propsModSeq <= shrunk.floor && !ordinals.has(mailbox.ordinal)) continue;
      const made = shrunk.addMailbox(mailbox.id, mailbox.path, mailbox);
      ordinalOf.set(mailbox.ordinal, made.ordinal);
      Object.assign(made, mailbox.fields);
      for (const range of mailbox.burnt) made.burnt.add(range);
    }

    const rowOf = new Map<Row, Row>();
    const numbers = keywords.map(() => -1);
    const keywordsOf = (set: number): number => {
      if (numbers[set] === -1) numbers[set] = shrunk.keywords.number(keywords[set]!);
      return numbers[set]!;
    };
    const lastingRows = new Set(lasting.map(([row]) => row));
    for (let row = FIRST_ROW; row < copy.memberships.rows; row++) {
      if (isTurnOver(row)) await breathe?.();
      if (!isKept(row)) continue;
      const isDead = (columns.flags.get(row) & DEAD) !== 0;
      const made = copyRow(copy.memberships, row, shrunk.memberships, isDead ? KEPT_OF_DEAD_MEMBERSHIP : undefined);
      const to = shrunk.memberships.columns;
      to.writer.set(made, shrunk.writerNumber(writers[columns.writer.get(row)]!));
      to.email.set(made, emailOf.get(columns.email.get(row))!);
      to.mailbox.set(made, ordinalOf.get(columns.mailbox.get(row))!);
      to.flags.set(made, isDead ? DEAD : columns.flags.get(row));
      to.keywords.set(made, isDead ? 0 : keywordsOf(columns.keywords.get(row)));
      if (lastingRows.has(row)) rowOf.set(row, made);
    }
    for (const [row, name] of lasting) {
      const made = rowOf.get(row);
      if (made !== undefined) shrunk.lastingNames.give(made, name);
    }
    return shrunk;
  };
}

/** Others have their turn before this row is looked at. */
function isTurnOver(row: Row | EmailRow): boolean {
  return row % ROWS_AT_ONCE === ROWS_AT_ONCE - 1;
}

/** Columns that are kept of the dead: all others are zero. `flags` and columns that point to other rows are set by
 * themselves. */
const KEPT_OF_DEAD_MEMBERSHIP: ReadonlySet<string> = new Set(["sequence", "index", "uid", "modSeq"]);
const KEPT_OF_DEAD_EMAIL: ReadonlySet<string> = new Set([
  "id",
  "threadHigh",
  "threadLow",
  "made",
  "returned",
  "number",
]);

function copyRow<S extends Schema, N extends Kinds<S>, R extends number>(
  from: Table<S, N, R>,
  row: R,
  to: Table<S, N, R>,
  kept?: ReadonlySet<string>,
): R {
  const made = to.add();
  for (const name of Object.keys(from.schema)) {
    if (kept && !kept.has(name)) continue;
    const [source, target] = [from.columns[name]!, to.columns[name]!] as [Column, Column];
    if (source.kind === "id") target.setId(made, source.getId(row));
    else target.set(made, source.get(row));
  }
  return made;
}

function copyMailbox(mailbox: Mailbox) {
  const { id, ordinal, path, wantedPath, pathWritten, type, specialUse, sortOrder, made, propsModSeq } = mailbox;
  const { uidValidity, uidNext, highestModSeq, gone } = mailbox;
  const fields = { wantedPath, pathWritten, sortOrder, made, propsModSeq, uidValidity, uidNext, highestModSeq, gone };
  return { id, ordinal, path, type, specialUse, gone, propsModSeq, fields, burnt: [...mailbox.burnt.ranges] };
}

/** The highest modseq of a removal that is one too many, 0 if none is: found by halves, so that nothing is sorted. */
async function floorOf(memberships: MailState["memberships"], max: number, breathe: Breathe): Promise<ModSeq> {
  const { flags, modSeq } = memberships.columns;
  const removedAfter = async (floor: ModSeq): Promise<number> => {
    let count = 0;
    for (let row = FIRST_ROW; row < memberships.rows; row++) {
      if (isTurnOver(row)) await breathe?.();
      if ((flags.get(row) & DEAD) !== 0 && modSeq.get(row) > floor) count++;
    }
    return count;
  };
  if ((await removedAfter(NO_MODSEQ)) <= max) return NO_MODSEQ;
  let high = NO_MODSEQ;
  for (let row = FIRST_ROW; row < memberships.rows; row++) high = higherOf(high, modSeq.get(row));
  let low = NO_MODSEQ;
  // The lowest floor with at most `max` removals above it.
  while (low < high) {
    const middle = asModSeq(Math.floor((low + high) / 2));
    if ((await removedAfter(middle)) <= max) high = middle;
    else low = modSeqAfter(middle);
  }
  return high;
}

function floorOfMailboxes(mailboxes: readonly ReturnType<typeof copyMailbox>[], max: number): ModSeq {
  const gone = mailboxes.filter((mailbox) => mailbox.gone).map(({ propsModSeq }) => propsModSeq);
  return gone.length > max ? gone.sort((a, b) => b - a)[max]! : NO_MODSEQ;
}
