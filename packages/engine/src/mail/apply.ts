import { type Author, Block, type OpIdentity } from "./block.ts";
import { DELETED, splitFlags } from "./flags.ts";
import type { Mailbox } from "./mailbox.ts";
import { FOUNDER, INBOX_ID, type MailboxId, mailboxId, PATH_DELIMITER } from "./names.ts";
import type { FlagChange, NewEmail, Op } from "./op.ts";
import { type MailState, normalizeInbox } from "./state.ts";
import { comparePlaces, makeRuns, type TargetRun } from "./targets.ts";

/**
 * What ops mean. Two steps, so that linear and merge mode share one meaning:
 * `judge` asks an op's preconditions of a state and narrows it to what passed; `perform` carries a narrowed op out and
 * asks nothing. Linear mode judges when it applies: its present state is all that is lower. In merge mode the author
 * judges when it appends, on the state that is exactly the op's dependencies, and the log holds the narrowed op.
 *
 * Invariant: both are total and pure functions of (state, op): no clock, no randomness, no throw for any op.
 */
export interface PlacedOp extends Author {
  readonly op: Op;
  /** The log entry it came in and its place there. What its author had applied is, in linear mode, all that is lower. */
  readonly entry: number;
  readonly place: number;
  /** Judged by its author already: merge mode. */
  readonly judged: boolean;
}

export type Refusal =
  | "no-mailbox"
  | "path-taken"
  | "inbox"
  /** Made upon a view too old to be safe (a `forget`, `condemn` or other slot list came between): author it again. */
  | "stale"
  | "condemned";

/** What an op came to. Rows are the state's; an op that was refused has a `refusal` and changed nothing. */
export interface Outcome {
  readonly refusal?: Refusal;
  readonly modSeq: number;
  /** Memberships added, in order, and for COPY and MOVE the rows that they were made from. */
  readonly added: readonly number[];
  readonly sources: readonly number[];
  /** Their uids, which outlast the rows. */
  readonly addedUids: readonly number[];
  readonly sourceUids: readonly number[];
  /** Memberships whose flags were set; those refused by `unchangedSince`; those that were named but gone. */
  readonly changed: readonly number[];
  readonly refused: readonly number[];
  readonly gone: number;
  readonly removed: readonly number[];
  readonly mailbox?: MailboxId;
  /** Notes left out because they were taken in before. */
  readonly repeated: readonly string[];
}

/** Applies the ops of one block, in order, and returns their outcomes. */
export function applyBlock(state: MailState, ops: readonly PlacedOp[]): Outcome[] {
  const block = new Block(state, ops.length);
  const outcomes = ops.map((placed) => {
    const verdict: Verdict = placed.judged ? { op: placed.op } : judge(state, placed.op);
    const outcome = { ...nothing, modSeq: block.modSeq, ...verdict.outcome };
    return verdict.op ? { ...outcome, ...perform(state, placed, verdict.op, block) } : outcome;
  });
  block.end();
  const { uid } = state.memberships.columns;
  const uidsOf = (rows: readonly number[]): readonly number[] => rows.map((row) => uid.get(row));
  return outcomes.map((outcome) =>
    outcome.added.length === 0
      ? outcome
      : { ...outcome, addedUids: uidsOf(outcome.added), sourceUids: uidsOf(outcome.sources) },
  );
}

const nothing: Outcome = {
  modSeq: 0,
  added: [],
  sources: [],
  addedUids: [],
  sourceUids: [],
  changed: [],
  refused: [],
  gone: 0,
  removed: [],
  repeated: [],
};

interface Verdict {
  /** The op narrowed to what passed; absent if void. */
  readonly op?: Op;
  readonly outcome?: Partial<Outcome>;
}
const refuse = (refusal: Refusal): Verdict => ({ outcome: { refusal } });

