import type { HeaderBlock } from "@restante/mime";
import type { Contents } from "../mail/contents/contents.ts";
import type { Message } from "../mail/mailbox-view.ts";
import type { ReadState } from "../mail/state/read-state.ts";
import { ListTexts } from "./list-texts.ts";
import type { Pace } from "./pace.ts";
import type { Scans } from "./scans.ts";
import { TextOrder } from "./text-order.ts";
import { ThreadIds } from "./threading/thread-ids.ts";

/** How long what was read from headers is kept when nobody asks for it. */
const QUIET_MS = 60_000;
/** Messages whose headers are read in one go. */
const CHUNK_MESSAGES = 256;

export interface HeaderTools {
  readonly contents: Pick<
    Contents,
    "readHeaders" | "readHeadersOf" | "readTexts" | "readIds" | "losePage" | "threadFacts"
  >;
  readonly scans: Scans;
  readonly pace: Pace;
  readonly signal?: AbortSignal | undefined;
  readonly kept: KeptHeaders;
}

/** Texts that messages are sorted by. */
export type SortedText = "subject" | "from" | "to" | "cc" | "from-name" | "to-name";

/** The order of messages by a text. */
export interface SortedBy {
  readonly order: TextOrder;
  /** By what each message is known to it: emails, where there are texts. */
  readonly keys: Uint32Array;
  readonly texts: ListTexts | undefined;
}

/** Facts of a state's emails that were read from headers. */
interface Known {
  readonly state: ReadState;
  readonly orders: Map<SortedText, TextOrder>;
  threadIds: ThreadIds | undefined;
  readonly texts: ListTexts;
}

/**
 * Facts that an account's sorts and threads have read from headers: orders of texts, and ids. They are of the emails that
 * were asked for, and of the present state alone: rows of another state are others. They are let go after a quiet minute.
 */
export class KeptHeaders {
  readonly #present: () => ReadState;
  readonly #delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly #ended = new AbortController();
  #known: Known | undefined;
  #uses = 0;
  #isWatched = false;

  constructor(present: () => ReadState, delay: (ms: number, signal?: AbortSignal) => Promise<void>) {
    this.#present = present;
    this.#delay = delay;
  }

  /** The order of a text, and by what each message is known to it: of messages that are no longer in the present state one
   * of their own. */
  textOrder(messages: readonly Message[], by: SortedText): SortedBy {
    const known = this.#of(messages);
    if (!known) return { order: new TextOrder(), keys: Uint32Array.from(messages.keys()), texts: undefined };
    const order = known.orders.get(by) ?? new TextOrder();
    known.orders.set(by, order);
    return { order, keys: emailsOf(messages), texts: known.texts };
  }

  /** Texts of emails of the present state. */
  listTexts(): ListTexts {
    return this.#use().texts;
  }

  /** The same of what messages are threaded by. */
  threadIds(messages: readonly Message[]): { readonly ids: ThreadIds; readonly keys: Uint32Array } {
    const known = this.#of(messages);
    if (!known) return { ids: new ThreadIds(), keys: Uint32Array.from(messages.keys()) };
    known.threadIds ??= new ThreadIds();
    return { ids: known.threadIds, keys: emailsOf(messages) };
  }

  #of(messages: readonly Message[]): Known | undefined {
    const state = this.#present();
    if (messages.some((message) => message.state !== state)) return undefined;
    return this.#use();
  }

  #use(): Known {
    const state = this.#present();
    if (this.#known?.state !== state) {
      this.#forget();
      this.#known = { state, orders: new Map(), threadIds: undefined, texts: new ListTexts(state) };
    }
    this.#uses++;
    if (!this.#isWatched) this.#watch().catch(() => undefined);
    return this.#known;
  }

  #forget(): void {
    this.#known?.texts.dispose();
    this.#known = undefined;
  }

  async #watch(): Promise<void> {
    this.#isWatched = true;
    for (let seen = -1; seen !== this.#uses && !this.#ended.signal.aborted; ) {
      seen = this.#uses;
      await this.#delay(QUIET_MS, this.#ended.signal);
    }
    this.#isWatched = false;
    this.#forget();
  }

  dispose(): void {
    this.#ended.abort();
    this.#forget();
  }
}

function emailsOf(messages: readonly Message[]): Uint32Array {
  return Uint32Array.from(messages, ({ state, row }) => state.emailOf(row));
}

/** Reads the headers of messages, in order, a few at a time. Rejects with the signal's reason when it is aborted. */
export async function eachHeader(
  messages: readonly Message[],
  { contents, pace, signal }: HeaderTools,
  see: (header: HeaderBlock, at: number) => void,
): Promise<void> {
  for (let from = 0; from < messages.length; from += CHUNK_MESSAGES) {
    signal?.throwIfAborted();
    const headers = await contents.readHeaders(messages.slice(from, from + CHUNK_MESSAGES));
    for (const [at, header] of headers.entries()) {
      if (pace.isOver()) await pace.take();
      see(header, from + at);
    }
  }
}
