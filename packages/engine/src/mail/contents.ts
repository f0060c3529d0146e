import type { Bay } from "../bay/bay.ts";
import { entryName, hexText, type Span } from "../bay/entry.ts";
import type { ReadEntry } from "../bay/machine.ts";
import type { PageStore } from "../bay/snapshots.ts";
import { bodyContext, type CryptoPlatform, openRange, preambleLength } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { bodyName, type Outcome } from "./apply.ts";
import type { Message } from "./mailbox-view.ts";
import type { NewEmail, Op } from "./op.ts";
import type { MailState, TailEmail } from "./state.ts";
import { decodeSummary, type Summary } from "./summary.ts";
import { decodeRecords, type ObjectSpan, PAGE_RECORDS, type SummaryRecord } from "./summary-page.ts";

/** Log entries kept open for those who read what they carried. */
const ENTRIES_CACHED = 256;
/** Summary pages kept open. */
const PAGES_CACHED = 128;
/** The first read of a body: its preamble and, of most, all of it. */
const FIRST_READ_BYTES: number = 96 * 1024;

/** A message's bytes. */
export interface Body {
  readonly size: number;
  /** Octets `start` up to, not including, `end`. Throws EngineError `corrupt`, possibly after good bytes. */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
}

/** Reads what emails hold: summaries and bodies, wherever they lie. */
export class Contents {
  readonly #bay: Bay<MailState, Op, Outcome>;
  readonly #store: ObjectStore;
  readonly #prefix: string;
  readonly #platform: CryptoPlatform;
  readonly #account: Uint8Array;
  readonly #pageStore: PageStore;
  readonly #entries = new Map<number, Promise<ReadEntry<Op>>>();
  readonly #pages = new Map<string, Promise<SummaryRecord[]>>();
  readonly #records = new WeakMap<NewEmail, SummaryRecord>();
  readonly #summaries = new WeakMap<SummaryRecord, Summary>();

  constructor(
    bay: Bay<MailState, Op, Outcome>,
    place: { readonly store: ObjectStore; readonly prefix: string; readonly pages: PageStore },
    platform: CryptoPlatform,
    account: Uint8Array,
  ) {
    this.#bay = bay;
    this.#store = place.store;
    this.#prefix = place.prefix;
    this.#pageStore = place.pages;
    this.#platform = platform;
    this.#account = account;
  }

  /** The summaries of these messages, in order. */
  readSummaries(messages: readonly Message[]): Promise<Summary[]> {
    return Promise.all(
      messages.map(async ({ state, row }) => {
        const record = await this.readRecord(state, state.emailOf(row));
        let summary = this.#summaries.get(record);
        if (!summary) {
          summary = decodeSummary(record.summary);
          this.#summaries.set(record, summary);
        }
        return summary;
      }),
    );
  }

  async openBody({ state, row }: Message): Promise<Body> {
    const { id, key, object } = await this.readRecord(state, state.emailOf(row));
    const { name, offset, length } = object;
    const first = await this.#get(name, offset, offset + Math.min(length, FIRST_READ_BYTES));
    const sealedAt = preambleLength(first);
    const context = bodyContext(this.#platform, this.#account, hexText(id), key);
    const read = async (start: number, end: number): Promise<Uint8Array> => {
      const from = sealedAt + start;
      const to = Math.min(sealedAt + end, length);
      if (to <= first.length) return first.subarray(from, to);
      return this.#get(name, offset + from, offset + to);
    };
    const size = state.sizeOf(row);
    return { size, read: (start, end) => openRange(context, read, start, Math.min(end, size)) };
  }

  async #get(name: string, start: number, end: number): Promise<Uint8Array> {
    const got = await this.#store.get(this.#prefix + name, { start, end });
    if (!got.found) throw new EngineError("corrupt", "a message's body is missing in the store");
    return got.bytes;
  }

  /** An email's record: from its summary page, or from the log entry that brought it. */
  async readRecord(state: MailState, email: number): Promise<SummaryRecord> {
    const tail = state.tailOf(email);
    if (tail) return this.#recordInEntry(tail);
    const name = state.pages.summaries[Math.floor(email / PAGE_RECORDS)];
    const record = name === undefined ? undefined : (await this.#page(name))[email % PAGE_RECORDS];
    if (!record) throw new EngineError("corrupt", "a message is in no page and no entry");
    return record;
  }

  async #recordInEntry({ entry: n, op, index }: TailEmail): Promise<SummaryRecord> {
    const entry = await this.#entry(n);
    const email = emailIn(entry.ops[op], index);
    if (!email) throw new EngineError("corrupt", "a message is not in its entry");
    const known = this.#records.get(email);
    if (known) return known;
    const record = { ...email, object: placeOf(email, n, entry.attachments[op]) };
    this.#records.set(email, record);
    return record;
  }

  #page(name: string): Promise<SummaryRecord[]> {
    return this.#cached(this.#pages, name, PAGES_CACHED, async () =>
      decodeRecords(await this.#pageStore.read("rows", name)),
    );
  }

  #entry(n: number): Promise<ReadEntry<Op>> {
    return this.#cached(this.#entries, n, ENTRIES_CACHED, async () => {
      const entry = await this.#bay.readEntry(n);
      if (!entry) throw new EngineError("corrupt", `log entry ${n} is missing`);
      return entry;
    });
  }

  #cached<K, V>(cache: Map<K, Promise<V>>, key: K, most: number, read: () => Promise<V>): Promise<V> {
    const known = cache.get(key);
    if (known !== undefined) return known;
    const value = read();
    cache.set(key, value);
    // A failure is told to who asked; the next one asks again.
    value.catch(() => cache.delete(key));
    if (cache.size > most) cache.delete(cache.keys().next().value!);
    return value;
  }
}

function placeOf({ id, place }: NewEmail, entry: number, attachments: readonly Span[] | undefined): ObjectSpan {
  if (place.in === "object") return { name: bodyName(id), offset: 0, length: place.length };
  if (place.in === "note") return { name: place.name, offset: place.offset, length: place.length };
  const span = attachments?.[place.attachment];
  if (!span) throw new EngineError("corrupt", "a message's body is missing in its entry");
  return { name: entryName(entry), offset: span.offset, length: span.length };
}

/** The email at `index` of an op that adds some. Take-ins may leave notes out: `index` counts those taken. */
function emailIn(op: Op | undefined, index: number): NewEmail | undefined {
  if (op?.kind === "append") return op.emails[index];
  return op?.kind === "take-in" ? op.notes[index]?.email : undefined;
}
