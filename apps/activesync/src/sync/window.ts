import {
  asUid,
  type HeldChanges,
  heldChanges,
  higherOf,
  lastChangeOf,
  type ModSeq,
  modSeqBefore,
  NO_MODSEQ,
  type ReadMailbox,
  type ReadState,
  type Row,
  uidOf,
} from "@restante/engine";
import { changedMarks, MARKS } from "../mail/marks.ts";
import type { CollectionState } from "./collection-state.ts";
import { FILTER_MS, type SyncOptions } from "./options.ts";

/** Which of a folder's mails a phone wants, by when they came: MS-ASCMD §2.2.3.68. With `byConversation` also all others of
 * their conversations, of which it wants no bodies: MS-ASCMD §2.2.3.36. */
export interface Window {
  wants(row: Row): boolean;
  wantsBody(row: Row): boolean;
}

export function windowOf(state: ReadState, { messages }: ReadMailbox, options: SyncOptions, nowMs: number): Window {
  const span = FILTER_MS[options.filter]!;
  if (span === Number.POSITIVE_INFINITY) return { wants: () => true, wantsBody: () => true };
  const since = nowMs - span;
  const isRecent = (row: Row): boolean => state.receivedOf(row).timeMs >= since;
  if (!options.byConversation) return { wants: isRecent, wantsBody: isRecent };
  const threads = new Set<string>();
  const threadOf = (row: Row): string => state.threadOf(state.emailOf(row)).join();
  for (let position = 0; position < messages.length; position++) {
    const row = messages.at(position);
    if (isRecent(row) && !state.isDeleted(row)) threads.add(threadOf(row));
  }
  return { wants: (row) => isRecent(row) || threads.has(threadOf(row)), wantsBody: isRecent };
}

/** Changes to be told of a folder, as {@link heldChanges} gives them, and changed marks of phones. */
export interface PendingChanges extends HeldChanges {
  /** The modseq by which `changed` is in order. */
  stampOf(row: Row): ModSeq;
}

/** Changes to be told of a folder since a state; undefined where the phone must start again. */
export function pendingChanges(
  state: ReadState,
  mailbox: ReadMailbox,
  { held: set, modSeq, uid, epoch }: CollectionState,
  window: Window,
): PendingChanges | undefined {
  if (epoch !== state.epoch) return undefined;
  const changes = heldChanges(state, mailbox, { set, modSeq, uid }, window.wants);
  if (!changes) return undefined;
  const marks = set.size === 0 ? NO_MARKS : changedMarks(state, modSeqBefore(modSeq));
  const stampOf = (row: Row): ModSeq => higherOf(lastChangeOf(state, row), marks.get(state.emailOf(row)) ?? NO_MODSEQ);
  if (marks.size === 0) return { ...changes, stampOf };
  const known = new Set(changes.changed);
  const isMarked = (row: Row): boolean => {
    const stamp = marks.get(state.emailOf(row));
    return (
      stamp !== undefined &&
      (stamp > modSeq || uidOf(state, row) > uid) &&
      !known.has(row) &&
      state.isLive(row) &&
      !state.isDeleted(row) &&
      window.wants(row) &&
      set.has(state.lastingNameOf(row))
    );
  };
  const changed = [...changes.changed, ...changes.rows.filter(isMarked)];
  changed.sort((a, b) => stampOf(a) - stampOf(b) || uidOf(state, a) - uidOf(state, b));
  return { ...changes, changed, stampOf };
}

const NO_MARKS: ReadonlyMap<number, ModSeq> = new Map();

/** How many items a Sync would tell of; undefined where it has to start again. */
export function countPending(
  state: ReadState,
  mailbox: ReadMailbox,
  known: CollectionState,
  options: SyncOptions,
  nowMs: number,
): number | undefined {
  // Time alone moves what a filter wants.
  if (options.filter === 0 && known.options === options && isUpToDate(mailbox, known, state)) return 0;
  const changes = pendingChanges(state, mailbox, known, windowOf(state, mailbox, options, nowMs));
  if (!changes) return undefined;
  const { gone, unwanted, changed, fresh } = changes;
  return gone.length + unwanted.length + changed.length + fresh.length;
}

const ALL_UIDS = asUid(0xffff_ffff);

function isUpToDate({ highestModSeq }: ReadMailbox, known: CollectionState, state: ReadState): boolean {
  const changed = higherOf(highestModSeq, state.records.changed(MARKS));
  return known.epoch === state.epoch && known.isComplete && known.modSeq >= changed;
}

/** All that became of what is held is told. */
export function toldAll(state: ReadState): Pick<CollectionState, "modSeq" | "uid"> {
  return { modSeq: state.modSeq, uid: ALL_UIDS };
}
