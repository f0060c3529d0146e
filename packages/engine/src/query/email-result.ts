import { asEmailRow, type EmailRow } from "../mail/numbers.ts";
import type { Lists } from "./lists.ts";

/** Emails in an order: a kept one, or what a query made. */
export interface Ordered {
  readonly length: number;
  at(place: number): EmailRow;
  /** -1 if the email is not there. */
  placeOf(email: EmailRow): number;
}

/** Emails in the order in which a query put them. */
export class ListedEmails implements Ordered {
  readonly #emails: ArrayLike<number>;
  #places: Map<number, number> | undefined;

  constructor(emails: ArrayLike<number>) {
    this.#emails = emails;
  }

  get length(): number {
    return this.#emails.length;
  }

  at(place: number): EmailRow {
    return asEmailRow(this.#emails[place]!);
  }

  placeOf(email: EmailRow): number {
    this.#places ??= new Map(Array.from(this.#emails, (one, place) => [one, place]));
    return this.#places.get(email) ?? -1;
  }
}

/** The result of a query: emails, or of each thread its first. Of threads no more is walked over than is asked for. To be
 * used before the next await. */
export class EmailResult {
  readonly lists: Lists;
  readonly #order: Ordered;
  /** How many threads there are, where each counts once. */
  readonly #threads: number | undefined;

  constructor(order: Ordered, lists: Lists, threads: number | undefined) {
    this.#order = order;
    this.lists = lists;
    this.#threads = threads;
  }

  get total(): number {
    return this.#threads ?? this.#order.length;
  }

  /** Emails from `start` up to, not including, `end`, or as many as there are. */
  slice(start: number, end: number): EmailRow[] {
    const emails: EmailRow[] = [];
    if (this.#threads === undefined)
      for (let place = start; place < Math.min(end, this.total); place++) emails.push(this.#order.at(place));
    else
      for (const [place, email] of this.#firstOfThreads()) {
        if (place >= end) break;
        if (place >= start) emails.push(email);
      }
    return emails;
  }

  /** -1 if the email is not there. */
  placeOf(email: EmailRow): number {
    return this.placesOf(new Set([email]))[0]?.place ?? -1;
  }

  /** Places of those emails that are in the result, ascending. */
  placesOf(emails: ReadonlySet<EmailRow>): { readonly email: EmailRow; readonly place: number }[] {
    const places: { readonly email: EmailRow; readonly place: number }[] = [];
    if (this.#threads === undefined) {
      for (const email of emails) {
        const place = this.#order.placeOf(email);
        if (place >= 0) places.push({ email, place });
      }
      return places.sort((a, b) => a.place - b.place);
    }
    if (emails.size === 0) return places;
    for (const [place, email] of this.#firstOfThreads()) {
      if (!emails.has(email)) continue;
      places.push({ email, place });
      if (places.length === emails.size) break;
    }
    return places;
  }

  *#firstOfThreads(): Generator<readonly [place: number, email: EmailRow]> {
    let place = 0;
    for (const email of firstOfThreads(this.#order, this.lists)) yield [place++, email];
  }
}

/** The first of each thread. Linear, however large a thread is. */
export function* firstOfThreads(order: Pick<Ordered, "length" | "at">, lists: Lists): Generator<EmailRow> {
  const seen = new Uint8Array(lists.state.emails.rows);
  for (let place = 0; place < order.length; place++) {
    const email = order.at(place);
    const thread = lists.threadNumber(email);
    if (seen[thread] === 0) yield email;
    seen[thread] = 1;
  }
}
