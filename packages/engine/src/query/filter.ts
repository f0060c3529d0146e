import { HeaderBlock, parseDate } from "@restante/mime";
import type { Contents } from "../mail/contents/contents.ts";
import { HEADER_BYTES_MAX } from "../mail/contents/header.ts";
import type { Message } from "../mail/mailbox-view.ts";
import type { ReadMailbox } from "../mail/state/read-state.ts";
import { readAhead } from "../read-ahead.ts";
import { collect } from "../streams.ts";
import { findInBody } from "./body-text.ts";
import { compile, type Known, type Test } from "./compile.ts";
import type { Condition } from "./condition.ts";
import { findInFields, findInHeader } from "./header-text.ts";
import type { KeptHeaders } from "./kept-headers.ts";
import { holdsListTexts, type ListTexts } from "./list-texts.ts";
import { Finder } from "./needle.ts";
import type { Pace } from "./pace.ts";
import type { Scans } from "./scans.ts";
import { MEMBERSHIPS, type Scope } from "./scope.ts";
import { type Wanted, wantedBy } from "./wanted.ts";

/**
 * Which messages of a list fulfil a condition, in rounds: what the resident state answers, then what the header answers
 * (some of its fields, then all of it), then the body. Each round is three-valued: what needs more than is at hand is
 * `undefined`, and AND, OR and NOT decide as soon as they can; so no body is opened for what its header, or its flags,
 * tell. Each round looks for all of its texts together, so that each text of a message is made once.
 *
 * A condition that the state answers never waits. One that goes on to headers is a scan, one at a time an account.
 */
export interface SearchTools {
  readonly contents: Pick<
    Contents,
    "readHeaders" | "readTexts" | "losePage" | "readSummaries" | "readFullSummaries" | "openBody"
  >;
  readonly scans: Scans;
  readonly pace: Pace;
  /** Ends the search between two steps. */
  readonly signal?: AbortSignal | undefined;
  /** Subject of flags and mailboxes: the list's messages are memberships (the default) or whole emails. */
  readonly scope?: Scope;
  /** Texts that earlier searches read from headers. */
  readonly kept?: KeptHeaders;
}

/** A list of messages: those of a mailbox, or one for each email. */
export interface Searched {
  readonly length: number;
  /** The mailbox, if the list is all that it holds at this moment. */
  readonly mailboxNow?: ReadMailbox | undefined;
  message(place: number): Message;
}

/** Messages that are looked at together: what they need is read in one go. */
const CHUNK_MESSAGES = 256;
/** Messages left to their headers from which it is told how many will be. */
const HEADERS_MANY = 128;
/** Octets of a header that are searched. */
const HEADER_SEARCHED_BYTES_MAX: number = 2 ** 20;
/** Bodies that are asked for before their turn comes: each brings up to 128 KB. */
const BODIES_AHEAD = 6;

/** The places in the list, ascending, of what fulfils the condition. Rejects with the signal's reason when it is aborted.
 * Errors: `unavailable`, `corrupt`; `invalid` for a condition that the scope does not know. */
export async function search(list: Searched, condition: Condition, tools: SearchTools): Promise<number[]> {
  const { pace, scans, signal, scope = MEMBERSHIPS } = tools;
  const wanted = wantedBy(condition);
  const texts = holdsListTexts(wanted.fields) ? tools.kept?.listTexts() : undefined;
  let rounds = new Rounds(tools, compile(condition, scope), wanted, texts);
  let isLooked = texts === undefined;
  let left = 0;
  const hits: number[] = [];
  let endScan: (() => void) | undefined;
  try {
    for (let from = 0; from < list.length; from += CHUNK_MESSAGES) {
      signal?.throwIfAborted();
      if (pace.isOver()) await pace.take();
      const to = Math.min(from + CHUNK_MESSAGES, list.length);
      let chunk = new Chunk(list, from, to, rounds.test);
      left += chunk.open.length;
      // Where many are left, as many of the rest will be.
      const expected = left < HEADERS_MANY ? left : (left / to) * list.length;
      if (texts && !isLooked && texts.isWorth(expected)) {
        isLooked = true;
        if (!texts.isOpen(wanted.fields)) endScan ??= await scans.begin(signal);
        rounds = new Rounds(tools, compile(condition, scope, await texts.find(wanted.fields, tools)), wanted, texts);
        chunk = new Chunk(list, from, to, rounds.test);
      }
      if (chunk.open.length > 0) {
        endScan ??= await scans.begin(signal);
        await rounds.decide(chunk.open);
      }
      chunk.addHits(hits);
    }
    return hits;
  } finally {
    texts?.settle();
    endScan?.();
  }
}

