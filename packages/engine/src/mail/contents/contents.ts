import type { HeaderBlock } from "@restante/mime";
import type { Bay } from "../../bay/bay.ts";
import { hexText } from "../../bay/entry.ts";
import type { Position } from "../../bay/position.ts";
import type { PageStore } from "../../bay/snapshots.ts";
import { asStoreFailure, eachOrDamage, orDamage } from "../../bay/store-failure.ts";
import {
  bodyContext,
  type CryptoPlatform,
  concat,
  equalBytes,
  HEADER_BYTES,
  hash,
  messageIdKey,
  openRange,
  openSpan,
  preambleLength,
  type ReadSpan,
  type Ring,
} from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { SharedCache, type Weighed } from "../../shared-cache.ts";
import type { GetOptions, ObjectStore } from "../../storage/object-store.ts";
import type { Message } from "../mailbox-view.ts";
import type { EmailRow } from "../numbers.ts";
import type { Op } from "../ops/op.ts";
import type { Outcome } from "../ops/outcome.ts";
import { DERIVED_PAGE_EMAILS, type DerivedGroup } from "../state/pages.ts";
import type { LosingState, ReadState } from "../state/read-state.ts";
import type { StoredRecord, ValuePlace } from "../state/records.ts";
import type { Breathe } from "./digest.ts";
import { decodeHeaderPage, decodeRowPage, type EmailRecord, type ObjectSpan } from "./email-page.ts";
import { FullSummaries } from "./full-summaries.ts";
import { decodeTextPage, type TextRun } from "./list-text.ts";
import { Neighbours } from "./neighbours.ts";
import { BroughtRecord, DECODED_WEIGHT, OpenEntry, OpenHeader, OpenRecord, RECORD_BYTES } from "./open-entry.ts";
import { isFirstSummary, type Summary } from "./summary.ts";
import { decodeIdsPage, type IdsPage, type ThreadFacts, threadFacts } from "./thread-facts.ts";

/** The first read of a body: its preamble and, of most, all of it. A cache reads no less for 96 KiB of it. */
const FIRST_READ_BYTES: number = 128 * 1024;

/** Bodies that are read side by side to make summaries of. */
const BODIES_AT_ONCE = 8;
/** The state names what is read here, and none of it ever changes. */
const COPY_WILL_DO: GetOptions = { copyAgeMaxMs: Number.POSITIVE_INFINITY };

/** A message's bytes. */
export interface Body {
  readonly size: number;
  /** Octets `start` up to, not including, `end`. Throws EngineError `corrupt`, possibly after good bytes. */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
  /** The same at once, where all of it is in memory: of small bodies. */
  readonly open?: (start: number, end: number) => Uint8Array;
}

/** Reads a body to its end. Resolves with how many octets came. Throws as `read` does. */
export async function readThrough(body: Body): Promise<number> {
  let octets = 0;
  for await (const piece of body.read(0, body.size)) octets += piece.length;
  return octets;
}

function cutOff(): EngineError {
  return new EngineError("corrupt", "a message's body is cut off in the store");
}

/** Reads what emails hold: summaries and bodies, wherever they lie. */
export class Contents {
  readonly #bay: Bay<LosingState, Op, Outcome>;
  readonly #store: ObjectStore;
  readonly #prefix: string;
  readonly #platform: CryptoPlatform;
  readonly #account: Uint8Array;
  readonly #idsKey: () => Uint8Array;
  readonly #pageStore: PageStore;
  readonly #catchUp: () => Promise<void>;
  readonly #stopKeeping: () => void;
  readonly #entries = new SharedCache<number, OpenEntry>();
  readonly #rowPages = new SharedCache<string, readonly (OpenRecord | undefined)[]>();
  readonly #headerPages = new SharedCache<string, readonly (OpenHeader | undefined)[]>();
  /** Octets before the first segment of large bodies, by their objects' names: a client that fetches a body in pieces has
   * them read once. */
  readonly #beginnings = new SharedCache<string, Uint8Array>();

  /** Records that a repair made for emails whose pages are lost, by their lasting numbers. */
  readonly #rebuilt = new Map<number, BroughtRecord>();
  readonly #full: FullSummaries;
  readonly #neighbours = new Neighbours();

