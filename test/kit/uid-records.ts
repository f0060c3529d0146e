/** Records of the ledger: uids and mailboxes as sessions were told of them. */

/** When a command was sent, and when its answer was there. */
export interface Asked {
  readonly askedAt: number;
  readonly at: number;
}

/** When the command was sent by which a session began to look at a mailbox, and when it was told. */
export interface Looked {
  readonly since: number;
  readonly at: number;
}

export interface Seen {
  readonly id?: string | undefined;
  readonly flags?: readonly string[] | undefined;
  readonly modSeq?: number | undefined;
}

/** Origin of a uid: a message that was handed over, or another uid. */
export type Source =
  | { readonly id: string }
  | { readonly uidValidity: number; readonly uid: number; readonly moved: boolean };

export interface FlagsAsked {
  readonly mode: "add" | "remove";
  readonly flags: readonly string[];
  /** When it was acknowledged; infinite if it was not. */
  readonly doneAt: number;
}

export interface Listing extends Looked {
  readonly uidNext: number;
  readonly flagsByUid: ReadonlyMap<number, readonly string[]>;
  readonly modSeqByUid: ReadonlyMap<number, number>;
}

export interface UidRecord {
  id: string | undefined;
  source: Source | undefined;
  /** A MOVE of it was acknowledged. */
  moved: boolean;
  /** The command that made it was not sent before. */
  bornAfter: number;
  /** When somebody first was told of it. */
  seenAt: number;
  /** The latest look in which it was shown began then. */
  shownSince: number;
  awayAskedAt: number;
  /** When somebody first was told that it is gone. */
  goneAt: number;
  readonly flagsShown: Set<string>;
  readonly flagChanges: FlagsAsked[];
  /** The flags that listings showed with each modseq. */
  readonly flagsByModSeq: Map<number, string>;
}

export interface MailboxRecord {
  path: string | undefined;
  readonly uids: Map<number, UidRecord>;
  nexts: (Asked & { readonly uidNext: number })[];
  /** Values that were told as HIGHESTMODSEQ, and as MODSEQ of a message. */
  highestModSeqs: (Asked & { readonly modSeq: number })[];
  modSeqs: { readonly at: number; readonly value: number }[];
  listings: Listing[];
}

export function newUidRecord(): UidRecord {
  return {
    id: undefined,
    source: undefined,
    moved: false,
    bornAfter: 0,
    seenAt: Number.POSITIVE_INFINITY,
    shownSince: 0,
    awayAskedAt: Number.POSITIVE_INFINITY,
    goneAt: Number.POSITIVE_INFINITY,
    flagsShown: new Set(),
    flagChanges: [],
    flagsByModSeq: new Map(),
  };
}

/** Flags that the message must show to who looks since then: added before, and never asked to be removed. */
export function keptFlags({ flagChanges }: UidRecord, since: number): string[] {
  const removed = flagChanges.filter(({ mode }) => mode === "remove").flatMap(({ flags }) => flags);
  return flagChanges
    .filter(({ mode, doneAt }) => mode === "add" && doneAt < since)
    .flatMap(({ flags }) => flags)
    .filter((flag) => !removed.includes(flag));
}
