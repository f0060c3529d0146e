import type { Position } from "../../bay/position.ts";
import type { ModSeq } from "../numbers.ts";
import type { NewEmail } from "./email.ts";
import type { MailboxId } from "./names.ts";
import type { TargetRun } from "./targets.ts";

/**
 * Changes of an account: one op a command, not a message. The log keeps ops for ever in sealed entries (`op-codec.ts`).
 * `seconds` is the author's clock, shown (SAVEDATE, UIDVALIDITY), never compared.
 *
 * Ops carry preconditions and no results: uids, modseqs and UIDVALIDITY are computed from the set of ops. Memberships are
 * named in runs (`targets.ts`), mailboxes by id.
 */
export type Op =
  /** The account's beginning: its folders, with fixed ids in this order (the first is INBOX). */
  | { readonly kind: "begin"; readonly seconds: number; readonly folders: readonly FolderSeed[] }
  | { readonly kind: "create"; readonly path: string; readonly seconds: number; readonly specialUse?: SpecialUse }
  /** `paths` lists the mailbox first, then each that lay below it, with their new full paths. */
  | { readonly kind: "rename"; readonly paths: readonly { readonly mailbox: MailboxId; readonly path: string }[] }
  /** RENAME INBOX, RFC 9051 §6.3.6: a new mailbox takes what INBOX holds. */
  | { readonly kind: "rename-inbox"; readonly path: string; readonly seconds: number }
  | { readonly kind: "delete"; readonly mailbox: MailboxId }
  | { readonly kind: "subscribe"; readonly path: string; readonly on: boolean }
  | AddOp
  | TakeInOp
  | {
      readonly kind: "flags";
      readonly mailbox: MailboxId;
      readonly targets: readonly TargetRun[];
      readonly change: FlagChange;
      /** Memberships with a higher modseq are refused: RFC 7162 §3.1.3. */
      readonly unchangedSince?: ModSeq;
    }
  | {
      readonly kind: "copy";
      readonly mailbox: MailboxId;
      readonly targets: readonly TargetRun[];
      readonly to: MailboxId;
      readonly seconds: number;
      /** Each {@link CHANGED_AT_ONCE} messages get a modseq of their own, and others have their turn between them. */
      readonly inParts?: true;
    }
  | {
      readonly kind: "move";
      readonly mailbox: MailboxId;
      readonly targets: readonly TargetRun[];
      readonly to: MailboxId;
      readonly seconds: number;
    }
  /** Takes those of its targets that carry \Deleted when it is applied. */
  | { readonly kind: "expunge"; readonly mailbox: MailboxId; readonly targets: readonly TargetRun[] }
  | {
      readonly kind: "checkpoint";
      readonly covers: Position;
      readonly manifest: Uint8Array;
      readonly emailRows: number;
      readonly startedAt: Position;
      /** The numbering of rows that it keeps to: what the checkpoint covered that began it. */
      readonly numbering?: Position;
      /** Nothing is left in pages and packs of what was removed by then. */
      readonly sweeps?: boolean;
      /** Streams of notes that were silent since before this, in ms since 1970, are forgotten. */
      readonly silentBefore?: number;
    }
  /** Objects that nothing names any more, as of position `listed`: they are deleted a day later. */
  | { readonly kind: "condemn"; readonly names: readonly string[]; readonly listed: Position }
  /** The deletion of these was acknowledged; so was that of log entries up to `trimmed`. */
  | {
      readonly kind: "forget";
      readonly names: readonly string[];
      readonly notes: readonly string[];
      readonly trimmed: Position;
    }
  /** The valid key slots; refused unless made upon the list now in force (its op's name, or none). */
  | { readonly kind: "slots"; readonly names: readonly string[]; readonly upon: Position }
  /** The store's history was restored or accepted: every UIDVALIDITY and the JMAP epoch rise. */
  | { readonly kind: "raise"; readonly seconds: number }
  | { readonly kind: "nop" }
  | ChangeOp
  | FoldersOp
  | ReplaceOp
  | RecordOp
  /** Later ops want a program that knows this version of the log: an older one stops here, and says so. */
  | { readonly kind: "requires"; readonly version: number };

export type OpKind = Op["kind"];
export type OpOf<K extends OpKind> = Op & { readonly kind: K };

/** The version of the log that this program knows: copies in parts came with 3. */
export const LOG_VERSION = 4;

/** Messages that are changed at once: more would keep all others waiting. Stored logs stand upon it. */
export const CHANGED_AT_ONCE = 4096;

/** Emails, each into one mailbox or several, at once. One whose mailboxes are all gone is left out; if all are, the op is
 * refused. */
