import { HeaderBlock } from "@restante/mime";
import { entryName, type Span } from "../../bay/entry.ts";
import type { ReadEntry } from "../../bay/machine.ts";
import type { Position } from "../../bay/position.ts";
import { EngineError } from "../../errors.ts";
import type { NewEmail } from "../ops/email.ts";
import { bodyName } from "../ops/names.ts";
import type { Op } from "../ops/op.ts";
import type { TailEmail } from "../state/state.ts";
import type { EmailRecord, ObjectSpan } from "./email-page.ts";
import { decodeHeader } from "./header.ts";
import { decodeSummary, SUMMARY_FORMAT, type Summary } from "./summary.ts";

// Records of pages and log entries, kept open for readers that come again and again.

/** Memory of a page whose records and summaries are objects, in times of its bytes. */
export const DECODED_WEIGHT = 2;
/** Memory of an email beside its bytes. */
export const RECORD_BYTES = 512;

/** A record, and its summary once someone asked for it. */
export class OpenRecord {
  readonly record: EmailRecord;
  #summary: Summary | undefined;

  constructor(record: EmailRecord) {
    this.record = record;
  }

  get summary(): Summary {
    this.#summary ??= decodeSummary(this.record.summary);
    return this.#summary;
  }

  wipe(): void {
    wipeEmail(this.record);
    if (this.#summary) for (const bytes of bytesOf(this.#summary)) bytes.fill(0);
  }
}

/** Zeroes the key of an email's body, and what is kept of its text. */
function wipeEmail({ key, summary }: Pick<EmailRecord, "key" | "summary">): void {
  key.fill(0);
  summary.fill(0);
}

/** The bytes of an open summary. */
export function bytesOf(summary: Summary): Uint8Array[] {
  const { envelope, bodyStructure, offsets } = summary;
  const known = [envelope, bodyStructure, offsets];
  return summary.format === SUMMARY_FORMAT ? [...known, summary.partOctets] : known;
}

/** A header's frame, and its block once someone asked for it. */
export class OpenHeader {
  readonly frame: Uint8Array;
  #block: HeaderBlock | undefined;

  constructor(frame: Uint8Array) {
    this.frame = frame;
  }

  get block(): HeaderBlock {
    this.#block ??= new HeaderBlock(decodeHeader(this.frame));
    return this.#block;
  }
}

export class BroughtRecord extends OpenRecord {
  readonly header: OpenHeader;

  constructor(record: EmailRecord, header: OpenHeader) {
    super(record);
    this.header = header;
  }
}

/** Zeroes what a log entry carried of emails. */
function wipeOp(op: Op): void {
  for (const email of emailsOf(op)) {
    wipeEmail(email);
    email.header.fill(0);
  }
}

/** A log entry, open for those who read what it carried; gone if it was trimmed. */
export class OpenEntry {
  readonly #number: Position;
  readonly #entry: ReadEntry<Op> | undefined;
  /** By op, then by place in it. */
  readonly #records: (BroughtRecord | undefined)[][] = [];

  constructor(number: Position, entry: ReadEntry<Op> | undefined) {
    this.#number = number;
    this.#entry = entry;
  }

  get isGone(): boolean {
    return this.#entry === undefined;
  }

  /** True for an entry that brought no email. */
  get isEmpty(): boolean {
    return this.#entry?.ops.every((op) => emailsOf(op).length === 0) ?? true;
  }

  find({ op, index }: TailEmail): BroughtRecord | undefined {
    const known = this.#records[op]?.[index];
    if (known) return known;
    const brought = this.#entry?.ops[op];
    const email = brought && emailsOf(brought)[index];
    if (!email) return undefined;
    const object = placeOf(email, this.#number, this.#entry?.attachments[op]);
    const record = new BroughtRecord({ ...email, object }, new OpenHeader(email.header));
    this.#records[op] ??= [];
    this.#records[op][index] = record;
    return record;
  }

  wipe(): void {
    for (const op of this.#entry?.ops ?? []) wipeOp(op);
    for (const record of this.#records.flat()) record?.wipe();
  }

  /** About what it holds. */
  get bytes(): number {
    let bytes = RECORD_BYTES;
    for (const email of this.#entry?.ops.flatMap(emailsOf) ?? [])
      bytes += (email.header.length + email.summary.length) * DECODED_WEIGHT + RECORD_BYTES;
    return bytes;
  }
}

/** The emails that an op brings. */
export function emailsOf(op: Op): readonly NewEmail[] {
  switch (op.kind) {
    case "add":
      return op.emails.map(({ email }) => email);
    case "take-in":
      return op.notes.map(({ email }) => email);
    case "replace":
      return [op.email];
    default:
      return [];
  }
}

function placeOf({ id, place }: NewEmail, entry: Position, attachments: readonly Span[] | undefined): ObjectSpan {
  if (place.in === "object") return { name: bodyName(id), offset: 0, length: place.length };
  if (place.in === "note") return { name: place.name, offset: place.offset, length: place.length };
  const span = attachments?.[place.attachment];
  if (!span) throw new EngineError("corrupt", "a message's body is missing in its entry");
  return { name: entryName(entry), offset: span.offset, length: span.length };
}
