import { bodyName, INBOX_ID, PATH_DELIMITER } from "../ops/names.ts";
import type { NewEmail, Op } from "../ops/op.ts";
import type { Outcome, Refusal } from "../ops/outcome.ts";
import { changesFlags, DELETED, splitFlags } from "../state/flags.ts";
import { type MailState, normalizeInbox } from "../state/state.ts";
import { hasRoomForKeywords, hasRoomForMessages } from "./room.ts";
import { resolveTargets, runsOf, type TargetOp } from "./target-rows.ts";

/** What `judge` says of an op: STORAGE rules, verdict. */
export interface Verdict {
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
      // What its pages leave out may be gone, or another's checkpoint may cover more.
      return state.lastCondemn > op.startedAt || op.covers <= (state.checkpoint?.covers ?? 0)
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
  const isStored = op.emails.some(({ place }) => place.in === "object");
  if (isStored && state.lastForget > op.since) return refuse("stale");
  if (op.emails.some((email) => isCondemned(state, email))) return refuse("condemned");
  if (!hasRoomForMessages(state, op.emails.length)) return refuse("messages");
  const flags = op.emails.map((email) => email.flags);
  return hasRoomForKeywords(state, flags) ? { op } : refuse("keywords");
}

function isCondemned(state: MailState, { id, place }: NewEmail): boolean {
  return place.in === "object" && state.condemned.has(bodyName(id));
}

function judgeTakeIn(state: MailState, op: Op & { kind: "take-in" }): Verdict {
  if (state.lastForget > op.listed) return refuse("stale");
  const repeated = op.notes.filter(({ note, stream, counter }) => {
    const known = state.streams.get(stream);
    const numberTaken = known !== undefined && counter <= known.highest && !known.missing.has(counter);
    return state.takenNotes.has(note) || (stream !== "" && numberTaken);
  });
  const notes = op.notes
    .filter((note) => !repeated.includes(note) && !isCondemned(state, note.email))
    .map((note) => (state.findMailbox(note.mailbox) ? note : { ...note, mailbox: INBOX_ID }));
  const outcome = {
    repeated: repeated.map(({ note }) => note),
    condemned: op.notes.filter(({ email }) => isCondemned(state, email)).map(({ note }) => note),
  };
  return notes.length > 0 ? { op: { ...op, notes }, outcome } : { outcome };
}

function judgeTargets(state: MailState, op: TargetOp): Verdict {
  const mailbox = state.findMailbox(op.mailbox);
  if (!mailbox) return refuse("no-mailbox");
  if ((op.kind === "copy" || op.kind === "move") && !state.findMailbox(op.to)) return refuse("no-mailbox");
  const { rows, gone } = resolveTargets(state, mailbox, op.targets);
  const { modSeq, keywords } = state.memberships.columns;
  const isRefused = (row: number): boolean =>
    op.kind === "flags" && op.unchangedSince !== undefined && modSeq.get(row) > op.unchangedSince;
  const changes = op.kind === "flags" ? changesFlags(op.change) : undefined;
  // A change that changes nothing is none: it raises no modseq, and nobody is told.
  const passes = (row: number): boolean => {
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

/** What keywords a change makes messages carry: of each kind of them that there is. */
function* keywordsMade(state: MailState, { change }: TargetOp & { kind: "flags" }, rows: readonly number[]) {
  const { keywords } = splitFlags(change.flags);
  if (keywords.length === 0 || change.mode === "remove") return;
  if (change.mode === "replace") {
    yield keywords;
    return;
  }
  const { keywords: column } = state.memberships.columns;
  for (const set of new Set(rows.map((row) => column.get(row)))) yield [...state.keywords.get(set), ...keywords];
}
