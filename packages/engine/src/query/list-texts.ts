import { EngineError } from "../errors.ts";
import type { Contents } from "../mail/contents/contents.ts";
import {
  ABSENT,
  isKept,
  joinedTexts,
  LIST_FIELDS,
  type ListField,
  NOT_KNOWN,
  PRESENT,
  SEPARATOR,
  type TextRun,
} from "../mail/contents/list-text.ts";
import type { Message } from "../mail/mailbox-view.ts";
import type { EmailRow } from "../mail/numbers.ts";
import { DERIVED_PAGE_EMAILS } from "../mail/state/pages.ts";
import type { ReadState } from "../mail/state/read-state.ts";
import { readAhead } from "../read-ahead.ts";
import { SharedCache } from "../shared-cache.ts";
import type { Verdict } from "./compile.ts";
import type { Needle } from "./needle.ts";
import type { Pace } from "./pace.ts";

/**
 * The texts that lists show, and that are searched most: subjects and addresses, folded. Those of 4,096 emails are one text,
 * so that a search looks through it at the speed of memory. They come from the checkpoint's pages, at first use; of newer
 * emails, and of those that no checkpoint has texts of, a search learns them while it reads headers. Texts that are not
 * known are left to the header. Kept within the room that all open pages share, and let go with what else was read from
 * headers.
 *
 * By lasting numbers of emails, as the checkpoint's pages are. No find reaches from one email into the next: nothing that is
 * looked for here has what stands between them.
 */

/** Texts that wait to be joined: each may hold its whole header in memory until then. */
const LEARNED_MAX = 4096;
/** Pages that are read before their turn comes. */
const PAGES_AHEAD = 6;

/** Where a field's texts are searched: see `placeOf`. */
export function listPlace(field: ListField): string {
  return `${field === "subject" ? "field" : "addresses"} ${field}`;
}

/** The places whose texts are kept, each with its field's place in a page. */
const PLACES: ReadonlyMap<string, number> = new Map(LIST_FIELDS.map((field, at) => [listPlace(field), at]));

/** Emails whose texts are looked through in the time in which one header is. */
const HEADER_COST = 100;

/** True if texts of some of these places are kept. */
export function holdsListTexts(places: ReadonlyMap<string, unknown>): boolean {
  return [...places.keys()].some((place) => PLACES.has(place));
}

/** A test for messages with a text in a place. Its verdict is undefined for a message whose texts are not known; the test is
 * undefined for a place of which none are. */
export type Found = (place: string, text: string) => ((message: Message) => Verdict) | undefined;

export interface ListTextTools {
  readonly contents: Pick<Contents, "readTexts" | "losePage">;
  readonly pace: Pace;
  readonly signal?: AbortSignal | undefined;
}

export class ListTexts {
  readonly #state: ReadState;
  /** By place and number of the page. */
  readonly #pages = new SharedCache<string, TextPage>();
  readonly #keys = new Set<string>();
  /** Pages that learned something since they were settled. */
  readonly #open = new Map<string, TextPage>();
  #learned = 0;

  constructor(state: ReadState) {
    this.#state = state;
  }

  /** True if a look through all texts takes no longer than through so many headers. */
  isWorth(headers: number): boolean {
    return headers * HEADER_COST > this.#state.emailNumbers;
  }

