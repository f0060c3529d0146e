import type { Message } from "../mail/mailbox-view.ts";
import { asEmailRow, type EmailRow, FIRST_EMAIL_ROW, FIRST_ROW, type Row } from "../mail/numbers.ts";
import type { ReadState } from "../mail/state/read-state.ts";
import { RowChains } from "./row-chains.ts";

/**
 * Lists that are derived from a state's columns for readers of emails, not of memberships: the memberships of an email, the
 * emails of a thread, and all emails by when they came. They are not stored: made in steps when somebody first asks, and
 * brought up to date at each later use.
 *
 * Rows only ever come behind those that are there, and neither an email's thread nor a membership's email changes. So a
 * derived list stays true, and only new rows are looked at. Dead and hidden rows are left in; readers pass over them. A
 * state that was made anew has other rows, and gets lists of its own.
 *
 * 20 to 24 bytes a message, with one membership each: 8 for its memberships, 4 and 4 to 8 for its thread, 4 for its place in
 * the order.
 */
const ROWS_AT_ONCE = 4096;

export class Lists {
  readonly state: ReadState;
  /** Rows of memberships by email, the dead and hidden ones too. */
  readonly membershipRows: RowChains<EmailRow, Row> = new RowChains();
  /** Emails by the number of their thread, those that aren't shown too. */
  readonly threadEmails: RowChains<EmailRow, EmailRow> = new RowChains();
  readonly #threadHeads: ThreadHeads;
  /** Oldest first: what is new is added at the end. */
  #order: Uint32Array = new Uint32Array(0);
  #emails: EmailRow = FIRST_EMAIL_ROW;
  #rows: Row = FIRST_ROW;

  constructor(state: ReadState) {
    this.state = state;
    this.#threadHeads = new ThreadHeads(state);
  }