  constructor(
    bay: Bay<LosingState, Op, Outcome>,
    place: { readonly store: ObjectStore; readonly prefix: string; readonly pages: PageStore },
    platform: CryptoPlatform,
    ring: Ring,
    /** Goes over to the pages of the newest checkpoint: what was looked for may have moved there. */
    catchUp: () => Promise<void>,
    breathe?: Breathe,
  ) {
    this.#bay = bay;
    this.#full = new FullSummaries(breathe);
    this.#catchUp = catchUp;
    this.#store = place.store;
    this.#prefix = place.prefix;
    this.#pageStore = place.pages;
    this.#platform = platform;
    this.#account = ring.account;
    this.#idsKey = () => messageIdKey(ring);
    // Entries that were stored a moment ago are asked for next, and the next checkpoint is made of them.
    this.#stopKeeping = bay.onStored((number, entry) => {
      const value = new OpenEntry(number, entry);
      if (!value.isEmpty) this.#entries.keep(number, { value, bytes: value.bytes, wipe: () => value.wipe() });
    });
  }

  /** Forgets all that is kept open. */
  dispose(): void {
    this.#stopKeeping();
    for (const cache of [this.#entries, this.#rowPages, this.#headerPages, this.#beginnings, this.#full])
      cache.dispose();
  }

  /** Stands in for an email's lost page until a checkpoint writes that anew. */
  rebuild(number: number, record: EmailRecord, header: Uint8Array): void {
    this.#rebuilt.set(number, new BroughtRecord(record, new OpenHeader(header)));
  }

  /** A checkpoint has written them. */
  endRebuild(): void {
    this.#rebuilt.clear();
  }

  /** The summaries of these messages, in order. */
  readSummaries(messages: readonly Message[]): Promise<Summary[]> {
    return readAll(
      messages,
      ({ state, row }) => this.#findKept(state, state.emailOf(row))?.summary,
      async ({ state, row }) => (await this.#openRecord(state, state.emailOf(row))).summary,
    );
  }

  /** The same, all of them of the present format: what came with an older one is made out of its body, once. One whose body
   * is damaged or gone stays as it is. Errors: `unavailable`. */
  async readFullSummaries(messages: readonly Message[]): Promise<Summary[]> {
    const summaries = await this.readSummaries(messages);
    const old = [...summaries.keys()].filter((at) => summaries[at]!.format === 1);
    for (let from = 0; from < old.length; from += BODIES_AT_ONCE)
      await Promise.all(
        old.slice(from, from + BODIES_AT_ONCE).map(async (at) => {
          const { state, row } = messages[at]!;
          const made = await this.#makeFull(state, state.emailOf(row));
          if (made) summaries[at] = made.summary;
        }),
      );
    return summaries;
  }

  /** Makes the email's summary full, for the next checkpoint to write, if its page holds one of an older format and its body
   * is whole. Resolves with whether it waits for that checkpoint. Errors: `unavailable`; `corrupt` if its page is damaged. */
  async fillSummary(state: ReadState, email: EmailRow): Promise<boolean> {
    if (!state.isHeld(email)) return false;
    const { id, summary } = (await this.#openRecord(state, email)).record;
    if (!isFirstSummary(summary)) {
      this.#full.settle(hexText(id));
      return false;
    }
    const made = await this.#makeFull(state, email);
    if (made) this.#full.wait(hexText(id), state.placeInPages(email).page, made.encoded);
    return made !== undefined;
  }

  #makeFull(state: ReadState, email: EmailRow): ReturnType<FullSummaries["get"]> {
    return this.#full.get(hexText(state.emails.columns.id.getId(email)), () => this.openEmail(state, email));
  }

  /** Row pages of which a record says more than the page does. */
  improvedPages(): ReadonlySet<number> {
    return new Set(this.#full.waitingPages());
  }

  /** The header blocks of these messages, in order; `Summary.headerWhole` says whether that is all of one. */
  readHeaders(messages: readonly Message[]): Promise<HeaderBlock[]> {
    return readAll(
      messages,
      ({ state, row }) => this.#findKeptHeader(state, state.emailOf(row))?.block,
      async ({ state, row }) => (await this.#openHeader(state, state.emailOf(row))).block,
    );
  }

  /** The same of emails of one state. */
  readHeadersOf(state: ReadState, emails: readonly EmailRow[]): Promise<HeaderBlock[]> {
    return readAll(
      emails,
      (email) => this.#findKeptHeader(state, email)?.block,
      async (email) => (await this.#openHeader(state, email)).block,
    );
  }

  openBody({ state, row }: Message): Promise<Body> {
    return this.openEmail(state, state.emailOf(row));
  }

  /** An email's octets, whatever memberships it has. Errors: `unavailable`, `corrupt`, `expunged`. */
  async openEmail(state: ReadState, email: EmailRow): Promise<Body> {
    const { record } = this.#findKept(state, email) ?? (await this.#openRecord(state, email));
    const size = state.emails.columns.size.get(email);
    const beginning = this.#beginnings.peek(record.object.name);
    if (beginning) return this.#body(record, beginning, size);
    const first = await this.#readFirst(record);
    if (first) return this.#body(record, first, size);
    // A checkpoint may have moved it since the record was read.
    await this.#catchUp();
    const there = this.#present(state, email);
    return this.openStored(await this.readRecord(there.state, there.email), size);
  }

  /** The body that lies where `record` says. Throws EngineError `corrupt`. */
  async openStored(record: Pick<EmailRecord, "id" | "key" | "object">, size: number): Promise<Body> {
    const first = await this.#readFirst(record);
    if (!first) throw new EngineError("corrupt", "a message's body is missing in the store");
    return this.#body(record, first, size);
  }

  /** The first bytes of a body. */
  async #readFirst({ object: { name, offset, length } }: Pick<EmailRecord, "object">): Promise<Uint8Array | undefined> {
    const span = { name, offset, length: Math.min(length, FIRST_READ_BYTES) };
    const first = await this.#neighbours.get(span, (window) => this.#read(window));
    if (first && first.length < span.length) throw cutOff();
    // So large a body is an object of its own, whose name it keeps.
    if (first && length > FIRST_READ_BYTES) {
      const value = first.slice(0, orDamage(() => preambleLength(first)) + HEADER_BYTES);
      this.#beginnings.keep(name, { value, bytes: value.length + RECORD_BYTES });
    }
    return first;
  }

  #body({ id, key, object }: Pick<EmailRecord, "id" | "key" | "object">, first: Uint8Array, size: number): Body {
    const { name, offset, length } = object;
    const sealedAt = orDamage(() => preambleLength(first));
    const context = bodyContext(this.#platform, this.#account, hexText(id), key);
    if (first.length === length) {
      const sealed = first.subarray(sealedAt);
      const open = (start: number, end: number): Uint8Array =>
        orDamage(() => openSpan(context, sealed, start, Math.min(end, size)));
      return { size, open, read: (start, end) => once(() => open(start, end)) };
    }
    const read: ReadSpan = async (start, end, room) => {
      const from = sealedAt + start;
      const to = Math.min(sealedAt + end, length);
      if (to <= first.length) return first.subarray(from, to);
      const known = first.subarray(from);
      const span = { name, offset: offset + from + known.length, length: to - from - known.length };
      const rest = await this.#get(span, room?.subarray(known.length));
      if (!rest) throw new EngineError("corrupt", "a message's body went while it was read");
      if (known.length === 0) return rest;
      if (room === undefined || rest.buffer !== room.buffer) return concat(known, rest);
      room.set(known);
      return room.subarray(0, to - from);
    };
    return { size, read: (start, end) => eachOrDamage(openRange(context, read, start, Math.min(end, size))) };
  }

  async #get(span: ObjectSpan, room?: Uint8Array): Promise<Uint8Array | undefined> {
    const bytes = await this.#read(span, room);
    if (bytes && bytes.length < span.length) throw cutOff();
    return bytes;
  }

  /** As much of a span as its object has; undefined if that is gone. */
  async #read({ name, offset, length }: ObjectSpan, room?: Uint8Array): Promise<Uint8Array | undefined> {
    const range = { start: offset, end: offset + length };
    const options = room ? { ...COPY_WILL_DO, room } : COPY_WILL_DO;
    const got = await asStoreFailure(this.#store.get(this.#prefix + name, range, options));
    return got.found ? got.bytes : undefined;
  }

  /** All bytes of an object. Throws EngineError `corrupt`. */
  async readObject(name: string): Promise<Uint8Array> {
    const got = await asStoreFailure(this.#store.get(this.#prefix + name, undefined, COPY_WILL_DO));
    if (!got.found) throw new EngineError("corrupt", "a message's body is missing in the store");
    return got.bytes;
  }

  /** A page of texts. Throws EngineError `corrupt`. */
  async readTexts(name: string): Promise<readonly TextRun[]> {
    const page = await this.#pageStore.read("texts", name);
    try {
      return decodeTextPage(page);
    } catch (cause) {
      throw new EngineError("corrupt", "a page of texts can't be read", { cause });
    }
  }

  /** A page of ids. Throws EngineError `corrupt`. */
  async readIds(name: string): Promise<IdsPage> {
    const page = await this.#pageStore.read("ids", name);
    try {
      return decodeIdsPage(page, DERIVED_PAGE_EMAILS);
    } catch (cause) {
      throw new EngineError("corrupt", "a page of ids can't be read", { cause });
    }
  }

  /** A page of this group, which had this name, can't be read. */
  losePage(group: DerivedGroup, page: number, name: string): void {
    const { state } = this.#bay;
    if (state.pages[group][page] === name) state.losePages({ [group]: new Set([page]) });
  }

  threadFacts(header: HeaderBlock): ThreadFacts {
    return threadFacts(header, this.#idsKey());
  }

  /** A record's value, wherever it lies. Throws EngineError `corrupt`; `expunged` if the record changed or ended. */
  async readValue({ type, id, value }: StoredRecord): Promise<Uint8Array> {
    if (!value) throw new EngineError("expunged", "the record has ended");
    if ("bytes" in value) return value.bytes;
    const found = await this.#valueAt(value.place);
    if (found) return assertHash(found, value.hash);
    // Its entry was trimmed: a checkpoint holds it.
    await this.#catchUp();
    const now = this.#bay.state.records.find(type, id)?.value;
    if (!now || "bytes" in now || !equalBytes(now.hash, value.hash))
      throw new EngineError("expunged", "the record changed meanwhile");
    return assertHash(await this.#valueAt(now.place), value.hash);
  }

  async #valueAt(place: ValuePlace): Promise<Uint8Array | undefined> {
    if (place.in === "page") return this.#pageStore.read("values", place.name);
    const op = (await this.#bay.readEntry(place.entry))?.ops[place.op];
    return op?.kind === "record" ? op.records[place.index]?.value : undefined;
  }

  /** An email's record: from its row page, or from the log entry that brought it; with a fuller summary, if one waits. */
  async readRecord(state: ReadState, email: EmailRow): Promise<EmailRecord> {
    const { record } = await this.#openRecord(state, email);
    const summary = this.#full.findWaiting(hexText(record.id));
    return summary ? { ...record, summary } : record;
  }

  /** An email of a state that may be an older one, in the present state. A view that is days old may show what was expunged,
   * and collected since: throws EngineError `expunged`. */
  #present(state: ReadState, email: EmailRow): { readonly state: ReadState; readonly email: EmailRow } {
    const now = this.#bay.state;
    const row = now === state ? email : now.findEmail(state.emails.columns.id.getId(email));
    if (row === undefined || !now.isHeld(row)) throw new EngineError("expunged", "the message is gone");
    return { state: now, email: row };
  }

  /** The result of `read` for an email. If it fails because the email's rows or pages are others by now, `read` is run again
   * on the present state. */
  async #readPresent<T>(
    state: ReadState,
    email: EmailRow,
    read: (state: ReadState, email: EmailRow) => Promise<T>,
  ): Promise<T> {
    try {
      return await read(state, email);
    } catch (error) {
      if (!(error instanceof EngineError && error.code === "corrupt")) throw error;
      const there = this.#present(state, email);
      if (there.state === state) throw error;
      return read(there.state, there.email);
    }
  }

  #openRecord(state: ReadState, email: EmailRow): Promise<OpenRecord> {
    return this.#readPresent(state, email, (...of) => this.#findRecord(...of));
  }

  async #findRecord(state: ReadState, email: EmailRow): Promise<OpenRecord> {
    const rebuilt = this.#findRebuilt(state, email);
    if (rebuilt) return rebuilt;
    const brought = await this.#broughtBy(state, email);
    if (brought) return brought;
    return this.#inPage(this.#rowPages, "rows", state, email, async (name) => {
      const page = await this.#pageStore.read("rows", name);
      const value = decodeRowPage(page).map((record) => record && new OpenRecord(record));
      const wipe = (): void => {
        for (const record of value) record?.wipe();
      };
      const bytes = page.length * DECODED_WEIGHT;
      page.fill(0);
      return { value, bytes, wipe };
    });
  }

  /** An email's header frame. */
  async readHeader(state: ReadState, email: EmailRow): Promise<Uint8Array> {
    return (await this.#openHeader(state, email)).frame;
  }

  #openHeader(state: ReadState, email: EmailRow): Promise<OpenHeader> {
    return this.#readPresent(state, email, (...of) => this.#findHeader(...of));
  }

  async #findHeader(state: ReadState, email: EmailRow): Promise<OpenHeader> {
    const rebuilt = this.#findRebuilt(state, email);
    if (rebuilt) return rebuilt.header;
    const brought = await this.#broughtBy(state, email);
    if (brought) return brought.header;
    return this.#inPage(this.#headerPages, "headers", state, email, async (name) => {
      const page = await this.#pageStore.read("headers", name);
      const value = decodeHeaderPage(page).map((frame) => frame && new OpenHeader(frame));
      const wipe = (): void => {
        for (const header of value) header?.frame.fill(0);
      };
      return { value, bytes: page.length * DECODED_WEIGHT, wipe };
    });
  }

  /** The record, if it is open already. */
  #findKept(state: ReadState, email: EmailRow): OpenRecord | undefined {
    const rebuilt = this.#findRebuilt(state, email);
    if (rebuilt) return rebuilt;
    const tail = state.tailOf(email);
    if (tail) return this.#entries.peek(tail.entry)?.find(tail);
    const { page, at } = state.placeInPages(email);
    const name = state.pages.rows[page];
    return name ? this.#rowPages.peek(name)?.[at] : undefined;
  }

  #findKeptHeader(state: ReadState, email: EmailRow): OpenHeader | undefined {
    const tail = state.tailOf(email);
    if (tail) return this.#entries.peek(tail.entry)?.find(tail)?.header;
    const { page, at } = state.placeInPages(email);
    const name = state.pages.headers[page];
    return name ? this.#headerPages.peek(name)?.[at] : undefined;
  }

  #findRebuilt(state: ReadState, email: EmailRow): BroughtRecord | undefined {
    return this.#rebuilt.size > 0 ? this.#rebuilt.get(state.emails.columns.number.get(email)) : undefined;
  }

  async #inPage<T>(
    cache: SharedCache<string, readonly (T | undefined)[]>,
    group: "rows" | "headers",
    state: ReadState,
    email: EmailRow,
    read: (name: string) => Promise<Weighed<readonly (T | undefined)[]>>,
  ): Promise<T> {
    const { page, at } = state.placeInPages(email);
    const name = state.pages[group][page];
    const value = name ? (await cache.get(name, () => read(name)))[at] : undefined;
    if (value !== undefined) return value;
    throw new EngineError("corrupt", "a message is in no page and no entry");
  }

  /** The record that a log entry holds of an email which is in no page yet. */
  async #broughtBy(state: ReadState, email: EmailRow): Promise<BroughtRecord | undefined> {
    const tail = state.tailOf(email);
    if (!tail) return undefined;
    const entry = await this.#entries.get(tail.entry, () => this.#readEntry(tail.entry));
    if (entry.isGone) {
      // The entry was trimmed: a checkpoint that this process has not looked at holds what it brought.
      await this.#catchUp();
      return undefined;
    }
    const found = entry.find(tail);
    if (!found) throw new EngineError("corrupt", "a message is not in its entry");
    return found;
  }

  async #readEntry(number: Position): Promise<Weighed<OpenEntry>> {
    const value = new OpenEntry(number, await this.#bay.readEntry(number));
    return { value, bytes: value.bytes, wipe: () => value.wipe() };
  }
}

async function* once(make: () => Uint8Array): AsyncGenerator<Uint8Array> {
  const bytes = make();
  if (bytes.length > 0) yield bytes;
}

/** The values of items in order: at once where they are kept, else read, side by side. */
async function readAll<I, T>(
  items: readonly I[],
  find: (item: I) => T | undefined,
  read: (item: I) => Promise<T>,
): Promise<T[]> {
  const found = items.map(find);
  if (!found.includes(undefined)) return found as T[];
  return Promise.all(items.map((item, at) => found[at] ?? read(item)));
}

function assertHash(bytes: Uint8Array | undefined, wanted: Uint8Array): Uint8Array {
  if (!bytes || !equalBytes(hash(bytes), wanted)) throw new EngineError("corrupt", "a stored value is damaged");
  return bytes;
}
