import { type EmailRow, type ModSeq, NO_MODSEQ, type Row, type Uid } from "../numbers.ts";
import type { MailboxId } from "./names.ts";

export type Refusal =
  | "no-mailbox"
  | "path-taken"
  | "inbox"
  /** Made upon a view too old to be safe (a `forget`, `condemn` or other slot list came between): author it again. */
  | "stale"
  | "condemned"
  /** The account would have too many live messages, or keywords. */
  | "messages"
  | "keywords"
  /** All that it is about is gone. */
  | "gone"
  /** Something changed that its author relied on: `ifState`, `ifEmail`. */
  | "changed"
  | "not-empty"
  | "has-child";

/** The outcome of one item of a `change`. */
export interface ItemOutcome {
  readonly refusal?: Refusal;
  /** Rows of emails that it is about; of memberships that it added, and their uids. */
  readonly emails: readonly EmailRow[];
  readonly added: readonly Row[];
}

/** The outcome of an op. Rows are the state's; an op that was refused has a `refusal` and changed nothing. */
export interface Outcome {
  readonly refusal?: Refusal;
  readonly modSeq: ModSeq;
  /** Memberships added, in order, and for COPY and MOVE the rows that they were made from. */
  readonly added: readonly Row[];
  readonly sources: readonly Row[];
  /** Their uids, which outlast the rows. */
  readonly addedUids: readonly Uid[];
  readonly sourceUids: readonly Uid[];
  /** Memberships whose flags were set; those refused by `unchangedSince`; those that were named but gone. */
  readonly changed: readonly Row[];
  readonly refused: readonly Row[];
  readonly gone: number;
  readonly removed: readonly Row[];
  readonly mailbox?: MailboxId;
  /** Its UIDVALIDITY: of an op that put messages into one mailbox. */
  readonly uidValidity?: number;
  /** Of a `change`, by item; of `folders`, by step: the mailboxes that it made or changed. */
  readonly items: readonly ItemOutcome[];
  readonly mailboxes: readonly (MailboxId | undefined)[];
  /** Of `folders` that were refused: which step. */
  readonly step?: number;
  /** Notes left out because they were taken in before. */
  readonly repeated: readonly string[];
  /** Notes left out because their bodies are about to be deleted: their author stores them anew. */
  readonly condemned: readonly string[];
}

/** Of an op that changed nothing. */
export const NOTHING: Outcome = {
  modSeq: NO_MODSEQ,
  added: [],
  sources: [],
  addedUids: [],
  sourceUids: [],
  changed: [],
  refused: [],
  gone: 0,
  removed: [],
  items: [],
  mailboxes: [],
  repeated: [],
  condemned: [],
};