  /** Looks at a few of the rows that are new. Returns whether more are left. */
  step(): boolean {
    const { emails, memberships } = this.state;
    const lastEmail = Math.min(emails.rows, this.#emails + ROWS_AT_ONCE);
    if (this.#emails < lastEmail) this.#addEmails(lastEmail);
    const lastRow = Math.min(memberships.rows, this.#rows + ROWS_AT_ONCE);
    const { email } = memberships.columns;
    for (; this.#rows < lastRow; this.#rows++) this.membershipRows.push(email.get(this.#rows), this.#rows);
    return this.#emails < emails.rows || this.#rows < memberships.rows;
  }

  /** Looks at all that is new: for a holder of lists that were up to date a moment ago. */
  update(): void {
    while (this.step());
  }

  #addEmails(last: number): void {
    const added: EmailRow[] = [];
    for (; this.#emails < last; this.#emails++) {
      const head = this.#threadHeads.headOf(this.#emails);
      this.threadEmails.push(head, this.#emails);
      added.push(this.#emails);
    }
    this.#insert(added.sort((a, b) => this.compare(a, b)));
  }

  /** Merges emails, in order, into the order: from its end, as far as they reach. */
  #insert(added: readonly EmailRow[]): void {
    const known = this.#emails - added.length;
    if (this.#order.length < this.#emails) {
      const order = new Uint32Array(Math.max(64, Math.ceil(this.#emails * 1.1)));
      order.set(this.#order);
      this.#order = order;
    }
    let from = known - 1;
    let to = this.#emails - 1;
    for (let at = added.length - 1; at >= 0; ) {
      const isOlder = from < 0 || this.compare(asEmailRow(this.#order[from]!), added[at]!) < 0;
      this.#order[to--] = isOlder ? added[at--]! : this.#order[from--]!;
    }
  }

  /** Oldest first; of those that came at once the one with the higher id first, so that from the end ids ascend. */
  compare(a: EmailRow, b: EmailRow): number {
    const { received } = this.state.emails.columns;
    return received.get(a) - received.get(b) || this.compareIds(b, a);
  }

  /** Oldest first, those that came at once by id: as a thread is read. */
  compareInThread(a: EmailRow, b: EmailRow): number {
    const { received } = this.state.emails.columns;
    return received.get(a) - received.get(b) || this.compareIds(a, b);
  }

  compareIds(a: EmailRow, b: EmailRow): number {
    return this.state.emails.columns.id.compareIds(a, b);
  }

  /** An email as a message, for readers of its content: by a membership that shows it, if there still is one. */
  messageOf(email: EmailRow, position = 0): Message {
    const { membershipRows, state } = this;
    const last = membershipRows.last(email);
    let row = last;
    while (row >= 0 && (!state.isLive(row) || state.isDeleted(row))) row = membershipRows.before(row);
    // One that went meanwhile stays readable.
    return { position, row: row >= 0 ? row : last, state };
  }

  /** The live memberships of an email, in no order. */
  *memberships(email: EmailRow): Generator<Row> {
    for (const row of this.membershipRows.of(email)) if (this.state.isLive(row)) yield row;
  }

  /** Memberships that show the email: without \Deleted. */
  *shownMemberships(email: EmailRow): Generator<Row> {
    const { state } = this;
    for (const row of this.membershipRows.of(email)) if (state.isLive(row) && !state.isDeleted(row)) yield row;
  }

  /** The emails of an email's thread that are shown, in no order. */
  *threadOf(email: EmailRow): Generator<EmailRow> {
    for (const one of this.threadEmails.of(this.threadNumber(email))) if (this.state.isShown(one)) yield one;
  }

  /** One number for all emails of a thread: equal within these lists alone. */
  threadNumber(email: EmailRow): EmailRow {
    return this.#threadHeads.headOf(email);
  }

  /** The number of the thread with this id, 8 bytes; undefined if there is none. */
  findThread(id: Uint8Array): EmailRow | undefined {
    return this.#threadHeads.find(id);
  }

  /** All emails, shown or not, newest first, those that came at once by id: as it is now, for a walk in steps. */
  newestFirst(): Uint32Array {
    return this.#order.slice(0, this.#emails).reverse();
  }
}

/** The first email of each thread, found by the thread's id: open addressing, at most half full. */
class ThreadHeads {
  readonly #state: ReadState;
  /** Email rows, one more than they are; 0 is empty. */
  #slots: Uint32Array = new Uint32Array(64);
  #used = 0;

  constructor(state: ReadState) {
    this.#state = state;
  }

  /** The first email that was asked for of those of `email`'s thread. */
  headOf(email: EmailRow): EmailRow {
    const slot = this.#find(email);
    const known = this.#slots[slot]!;
    if (known > 0) return asEmailRow(known - 1);
    this.#slots[slot] = email + 1;
    if (++this.#used * 2 > this.#slots.length) this.#grow();
    return email;
  }

  /** The same by the thread's id. */
  find(thread: Uint8Array): EmailRow | undefined {
    if (thread.length !== 8) return undefined;
    const view = new DataView(thread.buffer, thread.byteOffset);
    const known = this.#slots[this.#slotOf(view.getUint32(0), view.getUint32(4))]!;
    return known > 0 ? asEmailRow(known - 1) : undefined;
  }

  #find(email: EmailRow): number {
    const { threadHigh, threadLow } = this.#state.emails.columns;
    return this.#slotOf(threadHigh.get(email), threadLow.get(email));
  }

  #slotOf(high: number, low: number): number {
    const { threadHigh, threadLow } = this.#state.emails.columns;
    const mask = this.#slots.length - 1;
    // Ids of threads are hashes, or random, but what a stranger's log holds may be neither.
    let slot = (Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b) >>> 7) & mask;
    for (; ; slot = (slot + 1) & mask) {
      const known = asEmailRow(this.#slots[slot]! - 1);
      if (known < 0 || (threadLow.get(known) === low && threadHigh.get(known) === high)) return slot;
    }
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    for (const known of before) if (known > 0) this.#slots[this.#find(asEmailRow(known - 1))] = known;
  }
}
