import { type EmailRow, FIRST_EMAIL_ROW } from "../numbers.ts";
import { isInPages, PAGE_EMAILS, type Pages } from "../state/pages.ts";
import type { ReadState } from "../state/read-state.ts";

/** Which emails pages are to hold, of a state that others change meanwhile: what they remove shows in the next capture. */
export class PagePlan {
  readonly state: ReadState;
  readonly known: Pages;
  /** As many emails as there were when this was made. */
  readonly emailRows: number;
  readonly emailNumbers: number;
  /** As {@link Pages.held}. */
  readonly held: Uint8Array;

  constructor(state: ReadState, sweep: boolean) {
    this.state = state;
    this.known = state.pages;
    this.emailRows = state.emails.rows;
    this.emailNumbers = state.emailNumbers;
    this.held = new Uint8Array(Math.ceil(this.emailNumbers / 8));
    const { number: numbers } = state.emails.columns;
    for (let row = FIRST_EMAIL_ROW; row < this.emailRows; row++) {
      const number = numbers.get(row);
      const isWanted = state.isHeld(row) || (!sweep && (this.#isNew(number) || isInPages(this.known, number)));
      if (isWanted) this.held[number >> 3]! |= 1 << (number & 7);
    }
  }

  #isNew(number: number): boolean {
    return !this.isCovered(number);
  }

  get pageCount(): number {
    return Math.ceil(this.emailNumbers / PAGE_EMAILS);
  }

  /** True if an earlier checkpoint put the email into pages, provided that it is in some. */
  isCovered(number: number): boolean {
    return number < this.known.emailNumbers;
  }

  /** Rows of the emails that a page is to hold, each with its place there. */
  *emailsOf(page: number, size: number = PAGE_EMAILS): Generator<{ readonly row: EmailRow; readonly at: number }> {
    const first = page * size;
    const { number: numbers } = this.state.emails.columns;
    for (let row = this.state.rowFrom(first); row < this.emailRows; row++) {
      const number = numbers.get(row);
      if (number >= first + size) return;
      if (isInPages(this, number)) yield { row, at: number - first };
    }
  }

  isEmpty(page: number, size: number = PAGE_EMAILS): boolean {
    return this.#bytesOf(this.held, page, size).every((byte) => byte === 0);
  }

  /** True if the page in the store holds exactly the emails that it is to hold. */
  isAsKnown(page: number, size: number = PAGE_EMAILS): boolean {
    const known = this.#bytesOf(this.known.held, page, size);
    return this.#bytesOf(this.held, page, size).every((byte, at) => byte === (known[at] ?? 0));
  }

  #bytesOf(held: Uint8Array, page: number, size: number): Uint8Array {
    return held.subarray((page * size) / 8, ((page + 1) * size) / 8);
  }
}
