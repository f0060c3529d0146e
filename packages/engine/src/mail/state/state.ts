import { composed } from "@restante/mime";
import { NOWHERE, type Position } from "../../bay/position.ts";
import {
  asEmailRow,
  type EmailRow,
  FIRST_EMAIL_ROW,
  FIRST_ROW,
  type ModSeq,
  NO_MODSEQ,
  type Plain,
  type Row,
  type Uid,
} from "../numbers.ts";
import type { NewEmail } from "../ops/email.ts";
import { INBOX_ID, type MailboxId, type MembershipName, PATH_DELIMITER, type WriterId } from "../ops/names.ts";
import { DELETED, KeywordSets, SEEN, SYSTEM_FLAGS } from "./flags.ts";
import { HeldEmails } from "./held-emails.ts";
import { LastingNames } from "./lasting-names.ts";
import { isMail, Mailbox, type MailboxOptions } from "./mailbox.ts";
import type { NoteStream } from "./note-streams.ts";
import { type DerivedGroup, NO_PAGES, PAGE_EMAILS, type Pages } from "./pages.ts";
import { PathIndex } from "./path-index.ts";
import { RecentRows } from "./recent-rows.ts";
import { Records } from "./records.ts";
import { ReferenceIndex, threadKeys } from "./reference-index.ts";
import { hashId, hashNumbers, RowIndex } from "./row-index.ts";
import { ShownEmails } from "./shown-emails.ts";
import { SweepMark } from "./sweep-mark.ts";
import { type EmailTable, emailTable, type MembershipTable, membershipTable } from "./tables.ts";

/**
 * An account's resident state: what all its ops have come to. No object a message; emails and memberships are rows.
 *
 * This module keeps the tables, indexes and counts consistent with one another and knows nothing of ops; what an op
 * means is `apply.ts`, what numbers it gets is `numbering.ts`.
 *
 * Invariant: a live membership's row stands in its mailbox's `messages`, at its uid's place; a dead one's row stays
 * readable (a view may still hold it) and stands in none.
 */

/** The highest modseqs at which something of a type changed: JMAP's states. Records have their own. */
export interface ChangedTypes {
  email: ModSeq;
  mailbox: ModSeq;
  thread: ModSeq;
  /** Mail came in. */
  delivery: ModSeq;
}

/** Where the summary and body of an email lie that no checkpoint covers yet: all others lie in the row page that their
 * lasting number names. */
export interface TailEmail {
  /** The log entry, the op's place in it, the email's place in the op. */
  readonly entry: Position;
  readonly op: number;
  readonly index: number;
}

/** A checkpoint: it covers entries up to `covers`; the entry `announced` made it current. */
export interface CheckpointMark {
  readonly covers: Position;
  /** The hash of its sealed manifest. */
  readonly manifest: Uint8Array;
  readonly announced: Position;
}

/** Checkpoints that are remembered until the log is trimmed up to them. */
export const MARKS_MAX = 64;

/** Chunks of rows that are indexed in one step, some milliseconds. */
const CHUNKS_AT_ONCE = 2;

/** This bit in `flags` marks a membership that is gone. */
export const DEAD = 128;

/** Numbers of pages that can't be read, by group. */
export type LostPages = Readonly<Partial<Record<"rows" | "headers" | DerivedGroup, ReadonlySet<number>>>>;

