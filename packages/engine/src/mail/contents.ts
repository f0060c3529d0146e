import type { Bay } from "../bay/bay.ts";
import { entryName, hexText } from "../bay/entry.ts";
import type { ReadEntry } from "../bay/machine.ts";
import { bodyContext, type CryptoPlatform, openRange, preambleLength } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import type { Outcome } from "./apply.ts";
import { bodyName } from "./apply.ts";
import type { Message } from "./mailbox-view.ts";
import type { NewEmail, Op } from "./op.ts";
import type { MailState } from "./state.ts";
import { decodeSummary, type Summary } from "./summary.ts";

/** Log entries kept open for those who read what they carried. */
const ENTRIES_CACHED = 256;
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
  readonly #entries = new Map<number, Promise<ReadEntry<Op>>>();
  readonly #summaries = new WeakMap<NewEmail, Summary>();

  constructor(
    bay: Bay<MailState, Op, Outcome>,
    place: { readonly store: ObjectStore; readonly prefix: string },
    platform: CryptoPlatform,
    account: Uint8Array,
  ) {
    this.#bay = bay;
    this.#store = place.store;
    this.#prefix = place.prefix;
    this.#platform = platform;
    this.#account = account;
  }

  /** The summaries of these messages, in order. */
  readSummaries(messages: readonly Message[]): Promise<Summary[]> {
    return Promise.all(messages.map((message) => this.#readSummary(message)));
  }

  async #readSummary(message: Message): Promise<Summary> {
    const { email } = await this.#find(message);
    let summary = this.#summaries.get(email);
    if (!summary) {
      summary = decodeSummary(email.summary);
      this.#summaries.set(email, summary);
    }
    return summary;
  }

  async openBody(message: Message): Promise<Body> {
    const { email, entry, entryNumber, op } = await this.#find(message);
    const { place } = email;
    if (place.in === "object") return this.#open(email, bodyName(email.id), 0, place.length);
    if (place.in === "note") return this.#open(email, place.name, place.offset, place.length);
    const span = entry.attachments[op]?.[place.attachment];
    if (!span) throw new EngineError("corrupt", "a message's body is missing in its entry");
    return this.#open(email, entryName(entryNumber), span.offset, span.length);
  }

  async #open(email: NewEmail, name: string, offset: number, length: number): Promise<Body> {
    const first = await this.#get(name, offset, offset + Math.min(length, FIRST_READ_BYTES));
    const sealedAt = preambleLength(first);
    const context = bodyContext(this.#platform, this.#account, hexText(email.id), email.key);
    const read = async (start: number, end: number): Promise<Uint8Array> => {
      const from = sealedAt + start;
      const to = Math.min(sealedAt + end, length);
      if (to <= first.length) return first.subarray(from, to);
      return this.#get(name, offset + from, offset + to);
    };
    return { size: email.size, read: (start, end) => openRange(context, read, start, Math.min(end, email.size)) };
  }

  async #get(name: string, start: number, end: number): Promise<Uint8Array> {
    const got = await this.#store.get(this.#prefix + name, { start, end });
    if (!got.found) throw new EngineError("corrupt", "a message's body is missing in the store");
    return got.bytes;
  }

  async #find({ row, state }: Message) {
    const tail = state.tailOf(state.emailOf(row));
    if (!tail) throw new EngineError("corrupt", "a message is in no page and no entry");
    const entry = await this.#entry(tail.entry);
    const email = emailIn(entry.ops[tail.op], tail.index);
    if (!email) throw new EngineError("corrupt", "a message is not in its entry");
    return { email, entry, entryNumber: tail.entry, op: tail.op };
  }

  #entry(n: number): Promise<ReadEntry<Op>> {
    const known = this.#entries.get(n);
    if (known) return known;
    const read = this.#bay.readEntry(n).then((entry) => {
      if (!entry) throw new EngineError("corrupt", `log entry ${n} is missing`);
      return entry;
    });
    this.#entries.set(n, read);
    // A failure is told to who asked; the next one asks again.
    read.catch(() => this.#entries.delete(n));
    if (this.#entries.size > ENTRIES_CACHED) this.#entries.delete(this.#entries.keys().next().value!);
    return read;
  }
}

/** The email at `index` of an op that adds some. Take-ins may leave notes out: `index` counts those taken. */
function emailIn(op: Op | undefined, index: number): NewEmail | undefined {
  if (op?.kind === "append") return op.emails[index];
  return op?.kind === "take-in" ? op.notes[index]?.email : undefined;
}
