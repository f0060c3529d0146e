import type { Bay } from "../bay/bay.ts";
import { entryName, hexText, type Span } from "../bay/entry.ts";
import type { ReadEntry } from "../bay/machine.ts";
import type { PageStore } from "../bay/snapshots.ts";
import { asStoreFailure } from "../bay/store-failure.ts";
import { bodyContext, type CryptoPlatform, openRange, preambleLength } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { Cache } from "./cache.ts";
import { decodeHeaderPage, decodeRowPage, type EmailRecord, type ObjectSpan } from "./email-page.ts";
import { decodeHeader } from "./header.ts";
import type { Message } from "./mailbox-view.ts";
import { bodyName } from "./names.ts";
import type { NewEmail, Op } from "./op.ts";
import type { Outcome } from "./outcome.ts";
import { PAGE_EMAILS } from "./pages.ts";
import type { MailState } from "./state.ts";
import { decodeSummary, type Summary } from "./summary.ts";

/** Log entries kept open for those who read what they carried. */
const ENTRIES_CACHED = 256;
/** Row pages and header pages kept open. */
const ROW_PAGES_CACHED = 256;
const HEADER_PAGES_CACHED = 64;
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
  readonly #catchUp: () => Promise<void>;
  readonly #entries = new Cache<number, ReadEntry<Op> | undefined>(ENTRIES_CACHED);
  readonly #rowPages = new Cache<string, readonly EmailRecord[]>(ROW_PAGES_CACHED);
  readonly #headerPages = new Cache<string, readonly Uint8Array[]>(HEADER_PAGES_CACHED);
  readonly #records = new WeakMap<NewEmail, EmailRecord>();
  readonly #summaries = new WeakMap<EmailRecord, Summary>();

  constructor(
    bay: Bay<MailState, Op, Outcome>,
    place: { readonly store: ObjectStore; readonly prefix: string; readonly pages: PageStore },
    platform: CryptoPlatform,
    account: Uint8Array,
    /** Goes over to the pages of the newest checkpoint: what was looked for may have moved there. */
    catchUp: () => Promise<void>,
  ) {
    this.#bay = bay;
    this.#catchUp = catchUp;
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

  /** The header blocks of these messages, in order; `Summary.headerWhole` says whether that is all of one. */
  readHeaders(messages: readonly Message[]): Promise<Uint8Array[]> {
    return Promise.all(
      messages.map(async ({ state, row }) => decodeHeader(await this.readHeader(state, state.emailOf(row)))),
    );
  }

  async openBody({ state, row }: Message): Promise<Body> {
    const email = state.emailOf(row);
    const record = await this.readRecord(state, email);
    const first = await this.#readFirst(record);
    if (first) return this.#body(record, first, state.sizeOf(row));
    // A checkpoint may have moved it since the record was read.
    await this.#catchUp();
    return this.openStored(await this.readRecord(state, email), state.sizeOf(row));
  }

  /** The body that lies where `record` says. Throws EngineError `corrupt`. */
  async openStored(record: Pick<EmailRecord, "id" | "key" | "object">, size: number): Promise<Body> {
    const first = await this.#readFirst(record);
    if (!first) throw new EngineError("corrupt", "a message's body is missing in the store");
    return this.#body(record, first, size);
  }

  /** The first bytes of a body. */
  #readFirst({ object: { name, offset, length } }: Pick<EmailRecord, "object">): Promise<Uint8Array | undefined> {
    return this.#get({ name, offset, length: Math.min(length, FIRST_READ_BYTES) });
  }

  #body({ id, key, object }: Pick<EmailRecord, "id" | "key" | "object">, first: Uint8Array, size: number): Body {
    const { name, offset, length } = object;
    const sealedAt = preambleLength(first);
    const context = bodyContext(this.#platform, this.#account, hexText(id), key);
    const read = async (start: number, end: number): Promise<Uint8Array> => {
      const from = sealedAt + start;
      const to = Math.min(sealedAt + end, length);
      if (to <= first.length) return first.subarray(from, to);
      const bytes = await this.#get({ name, offset: offset + from, length: to - from });
      if (!bytes) throw new EngineError("corrupt", "a message's body went while it was read");
      return bytes;
    };
    return { size, read: (start, end) => openRange(context, read, start, Math.min(end, size)) };
  }

  async #get({ name, offset, length }: ObjectSpan): Promise<Uint8Array | undefined> {
    const got = await asStoreFailure(this.#store.get(this.#prefix + name, { start: offset, end: offset + length }));
    if (!got.found) return undefined;
    if (got.bytes.length < length) throw new EngineError("corrupt", "a message's body is cut off in the store");
    return got.bytes;
  }

  /** All bytes of an object. Throws EngineError `corrupt`. */
  async readObject(name: string): Promise<Uint8Array> {
    const got = await asStoreFailure(this.#store.get(this.#prefix + name));
    if (!got.found) throw new EngineError("corrupt", "a message's body is missing in the store");
    return got.bytes;
  }

  /** An email's record: from its row page, or from the log entry that brought it. */
  async readRecord(state: MailState, email: number): Promise<EmailRecord> {
    const brought = await this.#broughtBy(state, email);
    if (brought) return this.#recordOf(brought);
    return this.#inPage(this.#rowPages, state.pages.rows, email, async (name) =>
      decodeRowPage(await this.#pageStore.read("rows", name)),
    );
  }

  /** An email's header frame. */
  async readHeader(state: MailState, email: number): Promise<Uint8Array> {
    const brought = await this.#broughtBy(state, email);
    if (brought) return brought.email.header;
    return this.#inPage(this.#headerPages, state.pages.headers, email, async (name) =>
      decodeHeaderPage(await this.#pageStore.read("headers", name)),
    );
  }

  async #inPage<T>(
    cache: Cache<string, readonly T[]>,
    names: readonly string[],
    email: number,
    read: (name: string) => Promise<readonly T[]>,
  ): Promise<T> {
    const name = names[Math.floor(email / PAGE_EMAILS)];
    const value = name === undefined ? undefined : (await cache.get(name, () => read(name)))[email % PAGE_EMAILS];
    if (value === undefined) throw new EngineError("corrupt", "a message is in no page and no entry");
    return value;
  }

  /** The log entry that brought an email which is in no page yet. */
  async #broughtBy(state: MailState, email: number): Promise<Brought | undefined> {
    const tail = state.tailOf(email);
    if (!tail) return undefined;
    const entry = await this.#entries.get(tail.entry, () => this.#bay.readEntry(tail.entry));
    if (entry) {
      const found = emailIn(entry.ops[tail.op], tail.index);
      if (!found) throw new EngineError("corrupt", "a message is not in its entry");
      return { email: found, entry: tail.entry, attachments: entry.attachments[tail.op] };
    }
    // The entry was trimmed: a checkpoint that this process has not looked at holds what it brought.
    await this.#catchUp();
    return undefined;
  }

  #recordOf({ email, entry, attachments }: Brought): EmailRecord {
    const known = this.#records.get(email);
    if (known) return known;
    const record = { ...email, object: placeOf(email, entry, attachments) };
    this.#records.set(email, record);
    return record;
  }
}

interface Brought {
  readonly email: NewEmail;
  readonly entry: number;
  readonly attachments: readonly Span[] | undefined;
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
