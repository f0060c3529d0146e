import { asEmailRow, type EmailRow, FIRST_EMAIL_ROW, type ModSeq, type Row } from "../mail/numbers.ts";
import { changedRows } from "../mail/state/feed.ts";
import { DELETED, DRAFT, SEEN } from "../mail/state/flags.ts";
import type { ReadState } from "../mail/state/read-state.ts";
import { DEAD } from "../mail/state/state.ts";
import { EmailOrder } from "./email-order.ts";
import type { Lists } from "./lists.ts";
import type { Pace } from "./pace.ts";

/** Counts of a mailbox's emails and threads: RFC 8621 §2. */
export interface EmailCounts {
  readonly totalEmails: number;
  /** Without \Seen and without \Draft. */
  readonly unreadEmails: number;
  readonly totalThreads: number;
  /** Threads with an email in the mailbox, and with an unread one anywhere but in the trash; in the trash those of which it
   * holds an unread one. */
  readonly unreadThreads: number;
}

/** Emails that are looked at between two looks whether it is the others' turn. */
const EMAILS_AT_ONCE = 1024;

/**
 * The emails of each mailbox by when they came, and their counts: each email once, however many memberships hold it there, and
 * none that \Deleted hides. Made in steps, then kept: what changed since is read off the state, and of each thread that it
 * touches the counts are taken back as they were and given as they are.
 *
 * 5 bytes a membership: its place in the order, and its flags as they were counted, from which follows what is to be taken back.
 */
export class MailboxLists {
  readonly of: Lists;
  readonly #state: ReadState;
  /** By the mailbox's ordinal. */
  readonly #orders: EmailOrder[] = [];
  readonly #counts = new ThreadCounts();
  /** Flags of membership rows, as they were counted. Rows that are not here yet are dead. */
  #known: Uint8Array;
  /** The modseq up to which memberships are counted. */
  #modSeq: ModSeq;

  constructor(of: Lists) {
    of.update();
    this.of = of;
    this.#state = of.state;
    this.#known = new Uint8Array(of.state.memberships.rows).fill(DEAD);
    this.#modSeq = of.state.modSeq;
  }

  /** Emails that are shown in a mailbox. */
  orderOf(ordinal: number): EmailOrder {
    this.#orders[ordinal] ??= new EmailOrder((a, b) => this.of.compare(a, b));
    return this.#orders[ordinal];
  }

