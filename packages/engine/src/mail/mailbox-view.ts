import { EngineError } from "../errors.ts";
import { runsOf } from "./apply/target-rows.ts";
import type { Copied, Mail } from "./mail.ts";
import {
  HIGHEST_MODSEQ,
  lowerOf,
  type ModSeq,
  type Plain,
  type Row,
  type SequenceNumber,
  sequenceNumberAt,
  type Uid,
  uidAfter,
  uidBefore,
} from "./numbers.ts";
import type { MailboxId } from "./ops/names.ts";
import { CHANGED_AT_ONCE, type FlagChange, type Targets } from "./ops/op.ts";
import { type UidSpan, vanishedSince } from "./state/feed.ts";
import { checkFlags, DELETED, SEEN } from "./state/flags.ts";
import type { ReadMailbox, ReadMessageList, ReadState } from "./state/read-state.ts";

/** Where a mailbox's first message without \Seen was found, and in what list as of which modseq: for all views of it. */
const firstUnseen = new WeakMap<
  ReadMailbox,
  { readonly list: ReadMessageList; readonly modSeq: ModSeq; readonly position: number }
>();

/** Messages that are walked over in the time in which one is looked up by its uid. */
const LOOKUP_COST = 16;

/**
 * A mailbox as one client knows it: uids in order, so that sequence numbers hold still until the protocol lets them
 * move. `sync` moves the view to the present and says what changed, after a rewind too.
 *
 * It costs a few words: (state, list, length). Views of one mailbox share the list until they differ. Positions count
 * from 0; a sequence number is a position + 1.
 *
 * Invariant: what is at a position changes in `sync` only; a message that was expunged meanwhile stays readable there.
 */
export class MailboxView {
  readonly id: MailboxId;
  readonly readOnly: boolean;
  /** While what the last `sync` found is being told no modseq above it is: what changed since is told of by the next. */
  isTelling = false;
  readonly #mail: Mail;
  #state: ReadState;
  #list: ReadMessageList;
  #length: number;
  /** All of the account up to here this client was told of. */
  #modSeq: ModSeq;
  #highestModSeq: ModSeq;
  #uidValidity: number;
  /** Rows whose change this client was already told, or asked not to be told, and at which modseq. */
  #told: Map<Row, ModSeq> = new Map();
  /** Rows whose modseq was told lower than it is: the next `sync` that tells all tells of them again. */
  readonly #toldLow = new Set<Row>();

  constructor(mail: Mail, mailbox: ReadMailbox, readOnly: boolean) {
    this.#mail = mail;
    this.id = mailbox.id;
    this.readOnly = readOnly;
    this.#state = mail.state;
    this.#list = mailbox.messages;
    this.#length = mailbox.messages.length;
    this.#modSeq = this.#state.modSeq;
    this.#highestModSeq = mailbox.highestModSeq;
    this.#uidValidity = mailbox.uidValidity;
  }

  /** How many messages the client knows of. */
  get length(): number {
    return this.#length;
  }

  get uidValidity(): number {
    return this.#uidValidity;
  }

  /** HIGHESTMODSEQ of what this client was told: RFC 7162 §3.1.2.1. */
  get highestModSeq(): ModSeq {
    return this.#highestModSeq;
  }

  /** MODSEQ of a message, as it may be told: as long as the client does not know who came and who went, none above the last
   * that it knows all of. A client with the highest one that it saw has then missed nothing: RFC 7162 §3.2. */
  modSeqOf({ state, row }: Message): ModSeq {
    const modSeq = state.memberships.columns.modSeq.get(row);
    const told = lowerOf(modSeq, this.#toldMax);
    if (told < modSeq) this.#toldLow.add(row);
    return told;
  }

  get #toldMax(): ModSeq {
    return this.mailboxNow && !this.isTelling ? HIGHEST_MODSEQ : this.#modSeq;
  }

  /** The mailbox, if the client knows of all messages that it holds, and of no other. */
  get mailboxNow(): ReadMailbox | undefined {
    const { state } = this.#mail;
    const mailbox = state.findMailbox(this.id);
    const messages = mailbox?.messages;
    const isKnown = this.#state === state && messages === this.#list && messages.length === this.#length;
    return isKnown ? mailbox : undefined;
  }