export class MailState {
  readonly memberships: MembershipTable = membershipTable();
  readonly emails: EmailTable = emailTable();
  readonly heldEmails: HeldEmails = new HeldEmails(this.emails.columns);
  readonly keywords: KeywordSets = new KeywordSets();
  readonly mailboxes: Mailbox[] = [];
  readonly subscriptions: Set<string> = new Set();
  readonly records: Records = new Records();
  readonly lastingNames: LastingNames = new LastingNames();
  readonly recent: RecentRows = new RecentRows();
  readonly changed: ChangedTypes = { email: NO_MODSEQ, mailbox: NO_MODSEQ, thread: NO_MODSEQ, delivery: NO_MODSEQ };
  references: ReferenceIndex = new ReferenceIndex();
  /** Emails from row `tailStart` on are in no page yet: `tail` says where they are. */
  tailStart: EmailRow = FIRST_EMAIL_ROW;
  tail: TailEmail[] = [];
  /** The lasting number that the next email gets. */
  emailNumbers = 0;
  /** Pages of the checkpoint that this process knows to be current. */
  pages: Pages = NO_PAGES;
  /** The one modseq counter of the account. */
  modSeq: ModSeq = NO_MODSEQ;
  /** The highest UIDVALIDITY ever given. */
  uidValidity = 0;
  /** Paths written so far, by creates and renames. */
  pathWrites = 0;
  /** Rises when history is restored: part of every JMAP state. */
  epoch = 0;
  begun = false;
  /** The version of the log that its readers must know: `LOG_VERSION`. */
  requires = 0;
  /** Names decided to be deleted, and the entry that decided it, until their deletion was acknowledged. */
  readonly condemned: Map<string, Position> = new Map();
  /** Notes taken in, and the entry that took each in, until they are forgotten. */
  readonly takenNotes: Map<string, Position> = new Map();
  readonly streams: Map<string, NoteStream> = new Map();
  /** Streams whose notes were all earlier than this, in ms since 1970, are forgotten: a note from before of a stream that is
   * not known may be one that was taken in. */
  silentBefore = 0;
  /** The log entry of the last `condemn` and of the last `forget`: ops made upon an older view are void. */
  lastCondemn: Position = NOWHERE;
  lastForget: Position = NOWHERE;
  /** The valid key slots and the entry that listed them. */
  slots: { readonly names: readonly string[]; readonly entry: Position } = { names: [], entry: NOWHERE };
  /** Checkpoints, oldest first, from the newest on that the log was trimmed up to. */
  checkpoints: readonly CheckpointMark[] = [];
  /** Log entries up to this one are gone. */
  trimmed: Position = NOWHERE;
  /** Removals at or below this modseq may be known no more. */
  floor: ModSeq = NO_MODSEQ;
  /** The numbering of rows that the announced checkpoints keep to. This state may still stand on an older one. */
  numbering: Position = NOWHERE;
  readonly sweep: SweepMark = new SweepMark();

  readonly #writers: WriterId[] = [];
  readonly #writerNumber = new Map<WriterId, number>();
  readonly #mailboxById = new Map<MailboxId, Mailbox>();
  #pathIndex: PathIndex | undefined;
  readonly #shown: ShownEmails = new ShownEmails(this.emails.columns);
  readonly #byName: RowIndex<Row> = new RowIndex((row) => this.#hashName(row));
  readonly #byEmailId: RowIndex<EmailRow> = new RowIndex((row) => hashId(this.emails.columns.id.getId(row)));

  get writers(): readonly WriterId[] {
    return this.#writers;
  }

  /** The number of a writer that some membership was made by. */
  findWriter(writer: WriterId): number | undefined {
    return this.#writerNumber.get(writer);
  }

  writerNumber(writer: WriterId): number {
    const known = this.#writerNumber.get(writer);
    if (known !== undefined) return known;
    this.#writers.push(writer);
    this.#writerNumber.set(writer, this.#writers.length - 1);
    return this.#writers.length - 1;
  }

  // Mailboxes

  findMailbox(id: MailboxId): Mailbox | undefined {
    const mailbox = this.#mailboxById.get(id);
    return mailbox?.gone ? undefined : mailbox;
  }

  /** The mailbox of mail shown at `path`; INBOX in any case: RFC 9051 §5.1. */
  findPath(path: string): Mailbox | undefined {
    const holder = this.holderOf(composed(path));
    return holder && isMail(holder) ? holder : undefined;
  }