interface AddOp {
  readonly kind: "add";
  readonly emails: readonly AddedEmail[];
  /** The position that was applied before the first body's first byte was stored. */
  readonly since: Position;
  readonly seconds: number;
}
export interface AddedEmail {
  readonly email: NewEmail;
  readonly places: readonly Placement[];
}
/** A mailbox that an email is put into, and the flags that it has there. */
export interface Placement {
  readonly mailbox: MailboxId;
  readonly flags: readonly string[];
}

/** Delivered mail that waited in notes. */
interface TakeInOp {
  readonly kind: "take-in";
  readonly notes: readonly TakenNote[];
  readonly listed: Position;
  readonly seconds: number;
}
export interface TakenNote {
  readonly note: string;
  readonly email: NewEmail;
  /** Where it goes; nowhere: it is discarded, and its number counts. INBOX stands in for a mailbox that is gone. */
  readonly places: readonly Placement[];
  /** The delivering host's stream, this note's number in it and the numbers given up before it. */
  readonly stream: string;
  readonly counter: number;
  readonly givenUp: readonly number[];
}

/** Memberships of one mailbox. */
export interface Targets {
  readonly mailbox: MailboxId;
  readonly targets: readonly TargetRun[];
}

/**
 * Changes of emails by JMAP and phones: keywords on all memberships of each, and the mailboxes that it is in. An item is
 * done wholly or not at all; the outcome tells of each.
 */
interface ChangeOp {
  readonly kind: "change";
  readonly items: readonly ChangeItem[];
  readonly seconds: number;
  readonly ifState?: StateClaim;
}
export interface ChangeItem {
  /** Its emails are those that these memberships hold. */
  readonly targets: readonly Targets[];
  readonly add: readonly string[];
  readonly remove: readonly string[];
  readonly join: readonly MailboxId[];
  readonly leave: readonly MailboxId[] | "all";
  /** The email that its author saw there, and no other. */
  readonly ifEmail?: Uint8Array;
  /** Which of the op's items it was before it was judged; not stored. */
  readonly of?: number;
}

/** Refused unless nothing of this type changed after `modSeq`, in the same history. */
export interface StateClaim {
  readonly type: string;
  readonly epoch: number;
  readonly modSeq: ModSeq;
}

/** Mailboxes made, changed and destroyed as one: names that it frees are free for it, so two may be swapped. */
interface FoldersOp {
  readonly kind: "folders";
  readonly steps: readonly FolderStep[];
  readonly seconds: number;
  readonly ifState?: StateClaim;
}
export type FolderStep =
  | {
      readonly do: "create";
      readonly path: string;
      readonly type: MailboxType;
      readonly role?: SpecialUse;
      readonly sortOrder: number;
      readonly subscribed: boolean;
    }
  /** Absent properties stay. A renamed mailbox takes the mailboxes below it along: each is a step of its own. */
  | {
      readonly do: "set";
      readonly mailbox: MailboxId;
      readonly path?: string;
      readonly role?: SpecialUse | "none";
      readonly sortOrder?: number;
      readonly subscribed?: boolean;
    }
  | { readonly do: "destroy"; readonly mailbox: MailboxId; readonly ifEmpty: boolean };

/** Kind of a mailbox's items. */
export type MailboxType = "mail" | "calendar" | "contacts" | "tasks" | "notes";

/** A membership gets a new email and uid, in place: its lasting id is held. */
interface ReplaceOp {
  readonly kind: "replace";
  readonly mailbox: MailboxId;
  readonly target: readonly TargetRun[];
  readonly email: NewEmail;
  /** Flags against those that its author saw. */
  readonly add: readonly string[];
  readonly remove: readonly string[];
  readonly since: Position;
  readonly seconds: number;
  /** The email that its author saw there. */
  readonly ifEmail?: Uint8Array;
}

/** Registers by type and id: the last one in order counts. No value ends one. */
interface RecordOp {
  readonly kind: "record";
  readonly records: readonly NewRecord[];
  readonly ifState?: StateClaim;
}
export interface NewRecord {
  readonly type: string;
  readonly id: string;
  readonly value: Uint8Array | undefined;
}

export type SpecialUse = "\\Drafts" | "\\Sent" | "\\Trash" | "\\Junk" | "\\Archive";

export interface FolderSeed {
  readonly path: string;
  readonly specialUse?: SpecialUse;
}

export interface FlagChange {
  readonly mode: "add" | "remove" | "replace";
  readonly flags: readonly string[];
}

/** Ops that a full store still takes: those that remove or lead to removals, the keys, and mail that is in the store already. */
const ESSENTIAL: ReadonlySet<OpKind> = new Set([
  "take-in",
  "flags",
  "move",
  "expunge",
  "delete",
  "checkpoint",
  "condemn",
  "forget",
  "slots",
  "raise",
  "nop",
  "change",
  "requires",
]);

export function isEssential({ kind }: Op): boolean {
  return ESSENTIAL.has(kind);
}
