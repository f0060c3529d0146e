import { NOWHERE } from "../../bay/position.ts";
import { equalBytes, hash } from "../../crypto/primitives.ts";
import { kindIn } from "../../storage/object-kinds.ts";
import type { Row, Uid } from "../numbers.ts";
import { bodyId, FOUNDER, mailboxId } from "../ops/names.ts";
import { CHANGED_AT_ONCE, type Op, type OpOf } from "../ops/op.ts";
import { type ItemOutcome, NOTHING, type Outcome } from "../ops/outcome.ts";
import type { PlacedOp } from "../ops/placed-op.ts";
import { createFlagChange } from "../state/flags.ts";
import type { Mailbox } from "../state/mailbox.ts";
import { countNote, forgetSilent } from "../state/note-streams.ts";
import { RESIDENT_BYTES_MAX, type RecordValue, type ValuePlace } from "../state/records.ts";
import { type MailState, normalizeInbox } from "../state/state.ts";
import { Block } from "./block.ts";
import { judge } from "./judge.ts";
import { destroyMailbox, makeMailbox, writePath } from "./mailboxes.ts";
import { performChange } from "./perform-change.ts";
import { performFolders } from "./perform-folders.ts";
import { nameAt, putEmail, takeRows } from "./rows.ts";
import { resolveTargets, rowsKnown, targetRows } from "./target-rows.ts";
import type { Verdict } from "./verdict.ts";

/**
 * The meaning of ops, in two steps, so that linear and merge mode share it. `judge` asks an op's preconditions of a state
 * and narrows the op to what passed; `perform` carries a narrowed op out and asks nothing. Linear mode judges when it
 * applies: its present state is all that is lower. In merge mode the author judges when it appends, on the state that is
 * exactly the op's dependencies, and the log holds the narrowed op.
 *
 * Invariant: both are total and pure functions of (state, op): no clock, no randomness, no throw for any op.
 */
/** Applies an op of the linear log: a block of its own, or several where it is done in parts. A read between the steps shows
 * the state when some of its messages were copied. */
export function* applyOp(state: MailState, placed: PlacedOp): Generator<undefined, Outcome> {
  return placed.op.kind === "copy" && placed.op.inParts
    ? yield* copyInParts(state, placed, placed.op)
    : applyBlock(state, [placed])[0]!;
}

/** COPY in parts. The op is judged once: all of it is done, or nothing. */
function* copyInParts(state: MailState, placed: PlacedOp, op: OpOf<"copy">): Generator<undefined, Outcome> {
  const { op: passed, outcome: judged } = judge(state, op);
  if (passed?.kind !== "copy") return { ...applyBlock(state, [{ ...placed, op: { kind: "nop" } }])[0]!, ...judged };
  const mailbox = state.findMailbox(passed.mailbox)!;
  const to = state.findMailbox(passed.to)!;
  const { rows: sources } = resolveTargets(state, mailbox, passed.targets);
  const added: Row[] = [];
  const addedUids: Uid[] = [];
  const sourceUids: Uid[] = [];
  const { uid } = state.memberships.columns;
  for (let from = 0; from < sources.length; from += CHANGED_AT_ONCE) {
    yield;
    const block = new Block(state, 1);
    const part = sources.slice(from, from + CHANGED_AT_ONCE);
    for (const row of copyRows(state, placed, block, part, to, op.seconds, from)) {
      added.push(row);
      addedUids.push(uid.get(row));
    }
    for (const row of part) sourceUids.push(uid.get(row));
    block.end();
  }
  const { uidValidity } = to;
  return {
    ...NOTHING,
    modSeq: state.modSeq,
    ...judged,
    sources,
    added,
    uidValidity,
    addedUids,
    sourceUids,
  };
}

/** Applies the ops of one block, in order, and returns their outcomes. */
export function applyBlock(state: MailState, ops: readonly PlacedOp[]): Outcome[] {
  const block = new Block(state, ops.length);
  const outcomes = ops.map((placed) => {
    const verdict: Verdict = placed.judged ? { op: placed.op } : judge(state, placed.op);
    const outcome = { ...NOTHING, modSeq: block.modSeq, ...verdict.outcome };
    if (!verdict.op) return outcome;
    const performed = perform(state, placed, verdict.op, block);
    return { ...outcome, ...performed, items: withRefusals(outcome.items, performed.items) };
  });
  block.end();
  const { uid } = state.memberships.columns;
  const uidsOf = (rows: readonly Row[]): readonly Uid[] => rows.map((row) => uid.get(row));
  return outcomes.map((outcome) => {
    const [first] = outcome.added;
    if (first === undefined) return outcome;
    const { uidValidity } = state.mailboxOf(first);
    return { ...outcome, uidValidity, addedUids: uidsOf(outcome.added), sourceUids: uidsOf(outcome.sources) };
  });
}

/** Outcomes of all items: items that `judge` refused stay refused. */
function withRefusals(judged: readonly ItemOutcome[], done: readonly ItemOutcome[] = []): readonly ItemOutcome[] {
  return judged.length > 0 ? judged.map((item, at) => done[at] ?? item) : done;
}