  /** Looks through all that is known for what is wanted: a scan, unless it {@link isOpen}. Rejects with the signal's reason when it is aborted. Errors:
   * `unavailable`. */
  async find(wanted: ReadonlyMap<string, readonly Needle[]>, tools: ListTextTools): Promise<Found> {
    const { pace, signal } = tools;
    const places = [...wanted.keys()].filter((place) => PLACES.has(place));
    await this.open(places, tools);
    const { emailNumbers } = this.#state;
    const covered = new Map<string, Bits>();
    const hits = new Map<string, Bits>();
    for (const place of places) {
      const [known, present] = [new Bits(emailNumbers), new Bits(emailNumbers)];
      covered.set(place, known);
      hits.set(`${place} `, present);
      const sought = wanted.get(place)!.filter(({ text }) => !text.includes(SEPARATOR));
      const found = sought.map((needle) => [needle, new Bits(emailNumbers)] as const);
      for (const [needle, bits] of found) hits.set(`${place} ${needle.text}`, bits);
      for (let page = 0; page * DERIVED_PAGE_EMAILS < emailNumbers; page++) {
        const texts = this.#pages.peek(`${place} ${page}`);
        texts?.addKnown(page * DERIVED_PAGE_EMAILS, known, present);
        for (const [needle, bits] of found) {
          signal?.throwIfAborted();
          if (pace.isOver()) await pace.take();
          texts?.addHits(page * DERIVED_PAGE_EMAILS, needle, bits);
        }
      }
    }
    return (place, text) => {
      const known = covered.get(place);
      const found = hits.get(`${place} ${text}`);
      if (!known || !found) return undefined;
      return ({ state, row }) => {
        if (state !== this.#state) return undefined;
        const number = state.emails.columns.number.get(state.emailOf(row));
        return known.has(number) ? found.has(number) : undefined;
      };
    };
  }

  /** True if a {@link find} has to open no page of the checkpoint. */
  isOpen(wanted: ReadonlyMap<string, unknown>): boolean {
    const places = [...wanted.keys()].filter((place) => PLACES.has(place));
    return this.#closed(places).length === 0;
  }

  /** Pages that are not open of some of these places. */
  #closed(places: readonly string[]): number[] {
    const { texts: names } = this.#state.pages;
    return [...names.keys()].filter((page) => names[page] !== "" && this.#absent(places, page).length > 0);
  }

  #absent(places: readonly string[], page: number): string[] {
    return places.filter((place) => !this.#find(`${place} ${page}`)?.isLoaded);
  }

  /** Opens the checkpoint's pages of these places, as far as they are not open. Rejects as {@link find}. */
  async open(places: readonly string[], { contents, pace, signal }: ListTextTools): Promise<void> {
    const { texts: names } = this.#state.pages;
    const pages = this.#closed(places);
    const next = readAhead(pages, PAGES_AHEAD, (page) => contents.readTexts(names[page]!).catch(noneIfDamaged));
    for (const page of pages) {
      const runs = await next();
      signal?.throwIfAborted();
      // The next checkpoint makes it anew.
      if (!runs) contents.losePage("texts", page, names[page]!);
      for (const place of runs ? this.#absent(places, page) : []) {
        if (pace.isOver()) await pace.take();
        const key = `${place} ${page}`;
        this.#keep(key, new TextPage(runs![PLACES.get(place)!], this.#find(key)));
        this.#open.delete(key);
      }
    }
  }

  /** An email's text in a place, "" if there is none; undefined if that is not known, or not open. */
  textOf(place: string, email: EmailRow): string | undefined {
    const number = this.#state.emails.columns.number.get(email);
    return this.#find(`${place} ${Math.floor(number / DERIVED_PAGE_EMAILS)}`)?.textAt(number % DERIVED_PAGE_EMAILS);
  }

  #find(key: string): TextPage | undefined {
    return this.#open.get(key) ?? this.#pages.peek(key);
  }

