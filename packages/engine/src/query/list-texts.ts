import type { Message } from "../mail/mailbox-view.ts";
import type { MailState } from "../mail/state/state.ts";
import { SharedCache } from "../shared-cache.ts";
import type { Verdict } from "./compile.ts";
import type { Needle } from "./needle.ts";
import type { Pace } from "./pace.ts";

/**
 * The texts that lists show, and that are searched most: subjects and addresses, folded, of the emails whose headers a search
 * has read. Those of 4,096 emails are one text, so that a search looks through it at the speed of memory; what it does not
 * know is left to the header. Kept within the room that all open pages share, and let go with what else was read from headers.
 *
 * Texts are joined by a character that nothing which is looked for here has: no find reaches from one email into the next.
 */
const PAGE_EMAILS = 4096;
const SEPARATOR = "\0";
/** Characters of one email's text; a longer one is left to the header. */
const TEXT_CHARS_MAX = 4096;
/** The places (see `placeOf`) whose texts are kept. */
const PLACES: ReadonlySet<string> = new Set(["field subject", "addresses from", "addresses to", "addresses cc"]);

/** Texts that wait to be joined: each may hold its whole header in memory until then. */
const LEARNED_MAX = 4096;

const ABSENT = 1;
const PRESENT = 2;

/** Whether a text is in a place of a message; undefined if that is not known. */
export type Found = (place: string, text: string) => ((message: Message) => Verdict) | undefined;

export class ListTexts {
  readonly #state: MailState;
  /** By place and number of the page. */
  readonly #pages = new SharedCache<string, TextPage>();
  readonly #keys = new Set<string>();
  /** Those that something was learned of since it was settled. */
  readonly #open = new Map<string, TextPage>();
  #learned = 0;

  constructor(state: MailState) {
    this.#state = state;
  }

  /** Looks through all that is known for what is wanted. */
  async find(wanted: ReadonlyMap<string, readonly Needle[]>, pace: Pace, signal?: AbortSignal): Promise<Found> {
    const emails = this.#state.emails.rows;
    const covered = new Map<string, Bits>();
    const hits = new Map<string, Bits>();
    for (const [place, needles] of wanted) {
      if (!PLACES.has(place)) continue;
      const known = new Bits(emails);
      covered.set(place, known);
      const sought = needles.filter(({ text }) => !text.includes(SEPARATOR));
      const found = new Map(sought.map((needle) => [needle, new Bits(emails)]));
      const present = new Bits(emails);
      hits.set(`${place} `, present);
      for (const [needle, bits] of found) hits.set(`${place} ${needle.text}`, bits);
      for (let page = 0; page * PAGE_EMAILS < emails; page++) {
        const texts = this.#pages.peek(`${place} ${page}`);
        texts?.addKnown(page * PAGE_EMAILS, known, present);
        for (const [needle, bits] of found) {
          signal?.throwIfAborted();
          if (pace.isOver()) await pace.take();
          texts?.addHits(page * PAGE_EMAILS, needle, bits);
        }
      }
    }
    return (place, text) => {
      const known = covered.get(place);
      const found = hits.get(`${place} ${text}`);
      if (!known || !found) return undefined;
      return ({ state, row }) => {
        if (state !== this.#state) return undefined;
        const email = state.emailOf(row);
        return known.has(email) ? found.has(email) : undefined;
      };
    };
  }

  /** What stands in a place of a message: folded texts, one for each field. Looked at from the next {@link settle} on. */
  learn({ state, row }: Message, place: string, texts: readonly string[]): void {
    const [text = ""] = texts;
    if (state !== this.#state || !PLACES.has(place) || texts.length > 1 || text.length > TEXT_CHARS_MAX) return;
    const email = state.emailOf(row);
    const key = `${place} ${Math.floor(email / PAGE_EMAILS)}`;
    const page = this.#open.get(key) ?? this.#pages.peek(key) ?? new TextPage();
    this.#open.set(key, page);
    page.learn(email % PAGE_EMAILS, texts.length === 0 ? undefined : text);
    if (++this.#learned >= LEARNED_MAX) this.settle();
  }

  settle(): void {
    for (const page of this.#open.values()) page.settle();
    // What is learned while very many headers are read outlasts them: all of it counts as used.
    for (const key of new Set([...this.#keys, ...this.#open.keys()])) {
      const page = this.#open.get(key) ?? this.#pages.peek(key);
      if (page) {
        this.#pages.keep(key, { value: page, bytes: page.bytes });
        this.#keys.add(key);
      } else this.#keys.delete(key);
    }
    this.#open.clear();
    this.#learned = 0;
  }

  dispose(): void {
    this.#open.clear();
    this.#pages.dispose();
  }
}

/** One place's texts of some emails, as one. */
class TextPage {
  #joined = "";
  /** Where each email's text begins; its end is the separator's place, before the next one's. */
  readonly #starts = new Uint32Array(PAGE_EMAILS + 1);
  readonly #status = new Uint8Array(PAGE_EMAILS);
  readonly #learned = new Map<number, string>();

  get bytes(): number {
    return this.#joined.length * 2 + PAGE_EMAILS * 5;
  }

  learn(at: number, text: string | undefined): void {
    if (this.#status[at] !== 0) return;
    this.#learned.set(at, text ?? "");
    this.#status[at] = text === undefined ? ABSENT : PRESENT;
  }

  settle(): void {
    const texts = Array.from(this.#status, (_, at) => this.#learned.get(at) ?? this.#textAt(at));
    this.#learned.clear();
    let start = 0;
    for (const [at, text] of texts.entries()) {
      this.#starts[at] = start;
      start += text.length + SEPARATOR.length;
    }
    this.#starts[PAGE_EMAILS] = start;
    this.#joined = texts.join(SEPARATOR);
  }

  #textAt(at: number): string {
    return this.#joined.slice(this.#starts[at], this.#starts[at + 1]! - SEPARATOR.length);
  }

  /** Emails whose text is known, and those that have one. What was learned since is not looked at. */
  addKnown(first: number, known: Bits, present: Bits): void {
    for (const [at, status] of this.#status.entries()) {
      if (status === 0 || this.#learned.has(at)) continue;
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
    this.#bytes = new Uint8Array(Math.ceil(count / 8) + PAGE_EMAILS / 8);
  }

  add(at: number): void {
    this.#bytes[at >> 3]! |= 1 << (at & 7);
  }

  has(at: number): boolean {
    return (this.#bytes[at >> 3]! & (1 << (at & 7))) !== 0;
  }
}