/** A message that the rounds so far did not decide. */
interface Open {
  readonly message: Message;
  readonly known: Known;
  verdict: boolean | undefined;
}

/** Some messages after the first round. */
class Chunk {
  readonly open: Open[] = [];
  readonly #from: number;
  /** Of each message what it came to, or that which is to decide. */
  readonly #verdicts: (boolean | Open)[] = [];

  constructor(list: Searched, from: number, to: number, test: Test) {
    this.#from = from;
    for (let place = from; place < to; place++) {
      const message = list.message(place);
      const verdict = test(message);
      if (verdict === undefined) this.open.push({ message, known: new Map(), verdict });
      this.#verdicts.push(verdict ?? this.open.at(-1)!);
    }
  }

  addHits(hits: number[]): void {
    for (const [at, verdict] of this.#verdicts.entries())
      if (typeof verdict === "boolean" ? verdict : verdict.verdict) hits.push(this.#from + at);
  }
}

/** The rounds behind the first. */
class Rounds {
  readonly #tools: SearchTools;
  readonly test: Test;
  readonly #wanted: Wanted;
  readonly #texts: ListTexts | undefined;

  constructor(tools: SearchTools, test: Test, wanted: Wanted, texts: ListTexts | undefined) {
    this.#tools = tools;
    this.test = test;
    this.#wanted = wanted;
    this.#texts = texts;
  }

  async decide(chunk: readonly Open[]): Promise<void> {
    const open = await this.#byHeaders(chunk);
    if (open.length > 0) await this.#byBodies(open);
  }

  /** Judges messages by their headers. Gives those that are still undecided. */
  async #byHeaders(chunk: readonly Open[]): Promise<Open[]> {
    const { contents, pace, signal } = this.#tools;
    const wanted = this.#wanted;
    const headers = await contents.readHeaders(chunk.map(({ message }) => message));
    const open: Open[] = [];
    for (const [at, one] of chunk.entries()) {
      signal?.throwIfAborted();
      if (pace.isOver()) await pace.take();
      const header = await this.#wholeHeader(one.message, headers[at]!);
      const learn = (place: string, texts: readonly string[]): void => this.#texts?.learn(one.message, place, texts);
      for (const [place, found] of await findInFields(header, wanted.fields, pace, learn)) one.known.set(place, found);
      if (wanted.sent) one.known.set("date", datesOf(header));
      if (this.#isDecided(one)) continue;
      one.known.set("header", await findInHeader(header, wanted.header, pace));
      if (!this.#isDecided(one)) open.push(one);
    }
    return open;
  }

  /** Of a header that is kept in part more is read, up to {@link HEADER_SEARCHED_BYTES_MAX}. */
  async #wholeHeader(message: Message, kept: HeaderBlock): Promise<HeaderBlock> {
    if (kept.text.length < HEADER_BYTES_MAX) return kept;
    const body = await this.#tools.contents.openBody(message);
    return new HeaderBlock(await collect(body.read(0, HEADER_SEARCHED_BYTES_MAX)));
  }

  async #byBodies(open: readonly Open[]): Promise<void> {
    const { contents, pace, signal } = this.#tools;
    const { attachment, body: needles, header } = this.#wanted;
    const messages = open.map(({ message }) => message);
    const summaries = await (attachment ? contents.readFullSummaries(messages) : contents.readSummaries(messages));
    const left: { readonly one: Open; readonly summary: (typeof summaries)[number] }[] = [];
    for (const [at, one] of open.entries()) {
      const summary = summaries[at]!;
      const hasAttachment = summary.format === 2 && summary.hasAttachment;
      one.known.set("attachment", new Set(hasAttachment ? [""] : []));
      if (!this.#isDecided(one)) left.push({ one, summary });
    }
    const bodies = readAhead(left, BODIES_AHEAD, ({ one }) => contents.openBody(one.message));
    for (const { one, summary } of left) {
      signal?.throwIfAborted();
      const finders = { text: new Finder(needles, pace), headers: new Finder(header, pace) };
      await findInBody(finders, await bodies(), summary, pace);
      one.known.set("body", finders.text.found);
      one.known.set("parts", finders.headers.found);
      if (!this.#isDecided(one)) throw new Error("a condition that nothing decides");
    }
  }

  #isDecided(one: Open): boolean {
    one.verdict = this.test(one.message, one.known);
    return one.verdict !== undefined;
  }
}

/** A set with "" if the Date field is a date, else an empty one. */
function datesOf(header: HeaderBlock): ReadonlySet<string> {
  const sent = parseDate(header.values("date")[0] ?? "");
  return new Set(sent ? [""] : []);
}