/** Asks `op`'s preconditions of `state`: STORAGE rules, verdict 1 to 4. */
export function judge(state: MailState, op: Op): Verdict {
  switch (op.kind) {
    case "begin":
      return state.begun ? refuse("stale") : { op };
    case "create":
      return pathIsFree(state, op.path) ? { op } : refuse("path-taken");
    case "rename":
      return judgeRename(state, op);
    case "rename-inbox":
      return pathIsFree(state, op.path) ? { op } : refuse("path-taken");
    case "delete":
      if (op.mailbox === INBOX_ID) return refuse("inbox");
      return state.findMailbox(op.mailbox) ? { op } : refuse("no-mailbox");
    case "append":
      return judgeAppend(state, op);
    case "take-in":
      return judgeTakeIn(state, op);
    case "flags":
    case "copy":
    case "move":
    case "expunge":
      return judgeTargets(state, op);
    case "checkpoint":
      return state.lastCondemn > op.startedAt ? refuse("stale") : { op };
    case "slots":
      return op.upon === state.slots.entry ? { op } : refuse("stale");
    case "subscribe":
    case "condemn":
    case "forget":
    case "raise":
    case "nop":
      return { op };
  }
}

function pathIsFree(state: MailState, path: string): boolean {
  return normalizeInbox(path) !== "INBOX" && state.findPath(path) === undefined;
}

function judgeRename(state: MailState, op: Op & { kind: "rename" }): Verdict {
  const moving = new Set(op.paths.map(({ mailbox }) => mailbox));
  const [first] = op.paths;
  if (!first || moving.has(INBOX_ID)) return refuse("inbox");
  const mailbox = state.findMailbox(first.mailbox);
  if (!mailbox) return refuse("no-mailbox");
  if (`${first.path}${PATH_DELIMITER}`.startsWith(`${mailbox.path}${PATH_DELIMITER}`)) return refuse("path-taken");
  // A child that its author did not know would be left behind: author it again.
  if (state.below(mailbox.path).some((child) => !moving.has(child.id))) return refuse("stale");
  if (op.paths.some(({ path }) => !pathIsFree(state, path))) return refuse("path-taken");
  return { op: { ...op, paths: op.paths.filter((item) => state.findMailbox(item.mailbox)) } };
}

function judgeAppend(state: MailState, op: Op & { kind: "append" }): Verdict {
  if (!state.findMailbox(op.mailbox)) return refuse("no-mailbox");
  if (state.lastForget > op.since) return refuse("stale");
  const condemned = op.emails.some((email) => email.place.in === "object" && state.condemned.has(bodyName(email.id)));
  return condemned ? refuse("condemned") : { op };
}

function judgeTakeIn(state: MailState, op: Op & { kind: "take-in" }): Verdict {
  if (state.lastForget > op.listed) return refuse("stale");
  const repeated = op.notes.filter(({ note, stream, counter }) => {
    const known = state.streams.get(stream);
    const numberTaken = known !== undefined && counter <= known.highest && !known.missing.has(counter);
    return state.takenNotes.has(note) || (stream !== "" && numberTaken);
  });
  const notes = op.notes
    .filter((note) => !repeated.includes(note))
    .map((note) => (state.findMailbox(note.mailbox) ? note : { ...note, mailbox: INBOX_ID }));
  const outcome = { repeated: repeated.map(({ note }) => note) };
  return notes.length > 0 ? { op: { ...op, notes }, outcome } : { outcome };
}

type TargetOp = Op & { kind: "flags" | "copy" | "move" | "expunge" };

function judgeTargets(state: MailState, op: TargetOp): Verdict {
  const mailbox = state.findMailbox(op.mailbox);
  if (!mailbox) return refuse("no-mailbox");
  if ((op.kind === "copy" || op.kind === "move") && !state.findMailbox(op.to)) return refuse("no-mailbox");
  const { rows, gone } = resolveTargets(state, mailbox, op.targets);
  const { modSeq } = state.memberships.columns;
  const passes = (row: number): boolean =>
    op.kind === "flags"
      ? op.unchangedSince === undefined || modSeq.get(row) <= op.unchangedSince
      : op.kind !== "expunge" || (state.flagsOf(row).bits & DELETED) !== 0;
  const passed = rows.filter(passes);
  const outcome = { gone, refused: op.kind === "flags" ? rows.filter((row) => !passes(row)) : [] };
  if (passed.length === 0) return { outcome };
  return {
    op: passed.length === rows.length && gone === 0 ? op : { ...op, targets: runsOf(state, mailbox, passed) },
    outcome,
  };
}