/** Carries out `op`, which is what passed of the placed one. */
function perform(state: MailState, placed: PlacedOp, op: Op, block: Block): Partial<Outcome> {
  switch (op.kind) {
    case "begin":
      return performBegin(state, placed, op, block);
    case "create": {
      const mailbox = makeMailbox(state, placed, 0, op, block);
      block.number([mailbox], op.seconds, placed);
      return { mailbox: mailbox.id };
    }
    case "change":
      return performChange(state, placed, op, block);
    case "folders":
      return performFolders(state, placed, op, block);
    case "replace":
      return performReplace(state, placed, op, block);
    case "record":
      return performRecord(state, placed, op, block);
    case "requires":
      state.requires = Math.max(state.requires, op.version);
      return {};
    case "rename": {
      for (const { mailbox: id, path } of op.paths) {
        const mailbox = state.findMailbox(id);
        if (mailbox) writePath(mailbox, path, block);
      }
      return {};
    }
    case "rename-inbox": {
      const mailbox = makeMailbox(state, placed, 0, op, block);
      block.number([mailbox], op.seconds, placed);
      const sources = rowsKnown(state, placed, state.inbox, block);
      return { mailbox: mailbox.id, ...moveRows(state, placed, block, sources, mailbox, op.seconds, true) };
    }
    case "delete": {
      const mailbox = state.findMailbox(op.mailbox);
      if (!mailbox) return {};
      return { removed: destroyMailbox(state, placed, mailbox, block), mailbox: mailbox.id };
    }
    case "subscribe":
      subscribe(state, op, block);
      return {};
    case "add":
      return performAdd(state, placed, op, block);
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
      state.markCheckpoint({ covers: op.covers, manifest: op.manifest, announced: placed.entry });
      state.numbering = op.numbering ?? NOWHERE;
      if (op.sweeps) state.sweep.noteSweep(op.covers);
      if (op.silentBefore !== undefined) forgetSilent(state, op.silentBefore);
      return {};
    case "condemn":
      for (const name of op.names) if (!isReferenced(state, name)) state.condemned.set(name, placed.entry);
      state.lastCondemn = placed.entry;
      return {};
    case "forget":
      for (const name of op.names) state.condemned.delete(name);
      for (const note of op.notes) state.takenNotes.delete(note);
      if (op.trimmed > state.trimmed) {
        state.trimmed = op.trimmed;
        state.checkpoints = state.checkpoints.filter(({ covers }) => covers >= op.trimmed);
      }
      state.lastForget = placed.entry;
      return {};
    case "slots":
      state.slots = { names: op.names, entry: placed.entry };
      return {};
    case "raise": {
      const mailboxes = state.liveMailboxes().filter((mailbox) => block.isLiveFor(placed, mailbox));
      block.number(mailboxes, op.seconds, placed);
      for (const mailbox of mailboxes) block.touchProps(mailbox);
      state.epoch++;
      return {};
    }
    case "nop":
      return {};
  }
}

function performBegin(state: MailState, placed: PlacedOp, op: OpOf<"begin">, block: Block): Partial<Outcome> {
  state.begun = true;
  const mailboxes = op.folders.map(({ path, specialUse }, index) => {
    const mailbox = state.addMailbox(mailboxId(FOUNDER, 0, index), path, { specialUse });
    mailbox.made = block.modSeq;
    block.touchProps(mailbox);
    state.subscriptions.add(path);
    return mailbox;
  });
  block.number(mailboxes, op.seconds, placed);
  return {};
}

function performAdd(state: MailState, placed: PlacedOp, op: OpOf<"add">, block: Block): Partial<Outcome> {
  let index = 0;
  const added = op.emails.flatMap((email, at) => {
    const rows = putEmail(state, placed, block, email, { at, index, seconds: op.seconds });
    index += email.places.length;
    return rows;
  });
  return { added };
}

function performTakeIn(state: MailState, placed: PlacedOp, op: OpOf<"take-in">, block: Block): Partial<Outcome> {
  // Names follow from the op as it is stored, whatever was left out.
  const stored = new Map<string, { readonly at: number; readonly index: number }>();
  let index = 0;
  for (const [at, { note, places }] of (placed.op.kind === "take-in" ? placed.op.notes : op.notes).entries()) {
    if (!stored.has(note)) stored.set(note, { at, index });
    index += places.length;
  }
  const added = op.notes.flatMap((note) => {
    state.takenNotes.set(note.note, placed.entry);
    if (note.stream !== "") countNote(state, note, op.seconds);
    return putEmail(state, placed, block, note, { ...stored.get(note.note)!, seconds: op.seconds });
  });
  if (added.length > 0) state.changed.delivery = block.modSeq;
  return { added };
}

