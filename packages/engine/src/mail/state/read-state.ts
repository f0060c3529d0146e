import type { Row } from "../numbers.ts";
import type { BurntUids } from "./burnt-uids.ts";
import type { Column, Schema, Table } from "./columns.ts";
import type { KeywordSets } from "./flags.ts";
import type { HeldEmails } from "./held-emails.ts";
import type { LastingNames } from "./lasting-names.ts";
import type { Mailbox } from "./mailbox.ts";
import type { MessageList } from "./message-list.ts";
import type { NoteStream } from "./note-streams.ts";
import type { RecentRows } from "./recent-rows.ts";
import type { Records } from "./records.ts";
import type { ReferenceIndex } from "./reference-index.ts";
import type { ChangedTypes, MailState } from "./state.ts";
import type { SweepMark } from "./sweep-mark.ts";

/**
 * A state for its readers: queries, contents, and all front ends. Only the fold and the loading of checkpoints hold a {@link
 * MailState}, which has what changes it.
 */
export interface ReadState extends Omit<Readonly<MailState>, Writers | Tables | Mailboxes> {
  readonly memberships: ReadTable<MailState["memberships"]>;
  readonly emails: ReadTable<MailState["emails"]>;
  readonly heldEmails: Omit<HeldEmails, "index" | "hold">;
  readonly keywords: Omit<KeywordSets, "number" | "count">;
  readonly subscriptions: ReadonlySet<string>;
  readonly records: Omit<Records, "set" | "setType" | "adopt">;
  readonly lastingNames: Omit<LastingNames, "give">;
  readonly recent: Omit<RecentRows, "add" | "forget">;
  readonly references: Omit<ReferenceIndex, "add" | "adopt" | "capture">;
  readonly changed: Readonly<ChangedTypes>;
  readonly condemned: ReadonlyMap<string, MailState["trimmed"]>;
  readonly takenNotes: ReadonlyMap<string, MailState["trimmed"]>;
  readonly streams: ReadonlyMap<string, Readonly<NoteStream>>;
  readonly sweep: Omit<Readonly<SweepMark>, "noteRemoval" | "noteSweep">;
  readonly mailboxes: readonly ReadMailbox[];
  readonly inbox: ReadMailbox;
  findMailbox(...id: Parameters<MailState["findMailbox"]>): ReadMailbox | undefined;
  findPath(path: string): ReadMailbox | undefined;
  holderOf(path: string): ReadMailbox | undefined;
  liveMailboxes(): ReadMailbox[];
  allMailboxes(): ReadMailbox[];
  below(path: string): ReadMailbox[];
  mailboxOf(row: Row): ReadMailbox;
}

/** A state of whose pages some may turn out to be lost: the next checkpoint makes them anew. Nothing that is shown changes. */
export type LosingState = ReadState & Pick<MailState, "losePages">;

/** Members that change a state. */
type Writers =
  | "writerNumber"
  | "addMailbox"
  | "notePaths"
  | "index"
  | "copyTables"
  | "markCheckpoint"
  | "adoptPages"
  | "losePages"
  | "addEmail"
  | "addMembership"
  | "removeMemberships"
  | "setFlags";

/** Members that are tables, with readers and writers of their own. */
type Tables =
  | "memberships"
  | "emails"
  | "heldEmails"
  | "keywords"
  | "subscriptions"
  | "records"
  | "lastingNames"
  | "recent"
  | "references"
  | "changed"
  | "condemned"
  | "takenNotes"
  | "streams"
  | "sweep";

type Mailboxes =
  | "mailboxes"
  | "inbox"
  | "findMailbox"
  | "findPath"
  | "holderOf"
  | "liveMailboxes"
  | "allMailboxes"
  | "below"
  | "mailboxOf";

type ReadColumn<C> = C extends Column<infer V, infer R> ? Pick<Column<V, R>, "get" | "getId" | "compareIds"> : never;
type ReadTable<T> =
  T extends Pick<Table<Schema>, "rows" | "columns">
    ? { readonly rows: number; readonly columns: { readonly [K in keyof T["columns"]]: ReadColumn<T["columns"][K]> } }
    : never;

export type ReadMessageList = Pick<MessageList, "length" | "at" | "lowerBound">;

/** One of its mailboxes. */
export interface ReadMailbox extends Omit<Readonly<Mailbox>, "countKeywords" | "messages" | "burnt" | "keywordSets"> {
  readonly messages: ReadMessageList;
  readonly burnt: Pick<BurntUids, "ranges">;
  readonly keywordSets: ReadonlyMap<number, number>;
}