/** The live memberships of `mailbox` that `runs` name, in uid order, and how many single names are gone. */
function resolveTargets(
  state: MailState,
  mailbox: Mailbox,
  runs: readonly TargetRun[],
): { readonly rows: number[]; readonly gone: number } {
  const { uid, writer, sequence, index } = state.memberships.columns;
  const rows = new Set<number>();
  let gone = 0;
  for (const run of runs) {
    const first = state.findMembership({ writer: run.writer, ...run.first });
    if (comparePlaces(run.first, run.last) === 0) {
      if (first !== undefined && state.isLive(first) && state.mailboxOf(first) === mailbox) rows.add(first);
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
        rows.add(row);
    }
  }
  return { rows: inUidOrder(state, [...rows]), gone };
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

export function bodyName(id: Uint8Array): string {
  return `body/${[...id].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Carries out `op`, which is what passed of the placed one. */
function perform(state: MailState, placed: PlacedOp, op: Op, block: Block): Partial<Outcome> {
  switch (op.kind) {
    case "begin":
      return performBegin(state, placed, op, block);
    case "create": {
      const mailbox = makeMailbox(state, placed, op.path, op.specialUse, block);
      block.number([mailbox], op.seconds, placed);
      return { mailbox: mailbox.id };
    }
    case "rename": {
      for (const { mailbox: id, path } of op.paths) {
        const mailbox = state.findMailbox(id);
        if (mailbox) writePath(mailbox, path, block);
      }
      return {};
    }
    case "rename-inbox": {
      const mailbox = makeMailbox(state, placed, op.path, undefined, block);
      block.number([mailbox], op.seconds, placed);
      const sources = rowsKnown(state, placed, state.inbox, block);
      return { mailbox: mailbox.id, ...moveRows(state, placed, block, sources, mailbox, op.seconds, true) };
    }
    case "delete": {
      const mailbox = state.findMailbox(op.mailbox);
      if (!mailbox) return {};
      const removed = takeRows(state, placed, mailbox, rowsKnown(state, placed, mailbox, block), block);
      block.touch(mailbox);
      block.delete(mailbox, placed);
      return { removed, mailbox: mailbox.id };
    }
    case "subscribe":
      if (op.on) state.subscriptions.add(normalizeInbox(op.path));
      else state.subscriptions.delete(normalizeInbox(op.path));
      return {};
    case "append":
      return {
        added: op.emails.map((email, index) => addEmail(state, placed, block, op.mailbox, email, index, op.seconds)),
      };
    case "take-in":
      return performTakeIn(state, placed, op, block);
    case "flags":
      return performFlags(state, placed, op, block);
    case "copy":
    case "move": {
      const sources = targetRows(state, placed, op, block);
      return moveRows(
        state,
        placed,
        block,
        sources,
        state.findMailbox(op.to) ?? state.inbox,
        op.seconds,
        op.kind === "move",
      );
    }
    case "expunge": {
      const mailbox = state.findMailbox(op.mailbox);
      const rows = targetRows(state, placed, op, block);
      return { removed: mailbox ? takeRows(state, placed, mailbox, rows, block) : [] };
    }
    case "checkpoint":
      state.checkpoint = { covers: op.covers, manifest: op.manifest, announced: placed.entry };
      return {};
    case "condemn":
      for (const name of op.names) if (!isReferenced(state, name)) state.condemned.add(name);
      state.lastCondemn = placed.entry;
      return {};
    case "forget":
      for (const name of op.names) state.condemned.delete(name);
      for (const note of op.notes) state.takenNotes.delete(note);
      state.lastForget = placed.entry;
      return {};
    case "slots":
      state.slots = { names: op.names, entry: placed.entry };
      return {};
    case "raise": {
      const mailboxes = state.liveMailboxes();
      block.number(mailboxes, op.seconds, placed);
      for (const mailbox of mailboxes) block.touch(mailbox);
      state.epoch++;
      return {};
    }
    case "nop":
      return {};
  }
}

function performBegin(state: MailState, placed: PlacedOp, op: Op & { kind: "begin" }, block: Block): Partial<Outcome> {
  state.begun = true;
  const mailboxes = op.folders.map(({ path, specialUse }, index) => {
    const mailbox = state.addMailbox(mailboxId(FOUNDER, 0, index), path, specialUse, 0);
    block.touch(mailbox);
    state.subscriptions.add(path);
    return mailbox;
  });
  block.number(mailboxes, op.seconds, placed);
  return {};
}

function makeMailbox(
  state: MailState,
  placed: PlacedOp,
  path: string,
  specialUse: (Op & { kind: "create" })["specialUse"],
  block: Block,
): Mailbox {
  const mailbox = state.addMailbox(mailboxId(placed.writer, placed.sequence, 0), path, specialUse, 0);
  writePath(mailbox, path, block);
  return mailbox;
}

function writePath(mailbox: Mailbox, path: string, block: Block): void {
  mailbox.wantedPath = normalizeInbox(path);
  mailbox.pathWritten = block.nextPathOrder();
  block.touch(mailbox);
}

function addEmail(
  state: MailState,
  placed: PlacedOp,
  block: Block,
  to: MailboxId,
  email: NewEmail,
  index: number,
  seconds: number,
): number {
  const mailbox = state.findMailbox(to) ?? state.inbox;
  const row = state.addEmail(email, { entry: placed.entry, op: placed.place, index });
  const { bits, keywords } = splitFlags(email.flags);
  return state.addMembership({ ...nameAt(placed, index) }, mailbox, {
    uid: block.nextUid(mailbox, placed),
    modSeq: block.modSeq,
    flags: bits,
    keywords: state.keywords.number(keywords),
    email: row,
    saved: seconds,
  });
}

function performTakeIn(
  state: MailState,
  placed: PlacedOp,
  op: Op & { kind: "take-in" },
  block: Block,
): Partial<Outcome> {
  // A name's index is the note's place in the op as it is stored, whatever was left out.
  const places = new Map(placed.op.kind === "take-in" ? placed.op.notes.map(({ note }, index) => [note, index]) : []);
  const added = op.notes.map((note) => {
    const index = places.get(note.note) ?? 0;
    state.takenNotes.add(note.note);
    if (note.stream !== "") countNote(state, note.stream, note.counter, note.givenUp);
    return addEmail(state, placed, block, note.mailbox, note.email, index, op.seconds);
  });
  return { added };
}

/** Marks a delivering process's number as taken in; those given up will never come. */
function countNote(state: MailState, stream: string, counter: number, givenUp: readonly number[]): void {
  let known = state.streams.get(stream);
  if (!known) {
    known = { highest: 0, missing: new Set() };
    state.streams.set(stream, known);
  }
  // Bounded: a number far ahead is a damaged or hostile stream; what lies between is not listed one by one.
  for (let number = Math.max(known.highest + 1, counter - MISSING_MAX); number < counter; number++)
    known.missing.add(number);
  known.highest = Math.max(known.highest, counter);
  known.missing.delete(counter);
  for (const number of givenUp) known.missing.delete(number);
}

/** Numbers of one stream that may be missing at once and still be told to the owner one by one. */
const MISSING_MAX = 1000;

function performFlags(state: MailState, placed: PlacedOp, op: Op & { kind: "flags" }, block: Block): Partial<Outcome> {
  const change = { mode: op.change.mode, ...splitFlags(op.change.flags) };
  const changed: number[] = [];
  const visit = (row: number): void => {
    if (state.isLive(row)) {
      setFlags(state, row, change, block.modSeq);
      block.touch(state.mailboxOf(row));
      changed.push(row);
    } else noteFlags(state, row, change);
    for (const moved of block.movedTo.get(row) ?? []) visit(moved);
  };
  for (const row of targetRows(state, placed, op, block)) visit(row);
  return { changed };
}

type SplitChange = { readonly mode: FlagChange["mode"]; readonly bits: number; readonly keywords: readonly string[] };

function setFlags(state: MailState, row: number, change: SplitChange, modSeq: number): void {
  const { bits, keywords } = changedFlags(state, row, change);
  state.setFlags(row, bits, keywords, modSeq);
}

/** Flags of a message that is gone: a move that did not know that may yet copy them. */
function noteFlags(state: MailState, row: number, change: SplitChange): void {
  const { columns } = state.memberships;
  const { bits, keywords } = changedFlags(state, row, change);
  const mark = columns.flags.get(row) - state.flagsOf(row).bits;
  columns.flags.set(row, bits + mark);
  columns.keywords.set(row, keywords);
}

function changedFlags(
  state: MailState,
  row: number,
  change: SplitChange,
): { readonly bits: number; readonly keywords: number } {
  const { bits } = state.flagsOf(row);
  return {
    bits: change.mode === "add" ? bits | change.bits : change.mode === "remove" ? bits & ~change.bits : change.bits,
    keywords: state.keywords.change(state.memberships.columns.keywords.get(row), change.mode, change.keywords),
  };
}

/** Copies rows into `to`; takes them out of their mailbox too if it is a move: RFC 6851 §3. */
function moveRows(
  state: MailState,
  placed: PlacedOp,
  block: Block,
  sources: readonly number[],
  to: Mailbox,
  seconds: number,
  take: boolean,
): Partial<Outcome> {
  const { columns } = state.memberships;
  const added = sources.map((row, index) =>
    state.addMembership(nameAt(placed, index), to, {
      uid: block.nextUid(to, placed),
      modSeq: block.modSeq,
      flags: state.flagsOf(row).bits,
      keywords: columns.keywords.get(row),
      email: columns.email.get(row),
      saved: seconds,
    }),
  );
  // Who saw this op without a flag that now comes before it knows these messages with other flags.
  if (placed.judged) for (const row of added) to.changes.add(row, block.modSeq);
  if (!take) return { sources, added };
  for (const [index, row] of sources.entries())
    block.movedTo.set(row, [...(block.movedTo.get(row) ?? []), added[index]!]);
  const from = sources[0] === undefined ? undefined : state.mailboxOf(sources[0]);
  return { sources, added, removed: from ? takeRows(state, placed, from, sources, block) : [] };
}

/** Takes rows out of their mailbox. Returns those that were there: others took the rest, not knowing of this. */
function takeRows(
  state: MailState,
  placed: PlacedOp,
  mailbox: Mailbox,
  rows: readonly number[],
  block: Block,
): readonly number[] {
  const removed = rows.filter((row) => state.isLive(row));
  if (removed.length > 0) {
    state.removeMemberships(mailbox, removed, block.modSeq);
    block.touch(mailbox);
  }
  if (placed.judged) block.take(rows, placed);
  return removed;
}

/** The rows that an op acts on, in uid order. If its author judged it these are the ones that he saw, though others may
 * have taken them since: a move beside an expunge leaves the moved message. */
function targetRows(state: MailState, placed: PlacedOp, op: TargetOp, block: Block): readonly number[] {
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
function rowsKnown(state: MailState, placed: PlacedOp, mailbox: Mailbox, block: Block): readonly number[] {
  const rows = Array.from({ length: mailbox.messages.length }, (_, position) => mailbox.messages.at(position));
  if (!placed.judged) return rows;
  const isKnown = (row: number): boolean => {
    const { writer, sequence } = state.nameOf(row);
    return placed.knows(writer, sequence);
  };
  return inUidOrder(state, [...rows, ...block.takenUnknownTo(placed, mailbox)].filter(isKnown));
}

function inUidOrder(state: MailState, rows: number[]): number[] {
  const { uid } = state.memberships.columns;
  return rows.sort((a, b) => uid.get(a) - uid.get(b));
}

function nameAt(placed: OpIdentity, index: number): { writer: OpIdentity["writer"]; sequence: number; index: number } {
  return { writer: placed.writer, sequence: placed.sequence, index };
}

/** Whether the state names this object: only bodies can be, until packs are. */
function isReferenced(state: MailState, name: string): boolean {
  if (!name.startsWith("body/")) return false;
  const id = Uint8Array.from(name.slice(5).match(/../g) ?? [], (hex) => Number.parseInt(hex, 16));
  const row = id.length === 16 ? state.findEmail(id) : undefined;
  return row !== undefined && state.emails.columns.held.get(row) > 0;
}
