import { asEmailRow, type EmailRow } from "../mail/numbers.ts";

/** Items up to which an order is mended place by place: more of them are merged in one go. */
const SINGLY_MAX = 16;

/** Emails in the order in which they came, each once, kept as they come and go. 4 bytes an email. */
export class EmailOrder {
  /** Oldest first: what is new is added at the end. */
  #emails: Uint32Array = new Uint32Array(0);
  #length = 0;
  readonly #compare: (a: EmailRow, b: EmailRow) => number;

  /** `compare`: oldest first. No two emails are equal. */
  constructor(compare: (a: EmailRow, b: EmailRow) => number) {
    this.#compare = compare;
  }

  get length(): number {
    return this.#length;
  }

  /** The newest is at 0. */
  at(place: number): EmailRow {
    return asEmailRow(this.#emails[this.#length - 1 - place]!);
  }

  /** Where an email stands, from the newest; -1 if it is not there. */
  placeOf(email: EmailRow): number {
    const at = this.#lowerBound(email);
    return at < this.#length && this.#emails[at] === email ? this.#length - 1 - at : -1;
  }

  /** All of them as they are now, newest first. */
  newestFirst(): Uint32Array {
    return this.#emails.slice(0, this.#length).reverse();
  }

  /** Adds one that came after all that are there. */
  append(email: EmailRow): void {
    this.#reserve(this.#length + 1);
    this.#emails[this.#length++] = email;
  }

  /** Takes emails out that are there, and puts others in that are not. */
  update(removed: readonly EmailRow[], added: readonly EmailRow[]): void {
    if (removed.length + added.length > SINGLY_MAX) this.#merge(removed, added);
    else {
      for (const email of removed) {
        const at = this.#lowerBound(email);
        this.#emails.copyWithin(at, at + 1, this.#length--);
      }
      for (const email of added) {
        this.#reserve(this.#length + 1);
        const at = this.#lowerBound(email);
        this.#emails.copyWithin(at + 1, at, this.#length++);
        this.#emails[at] = email;
      }
    }
  }

  #merge(removed: readonly EmailRow[], added: readonly EmailRow[]): void {
    const gone = new Set<number>(removed);
    const kept = this.#emails.subarray(0, this.#length).filter((email) => !gone.has(email));
    const come = added.toSorted(this.#compare);
    this.#reserve(kept.length + come.length);
    this.#length = kept.length + come.length;
    let from = kept.length - 1;
    let next = come.length - 1;
    for (let to = this.#length - 1; to >= 0; to--) {
      const isKept = next < 0 || (from >= 0 && this.#compare(asEmailRow(kept[from]!), come[next]!) > 0);
      this.#emails[to] = isKept ? kept[from--]! : come[next--]!;
    }
  }

  #lowerBound(email: EmailRow): number {
    let low = 0;
    for (let high = this.#length; low < high; ) {
      const middle = (low + high) >>> 1;
      if (this.#compare(asEmailRow(this.#emails[middle]!), email) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #reserve(length: number): void {
    if (length <= this.#emails.length) return;
    const emails = new Uint32Array(Math.max(16, Math.ceil(length * 1.1)));
    emails.set(this.#emails.subarray(0, this.#length));
    this.#emails = emails;
  }
}
