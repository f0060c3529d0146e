import { FIRST_UID, type ModSeq, NO_MODSEQ, type Uid } from "../numbers.ts";
import type { MailboxId } from "../ops/names.ts";
import type { MailboxType, SpecialUse } from "../ops/op.ts";
import { BurntUids } from "./burnt-uids.ts";
import { MessageList } from "./message-list.ts";

export interface MailboxOptions {
  readonly specialUse?: SpecialUse | undefined;
  readonly uidValidity?: number;
  readonly type?: MailboxType;
}

/** True for a mailbox that mail programs are shown: each protocol, export and count asks this. */
export function isMail({ type }: Pick<Mailbox, "type">): boolean {
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
  /** Kind of its items. Mail programs are shown mailboxes of mail alone: {@link isMail}. */
  readonly type: MailboxType;
  specialUse: SpecialUse | undefined;
  /** Where its owner wants it in a list: RFC 8621 §2. */
  sortOrder = 0;
  /** The modseq at which it was made, and that of the last change of its path, role, order, UIDVALIDITY or existence. */
  made: ModSeq = NO_MODSEQ;
  propsModSeq: ModSeq = NO_MODSEQ;
  uidValidity: number;
  uidNext: Uid = FIRST_UID;
  highestModSeq: ModSeq = NO_MODSEQ;
  gone = false;
  messages: MessageList = new MessageList();
  unseen = 0;
  deleted = 0;
  bytes = 0;
  /** How many messages carry each set of keywords, by its number; those without keywords aren't counted. */
  readonly keywordSets: Map<number, number> = new Map();
  /** Uids that no message ever had: merge mode only. */
  readonly burnt: BurntUids = new BurntUids();

  constructor(id: MailboxId, ordinal: number, path: string, options: MailboxOptions) {
    const { specialUse, uidValidity = 0, type = "mail" } = options;
    this.id = id;
    this.type = type;
    this.ordinal = ordinal;
    this.path = path;
    this.wantedPath = path;
    this.specialUse = specialUse;
    this.uidValidity = uidValidity;
  }

  countKeywords(set: number, by: 1 | -1): void {
    if (set === 0) return;
    const count = (this.keywordSets.get(set) ?? 0) + by;
    if (count > 0) this.keywordSets.set(set, count);
    else this.keywordSets.delete(set);
  }
}