  #keep(key: string, page: TextPage): void {
    this.#pages.keep(key, { value: page, bytes: page.bytes });
    this.#keys.add(key);
  }

  /** Learns the folded texts of a place of a message, one for each field. They are looked at from the next {@link settle} on. */
  learn({ state, row }: Message, place: string, texts: readonly string[]): void {
    if (state !== this.#state || !PLACES.has(place) || !isKept(texts)) return;
    const number = state.emails.columns.number.get(state.emailOf(row));
    const key = `${place} ${Math.floor(number / DERIVED_PAGE_EMAILS)}`;
    const page = this.#find(key) ?? new TextPage();
    this.#open.set(key, page);
    page.learn(number % DERIVED_PAGE_EMAILS, texts[0]);
    if (++this.#learned >= LEARNED_MAX) this.settle();
  }

  settle(): void {
    for (const page of this.#open.values()) page.settle();
    // All pages count as used: texts that are learned while very many headers are read must outlast these.
    for (const key of new Set([...this.#keys, ...this.#open.keys()])) {
      const page = this.#find(key);
      if (page) this.#keep(key, page);
      else this.#keys.delete(key);
    }
    this.#open.clear();
    this.#learned = 0;
  }

  dispose(): void {
    this.#open.clear();
    this.#pages.dispose();
  }
}

/** Without it headers are read. */
function noneIfDamaged(error: unknown): undefined {
  if (error instanceof EngineError && error.code === "corrupt") return undefined;
  throw error;
}

/** One place's texts of some emails, as one. */
class TextPage {
  #joined: string;
  /** Where each email's text begins; its end is the separator's place, before the next one's. */
  readonly #starts = new Uint32Array(DERIVED_PAGE_EMAILS + 1);
  readonly #status = new Uint8Array(DERIVED_PAGE_EMAILS);
  readonly #learned = new Map<number, string>();

  /** True if the page holds the texts of the checkpoint's page. */
  readonly isLoaded: boolean;

  /** Of the checkpoint's page, and of what was learned before that was opened. */
  constructor(run?: TextRun, before?: TextPage) {
    this.isLoaded = run !== undefined;
    this.#joined = run ? joinedTexts(run) : "";
    if (run) this.#status.set(run.status.subarray(0, DERIVED_PAGE_EMAILS));
    let at = 0;
    for (let start = 0; at < DERIVED_PAGE_EMAILS; ) {
      this.#starts[at++] = start;
      const end = this.#joined.indexOf(SEPARATOR, start);
      if (end < 0) break;
      start = end + SEPARATOR.length;
    }
    this.#starts.fill(this.#joined.length + SEPARATOR.length, at);
    if (!before) return;
    for (const [place, status] of before.#status.entries())
      if (status !== NOT_KNOWN) this.learn(place, status === PRESENT ? before.#textAt(place) : undefined);
    this.settle();
  }

  get bytes(): number {
    return this.#joined.length * 2 + DERIVED_PAGE_EMAILS * 5;
  }

  learn(at: number, text: string | undefined): void {
    if (this.#status[at] !== NOT_KNOWN) return;
    this.#learned.set(at, text ?? "");
    this.#status[at] = text === undefined ? ABSENT : PRESENT;
  }

  settle(): void {
    const texts = Array.from(this.#status, (_, at) => this.#textAt(at));
    this.#learned.clear();
    let start = 0;
    for (const [at, text] of texts.entries()) {
      this.#starts[at] = start;
      start += text.length + SEPARATOR.length;
    }
    this.#starts[DERIVED_PAGE_EMAILS] = start;
    this.#joined = texts.join(SEPARATOR);
  }

  /** "" if there is none; undefined if that is not known. */
  textAt(at: number): string | undefined {
    return this.#status[at] === NOT_KNOWN ? undefined : this.#textAt(at);
  }

  #textAt(at: number): string {
    return (
      this.#learned.get(at) ??
      this.#joined.slice(this.#starts[at], Math.max(0, this.#starts[at + 1]! - SEPARATOR.length))
    );
  }

  /** Emails whose text is known, and those that have one. Texts that were learned since are not looked at. */
  addKnown(first: number, known: Bits, present: Bits): void {
    for (const [at, status] of this.#status.entries()) {
      if (status === NOT_KNOWN || this.#learned.has(at)) continue;
      known.add(first + at);
      if (status === PRESENT) present.add(first + at);
    }
  }

  addHits(first: number, needle: Needle, hits: Bits): void {
    let at = 0;
    for (let index = needle.indexIn(this.#joined); index >= 0; ) {
      while (this.#starts[at + 1]! <= index) at++;
      hits.add(first + at);
      index = needle.indexIn(this.#joined, this.#starts[at + 1]!);
    }
  }
}

class Bits {
  readonly #bytes: Uint8Array;

  constructor(count: number) {
    this.#bytes = new Uint8Array(Math.ceil(count / 8) + DERIVED_PAGE_EMAILS / 8);
  }

  add(at: number): void {
    this.#bytes[at >> 3]! |= 1 << (at & 7);
  }

  has(at: number): boolean {
    return (this.#bytes[at >> 3]! & (1 << (at & 7))) !== 0;
  }
}
