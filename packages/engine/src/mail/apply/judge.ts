import type { Row } from "../numbers.ts";
import type { NewEmail } from "../ops/email.ts";
import { bodyName, INBOX_ID, PATH_DELIMITER } from "../ops/names.ts";
import type { Op, OpOf, Placement } from "../ops/op.ts";
import type { Refusal } from "../ops/outcome.ts";
import { changesFlags, DELETED } from "../state/flags.ts";
import { isOfForgotten } from "../state/note-streams.ts";
import type { ReadState } from "../state/read-state.ts";
import { normalizeInbox } from "../state/state.ts";
import { judgeChange } from "./judge-change.ts";
import { judgeFolders } from "./judge-folders.ts";
import { isEmail, keywordsOf } from "./memberships.ts";
import { isSomewhere, NO_PLACE } from "./placement.ts";
import { hasRoomForKeywords, hasRoomForMessages } from "./room.ts";
import { resolveTargets, runsOf, type TargetOp } from "./target-rows.ts";
import { holdsClaim, refuse, type Verdict } from "./verdict.ts";

/** Asks `op`'s preconditions of `state`: docs/rules.md §2. */
export function judge(state: ReadState, op: Op): Verdict {
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
    case "add":
      return judgeAdd(state, op);
    case "take-in":
      return judgeTakeIn(state, op);
    case "flags":
    case "copy":
    case "move":
    case "expunge":
      return judgeTargets(state, op);
    case "checkpoint":
      // Objects that the checkpoint left out may be gone; another checkpoint may cover more, or have given rows other numbers.
      return state.lastCondemn > op.startedAt ||
        op.covers <= (state.checkpoint?.covers ?? 0) ||
        (op.numbering ?? 0) < state.numbering
        ? refuse("stale")
        : { op };
    case "slots":
      return op.upon === state.slots.entry ? { op } : refuse("stale");
    case "condemn":
      // A checkpoint that was announced since may name what the author found unnamed.
      return (state.checkpoint?.announced ?? 0) > op.listed ? refuse("stale") : { op };
    case "subscribe":
    case "forget":
    case "raise":
    case "nop":
    case "requires":
      return { op };
    case "change":
      return judgeChange(state, op);
    case "folders":
      return judgeFolders(state, op);
    case "replace":
      return judgeReplace(state, op);
    case "record":
      return holdsClaim(state, op.ifState) ? { op } : refuse("changed");
  }
}

function pathIsFree(state: ReadState, path: string): boolean {
  return normalizeInbox(path) !== "INBOX" && state.holderOf(path) === undefined;
}