  /** The mailbox that has `path`, whatever it holds. */
  holderOf(path: string): Mailbox | undefined {
    return this.#paths.get(normalizeInbox(path));
  }

  get #paths(): PathIndex {
    this.#pathIndex ??= new PathIndex(this.allMailboxes());
    return this.#pathIndex;
  }

  /** Mailboxes came, went, or have other paths. */
  notePaths(): void {
    this.#pathIndex = undefined;
  }

  get inbox(): Mailbox {
    const inbox = this.findMailbox(INBOX_ID);
    if (!inbox) throw new Error("account has no INBOX");
    return inbox;
  }

  /** Mailboxes that hold mail. */
  liveMailboxes(): Mailbox[] {
    return this.allMailboxes().filter(isMail);
  }

  /** Mailboxes that are there, whatever they hold. */
  allMailboxes(): Mailbox[] {
    return this.mailboxes.filter((mailbox) => !mailbox.gone);
  }

  /** Mailboxes below `path`, at any depth. */
  below(path: string): Mailbox[] {
    return this.#paths.below(path);
  }

  addMailbox(id: MailboxId, path: string, options: MailboxOptions): Mailbox {
    const mailbox = new Mailbox(id, this.mailboxes.length, path, options);
    this.mailboxes.push(mailbox);
    this.#mailboxById.set(id, mailbox);
    this.notePaths();
    return mailbox;
  }

  /** After a load: indexes, lists and counts out of the columns. Rows of a mailbox are in uid order. `breathe` lets
   * others have their turn now and then. Throws RangeError. */
  async index(breathe: () => Promise<void>): Promise<void> {
    this.#byEmailId.reserve(this.emails.rows);
    let emailRow = FIRST_EMAIL_ROW;
    for (let chunk = 0; chunk < this.emails.chunkCount; chunk++) {
      if (chunk % CHUNKS_AT_ONCE === CHUNKS_AT_ONCE - 1) await breathe();
      const { id, held, size } = this.emails.arrays(chunk);
      const rows = this.emails.chunkRows(chunk);
      for (let at = 0; at < rows; at++, emailRow++) this.#byEmailId.add(emailRow, hashId(id, at * 16));
      this.heldEmails.addChunk(held, size, rows);
    }
    this.#byName.reserve(this.memberships.rows);
    let row = FIRST_ROW;
    for (let chunk = 0; chunk < this.memberships.chunkCount; chunk++) {
      if (chunk % CHUNKS_AT_ONCE === CHUNKS_AT_ONCE - 1) await breathe();
      const { writer, sequence, index, keywords, flags, mailbox: ordinal, email } = this.memberships.arrays(chunk);
      const rows = this.memberships.chunkRows(chunk);
      for (let at = 0; at < rows; at++, row++) {
        if (writer[at]! >= this.#writers.length || keywords[at]! >= this.keywords.all.length)
          throw new RangeError("a membership has no name or no keywords");
        this.#byName.add(row, hashNumbers(writer[at]!, sequence[at]!, index[at]!));
        if ((flags[at]! & DEAD) !== 0) continue;
        const mailbox = this.mailboxes[ordinal[at]!];
        if (!mailbox || email[at]! >= this.emails.rows) throw new RangeError("a membership points nowhere");
        mailbox.messages.append(row);
        this.#count(mailbox, row, 1);
      }
    }
    this.recent.forget(this.modSeq);
  }

  /** The tables as they are now. */
  copyTables(): Pick<MailState, "memberships" | "emails"> {
    return { memberships: this.memberships.copy(), emails: this.emails.copy() };
  }

  /** The current checkpoint. */
  get checkpoint(): CheckpointMark | undefined {
    return this.checkpoints.at(-1);
  }

  /** Of too many marks every second of the older half goes: the oldest, which trimming waits for, and the newest stay. */
  markCheckpoint(mark: CheckpointMark): void {
    const marks = [...this.checkpoints, mark];
    this.checkpoints =
      marks.length <= MARKS_MAX ? marks : marks.filter((_mark, at) => at % 2 === 0 || at > MARKS_MAX / 2);
  }

  /** Goes over to the pages of a newer checkpoint, own or another's. Chunks that changed since are still to be written. */
  adoptPages(pages: Pages): void {
    if (pages.covers <= this.pages.covers) return;
    this.pages = pages;
    this.references.adopt(pages.references, pages.emailNumbers);
    this.records.adopt(pages.values);
    this.tail = this.tail.slice(Math.max(0, pages.emailRows - this.tailStart));
    if (pages.emailRows > this.tailStart) this.tailStart = asEmailRow(pages.emailRows);
  }

  /** These pages are lost: the next checkpoint writes them anew. */
  losePages(lost: LostPages): void {
    const { rows, headers, texts, ids } = this.pages;
    const without = (names: readonly string[], gone: ReadonlySet<number> = new Set()): readonly string[] =>
      gone.size === 0 ? names : names.map((name, page) => (gone.has(page) ? "" : name));
    this.pages = {
      ...this.pages,
      rows: without(rows, lost.rows),
      headers: without(headers, lost.headers),
      texts: without(texts, lost.texts),
      ids: without(ids, lost.ids),
    };
  }

  isHeld(email: EmailRow): boolean {
    return this.emails.columns.held.get(email) > 0;
  }

  // Emails and memberships

  findEmail(id: Uint8Array): EmailRow | undefined {
    const column = this.emails.columns.id;
    return id.length === 16 ? this.#byEmailId.find(hashId(id), (row) => sameId(column.getId(row), id)) : undefined;
  }

  addEmail(email: NewEmail, tail: TailEmail): EmailRow {
    const row = this.emails.add();
    const { columns } = this.emails;
    columns.id.setId(row, email.id);
    columns.size.set(row, email.size);
    columns.received.set(row, email.receivedMs);
    columns.receivedZone.set(row, email.receivedZone);
    columns.sent.set(row, email.sentMs);
    columns.sentZone.set(row, email.sentZone);
    const thread = new DataView(email.thread.buffer, email.thread.byteOffset, 8);
    columns.threadHigh.set(row, thread.getUint32(0));
    columns.threadLow.set(row, thread.getUint32(4));
    const number = this.emailNumbers++;
    columns.number.set(row, number);
    this.tail.push(tail);
    this.#byEmailId.add(row);
    this.references.add(threadKeys(email), number);
    return row;
  }

  /** The row of the email with this lasting number, or the first one above it; `emails.rows` if there is none. */
  rowFrom(number: Plain): EmailRow {
    const column = this.emails.columns.number;
    let low = 0;
    let high = this.emails.rows;
    while (low < high) {
      const middle = asEmailRow((low + high) >>> 1);
      if (column.get(middle) < number) low = middle + 1;
      else high = middle;
    }
    return asEmailRow(low);
  }

  /** The row of the email with this lasting number; undefined if it was left out since. */
  findNumber(number: Plain): EmailRow | undefined {
    const row = this.rowFrom(number);
    return row < this.emails.rows && this.emails.columns.number.get(row) === number ? row : undefined;
  }

  /** The row page and header page in which an email has its place, and that place. */
  placeInPages(email: EmailRow): { readonly page: number; readonly at: number } {
    const number = this.emails.columns.number.get(email);
    return { page: Math.floor(number / PAGE_EMAILS), at: number % PAGE_EMAILS };
  }

  /** An email's thread: 8 bytes. */
  threadOf(email: EmailRow): Uint8Array {
    const thread = new Uint8Array(8);
    const view = new DataView(thread.buffer);
    view.setUint32(0, this.emails.columns.threadHigh.get(email));
    view.setUint32(4, this.emails.columns.threadLow.get(email));
    return thread;
  }

  sizeOf(row: Row): number {
    return this.emails.columns.size.get(this.memberships.columns.email.get(row));
  }

  receivedOf(row: Row): { readonly timeMs: number; readonly zoneMinutes: number } {
    const email = this.memberships.columns.email.get(row);
    const { received, receivedZone } = this.emails.columns;
    return { timeMs: received.get(email), zoneMinutes: receivedZone.get(email) };
  }

  sentOf(row: Row): { readonly timeMs: number; readonly zoneMinutes: number } {
    const email = this.memberships.columns.email.get(row);
    const { sent, sentZone } = this.emails.columns;
    return { timeMs: sent.get(email), zoneMinutes: sentZone.get(email) };
  }

  emailOf(row: Row): EmailRow {
    return this.memberships.columns.email.get(row);
  }

  /** Where an email lies that is in no page yet. */
  tailOf(email: EmailRow): TailEmail | undefined {
    return email < this.tailStart ? undefined : this.tail[email - this.tailStart];
  }

  /** One number for a row's flags and keywords: equal numbers have equal {@link flagNames}. */
  flagsNumber(row: Row): number {
    const { flags, keywords } = this.memberships.columns;
    return keywords.get(row) * SYSTEM_FLAG_SETS.length + (flags.get(row) & ~DEAD);
  }

  /** Flags and keywords by name, system flags first. */
  flagNames(row: Row): readonly string[] {
    const bits = this.bitsOf(row);
    const keywords = this.keywords.get(this.memberships.columns.keywords.get(row));
    return keywords.length === 0 ? SYSTEM_FLAG_SETS[bits]! : [...SYSTEM_FLAG_SETS[bits]!, ...keywords];
  }

  /** Adds a membership at the end of `mailbox`; its uid must be above all uids there. */
  addMembership(
    name: MembershipName,
    mailbox: Mailbox,
    fields: { uid: Uid; modSeq: ModSeq; flags: number; keywords: number; email: EmailRow; saved: number },
  ): Row {
    const row = this.memberships.add();
    const { columns } = this.memberships;
    columns.writer.set(row, this.writerNumber(name.writer));
    columns.sequence.set(row, name.sequence);
    columns.index.set(row, name.index);
    columns.mailbox.set(row, mailbox.ordinal);
    columns.uid.set(row, fields.uid);
    columns.modSeq.set(row, fields.modSeq);
    columns.flags.set(row, fields.flags);
    columns.keywords.set(row, fields.keywords);
    columns.email.set(row, fields.email);
    columns.saved.set(row, fields.saved);
    this.#byName.add(row);
    mailbox.messages.append(row);
    this.recent.add(row, fields.modSeq);
    this.#count(mailbox, row, 1);
    this.heldEmails.hold(fields.email, 1);
    this.changed.email = fields.modSeq;
    if ((fields.flags & DELETED) === 0) this.#tellShown(fields.email, 1, fields.modSeq);
    return row;
  }

  /** True for an email that clients without \Deleted see: some live membership without it holds the email. */
  isShown(email: EmailRow): boolean {
    return this.#shown.has(email);
  }

  #tellShown(email: EmailRow, by: 1 | -1, modSeq: ModSeq): void {
    if (this.#shown.note(email, by, modSeq)) this.changed.thread = modSeq;
  }

  isLive(row: Row): boolean {
    return (this.memberships.columns.flags.get(row) & DEAD) === 0;
  }

  /** True for a membership that carries \Deleted. */
  isDeleted(row: Row): boolean {
    return (this.memberships.columns.flags.get(row) & DELETED) !== 0;
  }

  mailboxOf(row: Row): Mailbox {
    return this.mailboxes[this.memberships.columns.mailbox.get(row)]!;
  }

  nameOf(row: Row): MembershipName {
    const { writer, sequence, index } = this.memberships.columns;
    return { writer: this.#writers[writer.get(row)]!, sequence: sequence.get(row), index: index.get(row) };
  }

  /** The name by which a membership is known for as long as its place is held, whatever email lies there: {@link nameOf},
   * or that of one that it replaced. */
  lastingNameOf(row: Row): MembershipName {
    return this.lastingNames.get(row) ?? this.nameOf(row);
  }

  /** The membership that is known by this name now, live or dead: {@link lastingNameOf}. */
  findLasting(name: MembershipName): Row | undefined {
    return this.lastingNames.find(name) ?? this.findMembership(name);
  }

  findMembership(name: MembershipName): Row | undefined {
    const number = this.#writerNumber.get(name.writer);
    if (number === undefined) return undefined;
    const { writer, sequence, index } = this.memberships.columns;
    return this.#byName.find(
      hashNumbers(number, name.sequence, name.index),
      (row) => index.get(row) === name.index && sequence.get(row) === name.sequence && writer.get(row) === number,
    );
  }

  /** Takes rows of one mailbox (live, in uid order) out of it. */
  removeMemberships(mailbox: Mailbox, rows: readonly Row[], modSeq: ModSeq): void {
    const { flags, uid, email } = this.memberships.columns;
    const positions = rows.map((row) => mailbox.messages.lowerBound(uid.get(row), (r) => uid.get(r)));
    mailbox.messages = mailbox.messages.without(positions);
    for (const row of rows) {
      this.#count(mailbox, row, -1);
      flags.set(row, flags.get(row) | DEAD);
      this.memberships.columns.modSeq.set(row, modSeq);
      this.recent.add(row, modSeq);
      const emailRow = email.get(row);
      this.heldEmails.hold(emailRow, -1);
      if ((flags.get(row) & DELETED) === 0) this.#tellShown(emailRow, -1, modSeq);
    }
    if (rows.length > 0) this.changed.email = modSeq;
  }

  /** Of a membership that is there. */
  setFlags(row: Row, bits: number, keywords: number, modSeq: ModSeq): void {
    const mailbox = this.mailboxOf(row);
    this.#count(mailbox, row, -1);
    const { columns } = this.memberships;
    const before = columns.flags.get(row);
    columns.flags.set(row, bits);
    columns.keywords.set(row, keywords);
    columns.modSeq.set(row, modSeq);
    this.#count(mailbox, row, 1);
    this.recent.add(row, modSeq);
    this.changed.email = modSeq;
    if (((before ^ bits) & DELETED) !== 0)
      this.#tellShown(columns.email.get(row), (bits & DELETED) === 0 ? 1 : -1, modSeq);
  }

  /** A membership's system flags. */
  bitsOf(row: Row): number {
    return this.memberships.columns.flags.get(row) & ~DEAD;
  }

  #count(mailbox: Mailbox, row: Row, by: 1 | -1): void {
    const { flags, keywords, email } = this.memberships.columns;
    const bits = flags.get(row);
    mailbox.countKeywords(keywords.get(row), by);
    this.keywords.count(keywords.get(row), by);
    if ((bits & SEEN) === 0) mailbox.unseen += by;
    if ((bits & DELETED) !== 0) {
      mailbox.deleted += by;
      this.#shown.countDeleted(email.get(row), by);
    }
    mailbox.bytes += by * this.emails.columns.size.get(email.get(row));
  }

  #hashName(row: Row): number {
    const { writer, sequence, index } = this.memberships.columns;
    return hashNumbers(writer.get(row), sequence.get(row), index.get(row));
  }
}

/** INBOX is one name in any case, alone and as the first level of a path. */
export function normalizeInbox(path: string): string {
  const first = path.split(PATH_DELIMITER, 1)[0]!;
  return first.toUpperCase() === "INBOX" ? `INBOX${path.slice(5)}` : path;
}

/** The names of each of the 32 combinations of system flags. */
const SYSTEM_FLAG_SETS: readonly (readonly string[])[] = Array.from({ length: 32 }, (_, bits) =>
  SYSTEM_FLAGS.filter((_name, bit) => (bits & (1 << bit)) !== 0),
);

function sameId(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 16; i++) if (a[i] !== b[i]) return false;
  return true;
}