  /** Positions that changed after `modSeq`: RFC 7162 §3.1.4.1. */
  changedSince(modSeq: ModSeq, positions: readonly Plain[]): number[] {
    const { modSeq: column } = this.#state.memberships.columns;
    if (this.#state === this.#mail.state) return positions.filter((at) => column.get(this.#list.at(at)) > modSeq);
    return positions.filter((position) => {
      const { state, row } = this.message(position);
      return state.memberships.columns.modSeq.get(row) > modSeq;
    });
  }

  /** Uids of `known` (ascending, none touches another) that went after `modSeq`, ascending, perhaps with some that went
   * before: RFC 7162 §3.2.6. Messages that this view still has are none of them: `sync` tells of those. */
  vanishedSince(modSeq: ModSeq, known: readonly UidSpan[]): UidSpan[] {
    const vanished = vanishedSince(this.#mail.state, this.mailbox, modSeq, known);
    return vanished.flatMap(({ first, last }) => {
      const spans: UidSpan[] = [];
      let next = first;
      for (let position = this.lowerBound(first); position < this.#length && this.uidAt(position) <= last; position++) {
        const uid = this.uidAt(position);
        if (next < uid) spans.push({ first: next, last: uidBefore(uid) });
        next = uidAfter(uid);
      }
      return next <= last ? [...spans, { first: next, last }] : spans;
    });
  }

  /** The mailbox as it is now. Throws EngineError `not-found` when it was deleted. */
  get mailbox(): ReadMailbox {
    const mailbox = this.#mail.state.findMailbox(this.id);
    if (!mailbox) throw new EngineError("not-found", "mailbox was deleted");
    return mailbox;
  }

  uidAt(position: Plain): Uid {
    return this.#state.memberships.columns.uid.get(this.#list.at(position));
  }

  /** The position of the first message whose uid is at least `uid`; `length` if there is none. */
  lowerBound(uid: Uid): number {
    const column = this.#state.memberships.columns.uid;
    return this.#list.lowerBound(uid, (row) => column.get(row), this.#length);
  }

  /** Messages at these positions: in the present state, or as this view last saw them if they are gone. */
  messages(positions: readonly Plain[]): Message[] {
    return positions.map((position) => this.message(position));
  }

  /** The same of those from `start` up to, not including, `end`. */
  messagesIn(start: number, end: number): Message[] {
    const messages: Message[] = [];
    for (let position = start; position < end; position++) messages.push(this.message(position));
    return messages;
  }

  message(position: Plain): Message {
    const row = this.#presentRow(position);
    if (row === undefined) return { position, row: this.#list.at(position), state: this.#state };
    return { position, row, state: this.#mail.state };
  }

  /** A row of the present state: after a rewind rows are others, uids are not. */
  #presentRow(position: Plain): Row | undefined {
    if (this.#state === this.#mail.state) return this.#list.at(position);
    const uid = this.uidAt(position);
    const mailbox = this.#mail.state.findMailbox(this.id);
    const column = this.#mail.state.memberships.columns.uid;
    const at = mailbox?.messages.lowerBound(uid, (row) => column.get(row)) ?? 0;
    const row = mailbox && at < mailbox.messages.length ? mailbox.messages.at(at) : undefined;
    return row !== undefined && column.get(row) === uid ? row : undefined;
  }

  /** True if `sync` would tell anything. */
  get isBehind(): boolean {
    return this.#state !== this.#mail.state || this.#modSeq !== this.#state.modSeq;
  }

  /**
   * Moves the view to the present. With `expunges` false (RFC 9051 §7.5.1: no EXPUNGE while FETCH, STORE or SEARCH is
   * answered) messages that are gone keep their places, and those that came wait behind them.
   * Throws EngineError `not-found` when the mailbox was deleted.
   */
  sync(options: { readonly expunges: boolean }): ViewChanges {
    const { mailbox } = this;
    const state = this.#mail.state;
    if (mailbox.uidValidity !== this.#uidValidity) return { ...NO_CHANGES, invalidated: true };
    if (!this.isBehind) return NO_CHANGES;
    const rewound = state !== this.#state;
    const vanished = rewound || mailbox.messages !== this.#list ? this.#vanishedPositions(mailbox, state) : [];
    if (vanished.length > 0 && !options.expunges) {
      const flagged = rewound ? [] : this.#flaggedPositions(mailbox, state, this.#length);
      const { modSeq } = state.memberships.columns;
      for (const position of flagged) {
        const row = this.#list.at(position);
        this.#told.set(row, modSeq.get(row));
      }
      return { ...NO_CHANGES, flagged };
    }
    const known = this.#length - vanished.length;
    // Expunged highest first, so that each number is right when it is sent.
    const expunged = vanished.map(sequenceNumberAt).reverse();
    const expungedUids = vanished.map((position) => this.uidAt(position));
    const isNews = rewound ? this.#unlessShown(state, mailbox.messages) : () => true;
    this.#list = mailbox.messages;
    this.#length = mailbox.messages.length;
    this.#state = state;
    for (const row of this.#toldLow) this.#told.delete(row);
    const flagged = this.#flaggedPositions(mailbox, state, known).filter(isNews);
    this.#modSeq = state.modSeq;
    this.#highestModSeq = mailbox.highestModSeq;
    this.#told.clear();
    this.#toldLow.clear();
    return { expunged, expungedUids, added: this.#length - known, flagged, invalidated: false };
  }

  /** After a rewind much is stamped anew that is what it was: whether a message of `list` has other flags than those
   * that the client knows. */
  #unlessShown(state: ReadState, list: ReadMessageList): (position: Plain) => boolean {
    const [before, listBefore, length, modSeq] = [this.#state, this.#list, this.#length, this.#modSeq];
    const { columns } = before.memberships;
    return (position) => {
      const row = list.at(position);
      const uid = state.memberships.columns.uid.get(row);
      const at = listBefore.lowerBound(uid, (known) => columns.uid.get(known), length);
      const shown = listBefore.at(at);
      return columns.modSeq.get(shown) > modSeq || !sameFlags(before.flagNames(shown), state.flagNames(row));
    };
  }

  /** Positions, ascending, of messages that are no more. Both lists ascend by uid. */
  #vanishedPositions(mailbox: ReadMailbox, state: ReadState): number[] {
    const before = this.#state.memberships.columns.uid;
    const now = state.memberships.columns.uid;
    const vanished: number[] = [];
    let at = 0;
    for (let position = 0; position < this.#length; position++) {
      const uid = before.get(this.#list.at(position));
      while (at < mailbox.messages.length && now.get(mailbox.messages.at(at)) < uid) at++;
      if (at >= mailbox.messages.length || now.get(mailbox.messages.at(at)) !== uid) vanished.push(position);
    }
    return vanished;
  }

  /** Positions below `known`, ascending, whose flags changed since the last sync and which the client was not told of. */
  #flaggedPositions(mailbox: ReadMailbox, state: ReadState, known: number): number[] {
    const { uid, modSeq, mailbox: ordinal } = state.memberships.columns;
    const isNews = (row: Row): boolean =>
      modSeq.get(row) > this.#modSeq && this.#told.get(row) !== modSeq.get(row) && state.isLive(row);
    const positions: number[] = [];
    const rows = state.recent.since(this.#modSeq);
    if (!rows || rows.size * LOOKUP_COST > known) {
      for (let position = 0; position < known; position++)
        if (isNews(this.#list.at(position))) positions.push(position);
      return positions;
    }
    for (const row of rows) {
      if (ordinal.get(row) !== mailbox.ordinal) continue;
      const position = this.#list.lowerBound(uid.get(row), (r) => uid.get(r), this.#length);
      if (position < known && this.#list.at(position) === row && isNews(row)) positions.push(position);
    }
    return positions.sort((a, b) => a - b);
  }

  /** Rows of those of `positions` that are there now. */
  #liveRows(positions: readonly Plain[]): Row[] {
    const { state } = this.#mail;
    return positions
      .map((position) => this.#presentRow(position))
      .filter((row) => row !== undefined)
      .filter((row) => state.isLive(row));
  }

  #target(positions: readonly Plain[]) {
    return { mailbox: this.id, targets: runsOf(this.#mail.state, this.mailbox, this.#liveRows(positions)) };
  }

  #assertWritable(): void {
    if (this.readOnly) throw new EngineError("not-permitted", "mailbox is selected read-only");
  }

  /** STORE. Resolves with the positions that were refused because they changed after `unchangedSince`, or are gone, and marks
   * the others as told: the caller answers them, or was asked not to. A failure in between leaves the first part changed, of
   * which `sync` tells. Without `unchangedSince` throws EngineError `expunged` if all of them are gone. */
  async setFlags(
    positions: readonly Plain[],
    change: FlagChange,
    unchangedSince?: ModSeq,
  ): Promise<{ readonly refused: readonly number[] }> {
    this.#assertWritable();
    checkFlags(change.flags);
    const refused: number[] = [];
    const stored: [row: Row, modSeq: ModSeq][] = [];
    let reached = 0;
    const isThere = (position: Plain): boolean => this.#liveRows([position]).length > 0;
    for (const part of parts(positions)) {
      const there = this.#liveRows(part).length;
      if (there === 0) {
        refused.push(...part);
        continue;
      }
      const outcome = await this.#mail.push({
        kind: "flags",
        ...this.#target(part),
        change,
        ...(unchangedSince === undefined ? {} : { unchangedSince }),
      });
      for (const row of outcome.changed) stored.push([row, outcome.modSeq]);
      reached += there - outcome.gone;
      const rows = new Set(outcome.refused);
      const isRefused = (row: Row | undefined): boolean => row !== undefined && rows.has(row);
      refused.push(...part.filter((position) => isRefused(this.#presentRow(position)) || !isThere(position)));
    }
    // Of what fails before here the caller answers nothing.
    for (const [row, modSeq] of stored) this.#told.set(row, modSeq);
    if (unchangedSince !== undefined) return { refused };
    assertReached(positions, reached);
    return { refused: [] };
  }

  /** A message as an op names it, and its flags. Throws EngineError `expunged`. */
  targetOf(position: Plain): { readonly of: Targets; readonly flags: readonly string[] } {
    this.#assertWritable();
    const of = this.#target([position]);
    if (of.targets.length === 0) throw new EngineError("expunged", "the message is gone");
    const { state, row } = this.message(position);
    return { of, flags: state.flagNames(row) };
  }

  /** Sets \Seen where it is missing; `sync` tells of it. */
  async markSeen(positions: readonly Plain[]): Promise<void> {
    const { flags } = this.#mail.state.memberships.columns;
    const unseen = positions.filter((position) => {
      const row = this.#presentRow(position);
      return row !== undefined && (flags.get(row) & SEEN) === 0;
    });
    const change = { mode: "add", flags: ["\\Seen"] } as const;
    for (const part of parts(unseen)) await this.#mail.push({ kind: "flags", ...this.#target(part), change });
  }

  /** The position of the first message without \Seen. */
  firstUnseen(): number | undefined {
    const { mailbox } = this;
    if (mailbox.unseen === 0) return undefined;
    if (mailbox.messages !== this.#list || this.#state !== this.#mail.state) return this.#findUnseen();
    // The walk is made once for each change of the mailbox.
    const { highestModSeq } = mailbox;
    const found = firstUnseen.get(mailbox);
    if (found?.list === this.#list && found.modSeq === highestModSeq) return found.position;
    const position = this.#findUnseen();
    if (position !== undefined) firstUnseen.set(mailbox, { list: this.#list, modSeq: highestModSeq, position });
    return position;
  }

  #findUnseen(): number | undefined {
    const { flags } = this.#mail.state.memberships.columns;
    for (let position = 0; position < this.#length; position++) {
      const row = this.#presentRow(position);
      if (row !== undefined && (flags.get(row) & SEEN) === 0) return position;
    }
    return undefined;
  }

  /** COPY: RFC 9051 §6.4.7. Messages that are gone are not copied: the outcome names those that were. Throws EngineError
   * `not-found` if there is no such mailbox, `expunged` if all of the messages are gone. */
  async copy(positions: readonly Plain[], to: MailboxId): Promise<Copied> {
    const copied = await this.#mail.transfer("copy", this.#target(positions), to, positions.length);
    assertReached(positions, copied.uids.length);
    return copied;
  }

  /** MOVE: RFC 6851 §3. Each part that was moved is told to `onMoved` at once: a later one may fail, and what was moved
   * stays moved. Throws EngineError `not-found` if there is no such mailbox, `expunged` if all of the messages are
   * gone. */
  async move(
    positions: readonly Plain[],
    to: MailboxId,
    onMoved: (moved: Copied) => void = () => undefined,
  ): Promise<void> {
    this.#assertWritable();
    // Asked for also where nothing is to be moved.
    this.#mail.mailboxOf(to);
    let reached = 0;
    for (const part of parts(positions)) {
      const moved = await this.#mail.transfer("move", this.#target(part), to, part.length);
      reached += moved.uids.length;
      onMoved(moved);
    }
    assertReached(positions, reached);
  }

  /** EXPUNGE: takes those of `positions` (default: all) that carry \Deleted, but no more than `max`, the last. Resolves with the lowest
   * uid of these if there were more. */
  async expunge(positions?: readonly Plain[], max: number = Number.POSITIVE_INFINITY): Promise<Uid | undefined> {
    this.#assertWritable();
    const { flags } = this.#mail.state.memberships.columns;
    const deleted: number[] = [];
    const look = (position: Plain): void => {
      const row = this.#presentRow(position);
      if (row !== undefined && (flags.get(row) & DELETED) !== 0) deleted.push(position);
    };
    if (positions) positions.forEach(look);
    // No list of all is made for the few that go, and nothing is looked for where nothing is.
    else if (this.#mail.state.findMailbox(this.id)?.deleted)
      for (let position = 0; position < this.#length; position++) look(position);
    const taken = deleted.slice(-max);
    const lowest = taken.length < deleted.length ? this.uidAt(taken[0]!) : undefined;
    for (const part of parts(taken)) await this.#mail.push({ kind: "expunge", ...this.#target(part) });
    return lowest;
  }
}

/** Throws EngineError `expunged` if messages were named and the command reached none of them. */
function assertReached(positions: readonly Plain[], reached: number): void {
  if (positions.length > 0 && reached === 0) throw new EngineError("expunged", "the messages are gone");
}

/** Positions in parts of {@link CHANGED_AT_ONCE}. */
function* parts(positions: readonly Plain[]): Generator<readonly number[]> {
  for (let at = 0; at < positions.length; at += CHANGED_AT_ONCE) yield positions.slice(at, at + CHANGED_AT_ONCE);
}

function sameFlags(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((flag) => b.includes(flag));
}

/** A view of a mailbox. Throws EngineError `not-found`. */
export function openView(mail: Mail, mailbox: MailboxId, options: { readonly readOnly: boolean }): MailboxView {
  return new MailboxView(mail, mail.mailboxOf(mailbox), options.readOnly);
}

/** One message of a view, for the length of one synchronous step: rows are not kept across an await. */
export interface Message {
  readonly position: number;
  readonly row: Row;
  readonly state: ReadState;
}

export interface ViewChanges {
  /** Sequence numbers in the order in which EXPUNGE tells them: highest first. */
  readonly expunged: readonly SequenceNumber[];
  /** Their uids, ascending. */
  readonly expungedUids: readonly Uid[];
  readonly added: number;
  /** Positions, in the view as it is now. */
  readonly flagged: readonly number[];
  /** UIDVALIDITY changed: the client must select anew. */
  readonly invalidated: boolean;
}

const NO_CHANGES: ViewChanges = { expunged: [], expungedUids: [], added: 0, flagged: [], invalidated: false };