function performFlags(state: MailState, placed: PlacedOp, op: OpOf<"flags">, block: Block): Partial<Outcome> {
  const { columns } = state.memberships;
  const change = createFlagChange(state.keywords, op.change);
  const changed: Row[] = [];
  const visit = (row: Row): void => {
    const bits = change.bits(state.bitsOf(row));
    const keywords = change.keywords(columns.keywords.get(row));
    if (state.isLive(row)) {
      state.setFlags(row, bits, keywords, block.modSeq);
      block.touch(state.mailboxOf(row));
      changed.push(row);
    } else {
      // A move that did not know that the message is gone may yet copy its flags.
      const mark = columns.flags.get(row) - state.bitsOf(row);
      columns.flags.set(row, bits + mark);
      columns.keywords.set(row, keywords);
    }
    for (const moved of block.movedTo.get(row) ?? []) visit(moved);
  };
  for (const row of targetRows(state, placed, op, block)) visit(row);
  return { changed };
}

/** A mailbox of this path, if there is one, shows it: RFC 8621 §2 (isSubscribed). */
function subscribe(state: MailState, { path, on }: OpOf<"subscribe">, block: Block): void {
  const wanted = normalizeInbox(path);
  if (state.subscriptions.has(wanted) === on) return;
  if (on) state.subscriptions.add(wanted);
  else state.subscriptions.delete(wanted);
  const mailbox = state.findPath(wanted);
  if (mailbox) block.touchProps(mailbox);
}

/** The first of what it makes has the name at `index`. */
function copyRows(
  state: MailState,
  placed: PlacedOp,
  block: Block,
  sources: readonly Row[],
  to: Mailbox,
  seconds: number,
  index = 0,
): Row[] {
  const { columns } = state.memberships;
  return sources.map((row, at) =>
    state.addMembership(nameAt(placed, index + at), to, {
      uid: block.nextUid(to, placed),
      modSeq: block.modSeq,
      flags: state.bitsOf(row),
      keywords: columns.keywords.get(row),
      email: columns.email.get(row),
      saved: seconds,
    }),
  );
}

/** Copies rows into `to`; takes them out of their mailbox too if it is a move: RFC 6851 §3. */
function moveRows(
  state: MailState,
  placed: PlacedOp,
  block: Block,
  sources: readonly Row[],
  to: Mailbox,
  seconds: number,
  take: boolean,
): Partial<Outcome> {
  const added = copyRows(state, placed, block, sources, to, seconds);
  if (!take) return { sources, added };
  for (const [index, row] of sources.entries())
    block.movedTo.set(row, [...(block.movedTo.get(row) ?? []), added[index]!]);
  const from = sources[0] === undefined ? undefined : state.mailboxOf(sources[0]);
  return { sources, added, removed: from ? takeRows(state, placed, from, sources, block) : [] };
}

/** True if the state names this object. Pages and packs are named by manifests; `judge` sees to them. */
function isReferenced(state: MailState, name: string): boolean {
  const row = kindIn(name) === "body" ? state.findEmail(bodyId(name)) : undefined;
  return row !== undefined && state.isHeld(row);
}

/** REPLACE is a move in place: RFC 8508 §3.1. The lasting name goes over. */
function performReplace(state: MailState, placed: PlacedOp, op: OpOf<"replace">, block: Block): Partial<Outcome> {
  const { mailbox, target: targets } = op;
  const [row] = targetRows(state, placed, { mailbox, targets }, block);
  if (row === undefined) return {};
  const name = state.lastingNameOf(row);
  const flags = withFlags(state.flagNames(row), op);
  const place = { at: 0, index: 0, seconds: op.seconds };
  const added = putEmail(state, placed, block, { email: op.email, places: [{ mailbox, flags }] }, place);
  for (const made of added) state.lastingNames.give(made, name);
  block.movedTo.set(row, [...(block.movedTo.get(row) ?? []), ...added]);
  return { sources: [row], added, removed: takeRows(state, placed, state.mailboxOf(row), [row], block) };
}

function withFlags(flags: readonly string[], { add, remove }: OpOf<"replace">): string[] {
  const without = new Set(remove.map((flag) => flag.toLowerCase()));
  return [...flags.filter((flag) => !without.has(flag.toLowerCase())), ...add];
}

function performRecord(state: MailState, placed: PlacedOp, op: OpOf<"record">, block: Block): Partial<Outcome> {
  for (const [index, { type, id, value }] of op.records.entries()) {
    const place: ValuePlace = { in: "entry", entry: placed.entry, op: placed.place, index };
    const kept: RecordValue | undefined =
      value && (value.length <= RESIDENT_BYTES_MAX ? { bytes: value } : { hash: hash(value), place });
    if (!isSameValue(state.records.find(type, id)?.value, kept))
      state.records.set({ type, id, modSeq: block.modSeq, value: kept });
  }
  return {};
}

function isSameValue(a: RecordValue | undefined, b: RecordValue | undefined): boolean {
  if (!a || !b) return a === b;
  const [one, other] = [a, b].map((value) => ("bytes" in value ? value.bytes : value.hash));
  return "bytes" in a === "bytes" in b && equalBytes(one!, other!);
}