  countsOf(ordinal: number): EmailCounts {
    return { totalEmails: this.#orders[ordinal]?.length ?? 0, ...this.#counts.of(ordinal) };
  }

  /** Makes them, as of some time within. {@link sync} brings them to the present. */
  async make(pace: Pace): Promise<void> {
    const { membershipRows } = this.of;
    const { flags, mailbox } = this.#state.memberships.columns;
    const emails = this.of.newestFirst();
    this.#counts.trash = trashOf(this.#state);
    for (let at = emails.length - 1; at >= 0; at--) {
      const email = asEmailRow(emails[at]!);
      for (let row = membershipRows.last(email); row >= 0; row = membershipRows.before(row)) {
        // Of what came meanwhile nothing is counted.
        if (row >= this.#known.length) continue;
        this.#known[row] = flags.get(row);
        if (!this.#isShown(row)) continue;
        const order = this.orderOf(mailbox.get(row));
        if (order.length === 0 || order.at(0) !== email) order.append(email);
      }
      if (at % EMAILS_AT_ONCE === 0 && pace.isOver()) await pace.take();
    }
    for (const [at, one] of emails.entries()) {
      const email = asEmailRow(one);
      if (this.of.threadNumber(email) === email) this.#count(email, 1);
      if (at % EMAILS_AT_ONCE === 0 && pace.isOver()) await pace.take();
    }
  }

  /** Moves to the present of the same state, with the lists that these are made of. */
  sync(): void {
    const state = this.#state;
    this.of.update();
    if (trashOf(state) !== this.#counts.trash) this.#countAnew();
    if (this.#modSeq === state.modSeq) return;
    const known = new Uint8Array(state.memberships.rows);
    if (known.length > this.#known.length) {
      known.fill(DEAD);
      known.set(this.#known);
      this.#known = known;
    }
    const rows = [...changedRows(state, this.#modSeq)];
    this.#modSeq = state.modSeq;
    const { email, mailbox } = state.memberships.columns;
    const threads = new Set(rows.map((row) => this.of.threadNumber(email.get(row))));
    const places = new Map<number, Set<EmailRow>>();
    for (const row of rows) {
      const touched = places.get(mailbox.get(row)) ?? new Set();
      places.set(mailbox.get(row), touched.add(email.get(row)));
    }
    for (const thread of threads) this.#count(thread, -1);
    const before = [...places].map(([ordinal, emails]) => [...emails].map((one) => this.#isIn(one, ordinal)));
    const { flags } = state.memberships.columns;
    for (const row of rows) this.#known[row] = flags.get(row);
    for (const [at, [ordinal, emails]] of [...places].entries()) {
      const was = before[at]!;
      const now = [...emails].map((one, nth) => ({ one, was: was[nth]!, is: this.#isIn(one, ordinal) }));
      const removed = now.filter(({ was, is }) => was && !is).map(({ one }) => one);
      const added = now.filter(({ was, is }) => !was && is).map(({ one }) => one);
      this.orderOf(ordinal).update(removed, added);
    }
    for (const thread of threads) this.#count(thread, 1);
  }

  /** Of what came since nothing is known. */
  #isShown(row: Row): boolean {
    return row < this.#known.length && (this.#known[row]! & (DEAD | DELETED)) === 0;
  }

  #isIn(email: EmailRow, ordinal: number): boolean {
    const { membershipRows } = this.of;
    const { mailbox } = this.#state.memberships.columns;
    for (let row = membershipRows.last(email); row >= 0; row = membershipRows.before(row))
      if (this.#isShown(row) && mailbox.get(row) === ordinal) return true;
    return false;
  }

  /** Another mailbox is the trash: threads are unread by another rule. */
  #countAnew(): void {
    this.#counts.clear(trashOf(this.#state));
    for (let email = FIRST_EMAIL_ROW; email < this.#state.emails.rows; email++)
      if (this.of.threadNumber(email) === email) this.#count(email, 1);
  }

  #count(thread: EmailRow, by: 1 | -1): void {
    const { membershipRows, threadEmails } = this.of;
    const { mailbox } = this.#state.memberships.columns;
    this.#counts.begin(by);
    for (let email = threadEmails.last(thread); email >= 0; email = threadEmails.before(email)) {
      let all = SEEN | DRAFT;
      for (let row = membershipRows.last(email); row >= 0; row = membershipRows.before(row))
        if (this.#isShown(row)) all &= this.#known[row]!;
      this.#counts.nextEmail(all === 0);
      for (let row = membershipRows.last(email); row >= 0; row = membershipRows.before(row))
        if (this.#isShown(row)) this.#counts.add(mailbox.get(row));
    }
    this.#counts.end();
  }
}

/** The ordinal of the trash; -1 if there is none. */
function trashOf({ mailboxes }: ReadState): number {
  return mailboxes.findIndex(({ gone, specialUse }) => !gone && specialUse === "\\Trash");
}

interface ThreadTotals {
  unreadEmails: number;
  totalThreads: number;
  unreadThreads: number;
}

/** Counts by mailbox, thread by thread: {@link begin}, of each email {@link nextEmail} and where it is, {@link end}. */
class ThreadCounts {
  trash = -1;
  /** By ordinal. */
  #totals: ThreadTotals[] = [];
  #by: 1 | -1 = 1;
  /** Mailboxes of the thread, each once. */
  readonly #mailboxes: number[] = [];
  /** The thread and the email that were last seen in a mailbox, each numbered as it came, by ordinal. */
  readonly #threadIn: number[] = [];
  readonly #emailIn: number[] = [];
  #thread = 0;
  #email = 0;
  #isUnread = false;
  #isUnreadOutside = false;
  #isUnreadInTrash = false;

  of(ordinal: number): ThreadTotals {
    return { ...(this.#totals[ordinal] ?? { unreadEmails: 0, totalThreads: 0, unreadThreads: 0 }) };
  }

  clear(trash: number): void {
    this.#totals = [];
    this.trash = trash;
  }

  begin(by: 1 | -1): void {
    this.#by = by;
    this.#thread++;
    this.#mailboxes.length = 0;
    this.#isUnreadOutside = false;
    this.#isUnreadInTrash = false;
  }

  nextEmail(isUnread: boolean): void {
    this.#email++;
    this.#isUnread = isUnread;
  }

  add(ordinal: number): void {
    if (this.#emailIn[ordinal] === this.#email) return;
    this.#emailIn[ordinal] = this.#email;
    if (this.#threadIn[ordinal] !== this.#thread) this.#mailboxes.push(ordinal);
    this.#threadIn[ordinal] = this.#thread;
    if (!this.#isUnread) return;
    this.#totalsOf(ordinal).unreadEmails += this.#by;
    if (ordinal === this.trash) this.#isUnreadInTrash = true;
    else this.#isUnreadOutside = true;
  }

  end(): void {
    for (const ordinal of this.#mailboxes) {
      const totals = this.#totalsOf(ordinal);
      totals.totalThreads += this.#by;
      if (ordinal === this.trash ? this.#isUnreadInTrash : this.#isUnreadOutside) totals.unreadThreads += this.#by;
    }
  }

  #totalsOf(ordinal: number): ThreadTotals {
    this.#totals[ordinal] ??= { unreadEmails: 0, totalThreads: 0, unreadThreads: 0 };
    return this.#totals[ordinal];
  }
}