function judgeRename(state: ReadState, op: OpOf<"rename">): Verdict {
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

function judgeAdd(state: ReadState, op: OpOf<"add">): Verdict {
  const emails = op.emails.map(({ email, places }) => ({
    email,
    places: places.map((place) => (state.findMailbox(place.mailbox) ? place : NO_PLACE)),
  }));
  if (!emails.some(({ places }) => places.some(isSomewhere))) return refuse("no-mailbox");
  const unsafe = judgeBodies(
    state,
    op.emails.map(({ email }) => email),
    op.since,
  );
  if (unsafe) return refuse(unsafe);
  const places = emails.flatMap((email) => email.places.filter(isSomewhere));
  if (!hasRoomForMessages(state, places.length)) return refuse("messages");
  if (
    !hasRoomForKeywords(
      state,
      places.map(({ flags }) => flags),
    )
  )
    return refuse("keywords");
  return { op: { ...op, emails } };
}

/** Why bodies that were stored by themselves can't be named now, if they can't: the collector may have come between. */
function judgeBodies(state: ReadState, emails: readonly NewEmail[], since: number): Refusal | undefined {
  if (state.lastForget > since && emails.some(({ place }) => place.in === "object")) return "stale";
  return emails.some((email) => isCondemned(state, email)) ? "condemned" : undefined;
}

function isCondemned(state: ReadState, { id, place }: NewEmail): boolean {
  return place.in === "object" && state.condemned.has(bodyName(id));
}

function judgeTakeIn(state: ReadState, op: OpOf<"take-in">): Verdict {
  if (state.lastForget > op.listed) return refuse("stale");
  // Its author takes it for unverified upon a newer view.
  const nowMs = op.seconds * 1000;
  if (op.notes.some(({ note, stream }) => stream !== "" && isOfForgotten(state, { note, stream, nowMs })))
    return refuse("stale");
  const repeated = op.notes.filter(({ note, stream, counter }) => {
    const known = state.streams.get(stream);
    const numberTaken = known !== undefined && counter <= known.highest && !known.missing.has(counter);
    return state.takenNotes.has(note) || numberTaken;
  });
  const notes = op.notes
    .filter((note) => !repeated.includes(note) && !isCondemned(state, note.email))
    .map((note) => ({ ...note, places: placesThere(state, note.places) }));
  const outcome = {
    repeated: repeated.map(({ note }) => note),
    condemned: op.notes.filter(({ email }) => isCondemned(state, email)).map(({ note }) => note),
  };
  return notes.length > 0 ? { op: { ...op, notes }, outcome } : { outcome };
}

/** INBOX stands in for a mailbox that is gone, once. */
function placesThere(state: ReadState, places: readonly Placement[]): readonly Placement[] {
  let isInInbox = places.some(({ mailbox }) => mailbox === INBOX_ID);
  return places.map((place) => {
    if (state.findMailbox(place.mailbox)) return place;
    if (isInInbox) return NO_PLACE;
    isInInbox = true;
    return { ...place, mailbox: INBOX_ID };
  });
}

function judgeReplace(state: ReadState, op: OpOf<"replace">): Verdict {
  const mailbox = state.findMailbox(op.mailbox);
  if (!mailbox) return refuse("no-mailbox");
  const { rows } = resolveTargets(state, mailbox, op.target);
  const [row] = rows;
  if (row === undefined || rows.length > 1) return refuse("gone");
  if (!isEmail(state, state.emailOf(row), op.ifEmail)) return refuse("changed");
  const unsafe = judgeBodies(state, [op.email], op.since);
  if (unsafe) return refuse(unsafe);
  const keywords = state.keywords.get(state.memberships.columns.keywords.get(row));
  return hasRoomForKeywords(state, [[...keywords, ...op.add]]) ? { op } : refuse("keywords");
}

function judgeTargets(state: ReadState, op: TargetOp): Verdict {
  const mailbox = state.findMailbox(op.mailbox);
  if (!mailbox) return refuse("no-mailbox");
  if ((op.kind === "copy" || op.kind === "move") && !state.findMailbox(op.to)) return refuse("no-mailbox");
  const { rows, gone } = resolveTargets(state, mailbox, op.targets);
  const { modSeq, keywords } = state.memberships.columns;
  const isRefused = (row: Row): boolean =>
    op.kind === "flags" && op.unchangedSince !== undefined && modSeq.get(row) > op.unchangedSince;
  const changes = op.kind === "flags" ? changesFlags(op.change) : undefined;
  // A change that changes nothing is none: it raises no modseq, and nobody is told.
  const passes = (row: Row): boolean => {
    if (changes) return !isRefused(row) && changes(state.bitsOf(row), state.keywords.get(keywords.get(row)));
    return op.kind !== "expunge" || (state.bitsOf(row) & DELETED) !== 0;
  };
  const passed = rows.filter(passes);
  const outcome = { gone, refused: rows.filter(isRefused) };
  if (passed.length === 0) return { outcome };
  if (op.kind === "copy" && !hasRoomForMessages(state, passed.length)) return refuse("messages");
  if (op.kind === "flags" && !hasRoomForKeywords(state, keywordsMade(state, op, passed))) return refuse("keywords");
  return {
    op: passed.length === rows.length && gone === 0 ? op : { ...op, targets: runsOf(state, mailbox, passed) },
    outcome,
  };
}

/** Keyword sets that a change may make: of added keywords with each set that the messages carry, or the set that replaces
 * all. */
function keywordsMade(state: ReadState, { change }: OpOf<"flags">, rows: readonly Row[]): Iterable<readonly string[]> {
  if (change.mode === "remove") return [];
  return change.mode === "replace" ? [change.flags] : keywordsOf(state, change.flags, rows);
}
