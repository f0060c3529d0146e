import type { MailboxId } from "../ops/names.ts";
import type { MailboxType, SpecialUse } from "../ops/op.ts";
import { MessageList } from "./message-list.ts";

/** Tombstones kept for an account (JMAP and QRESYNC answer from them) and for the changes a view catches up by. */
export const TOMBSTONES_MAX = 65_536;
export const RECENT_CHANGES_MAX = 16_384;

export interface MailboxOptions {
  readonly specialUse?: SpecialUse | undefined;
  readonly uidValidity?: number;
  readonly type?: MailboxType;
}

/** Whether mail programs are shown it: each protocol, export and count asks this. */
export function isMail({ type }: Mailbox): boolean {
  return type === "mail";
}

/** One mailbox in the resident state. `state.ts` alone writes it. */
export class Mailbox {
  readonly id: MailboxId;
  /** Its place in the state's list of mailboxes, for ever: what membership rows hold. */
  readonly ordinal: number;
  /** The path it is shown at: the wanted one, unless an older claim holds that (merge mode only). */
  path: string;
  wantedPath: string;
  /** Where in the order of all ops the wanted path was written. */
  pathWritten = 0;
  /** What it holds. Mail is all that mail programs are shown: {@link isMail}. */
  readonly type: MailboxType;
  specialUse: SpecialUse | undefined;
  /** Where its owner wants it in a list: RFC 8621 §2. */
  sortOrder = 0;
  /** The modseq at which it was made, and that of the last change of its path, role, order, UIDVALIDITY or existence. */
  made = 0;
  propsModSeq = 0;
  uidValidity: number;
  uidNext = 1;
  highestModSeq: number;
  gone = false;
  messages: MessageList = new MessageList();
  unseen = 0;
  deleted = 0;
  bytes = 0;
  /** Where the first message without \Seen was found, and in what list as of which modseq. */
  firstUnseen: { readonly list: MessageList; readonly modSeq: number; readonly position: number } | undefined;
  /** How many messages carry each set of keywords, by its number; those without keywords aren't counted. */
  readonly keywordSets: Map<number, number> = new Map();
  readonly changes: ChangeLog = new ChangeLog();
  readonly vanished: Vanished = new Vanished();

  constructor(id: MailboxId, ordinal: number, path: string, options: MailboxOptions) {
    const { specialUse, uidValidity = 0, type = "mail" } = options;
    this.id = id;
    this.type = type;
    this.ordinal = ordinal;
    this.path = path;
    this.wantedPath = path;
    this.specialUse = specialUse;
    this.uidValidity = uidValidity;
    this.highestModSeq = 0;
  }

  countKeywords(set: number, by: 1 | -1): void {
    if (set === 0) return;
    const count = (this.keywordSets.get(set) ?? 0) + by;
    if (count > 0) this.keywordSets.set(set, count);
    else this.keywordSets.delete(set);
  }
}

/** The rows whose flags changed lately, so that a view catches up without a walk over the mailbox. */
export class ChangeLog {
  #rows: number[] = [];
  #modSeqs: number[] = [];
  /** Changes at or below this modseq may be missing here. */
  #floor = 0;

  add(row: number, modSeq: number): void {
    this.#rows.push(row);
    this.#modSeqs.push(modSeq);
    if (this.#rows.length <= RECENT_CHANGES_MAX) return;
    const cut = this.#rows.length >> 1;
    this.#floor = this.#modSeqs[cut - 1]!;
    this.#rows = this.#rows.slice(cut);
    this.#modSeqs = this.#modSeqs.slice(cut);
  }

  /** Rows changed after `modSeq`, or undefined if that is longer ago than the log reaches. */
  since(modSeq: number): ReadonlySet<number> | undefined {
    if (modSeq < this.#floor) return undefined;
    const rows = new Set<number>();
    for (let i = this.#rows.length - 1; i >= 0 && this.#modSeqs[i]! > modSeq; i--) rows.add(this.#rows[i]!);
    return rows;
  }

  /** After a load nothing older than `modSeq` is known. */
  forget(modSeq: number): void {
    this.#rows = [];
    this.#modSeqs = [];
    this.#floor = modSeq;
  }
}

/** A burnt or expunged range of uids, `first` to `last` inclusive, and the modseq at which it vanished. */
export interface VanishedRange {
  readonly first: number;
  readonly last: number;
  readonly modSeq: number;
}

/** Expunged uids and burnt ranges, in order of modseq: RFC 7162 §3.2.10. */
export class Vanished {
  #ranges: VanishedRange[] = [];
  /** What vanished at or below this modseq may be missing here. */
  floor = 0;

  get ranges(): readonly VanishedRange[] {
    return this.#ranges;
  }

  add(first: number, last: number, modSeq: number): void {
    const previous = this.#ranges.at(-1);
    if (previous && previous.modSeq === modSeq && previous.last + 1 === first)
      this.#ranges[this.#ranges.length - 1] = { first: previous.first, last, modSeq };
    else this.#ranges.push({ first, last, modSeq });
    if (this.#ranges.length <= TOMBSTONES_MAX) return;
    const cut = this.#ranges.length >> 2;
    this.floor = this.#ranges[cut - 1]!.modSeq;
    this.#ranges = this.#ranges.slice(cut);
  }

  /** Moves the uids from `base` on up: the block that they belong to was numbered anew. A range may lie on both sides. */
  shift(base: number, by: number): void {
    this.#ranges = this.#ranges.flatMap(({ first, last, modSeq }) => {
      if (last < base) return [{ first, last, modSeq }];
      if (first >= base) return [{ first: first + by, last: last + by, modSeq }];
      return [
        { first, last: base - 1, modSeq },
        { first: base + by, last: last + by, modSeq },
      ];
    });
  }

  /** What vanished after `modSeq`, or undefined if that is below the floor. */
  since(modSeq: number): readonly VanishedRange[] | undefined {
    if (modSeq < this.floor) return undefined;
    let from = this.#ranges.length;
    while (from > 0 && this.#ranges[from - 1]!.modSeq > modSeq) from--;
    return this.#ranges.slice(from);
  }
}
