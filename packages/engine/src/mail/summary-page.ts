import { decode } from "cborg";
import { Fields } from "../bay/fields.ts";

/** Emails of one summary page. */
export const PAGE_RECORDS = 64;

/** What is kept of an email beside its columns: its body's key and place, and its summary. */
export interface SummaryRecord {
  readonly id: Uint8Array;
  readonly key: Uint8Array;
  readonly object: ObjectSpan;
  /** An encoded `Summary`. */
  readonly summary: Uint8Array;
}

/** Where a body lies: the object that holds it, and where in it. */
export interface ObjectSpan {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
}

export function encodeRecord({ id, key, object, summary }: SummaryRecord): unknown[] {
  return [id, key, object.name, object.offset, object.length, summary];
}

/** Throws RangeError on a page that is not of such records. */
export function decodeRecords(page: Uint8Array): SummaryRecord[] {
  return new Fields([decode(page, { strict: true })]).list((record) => ({
    id: record.bytes(16),
    key: record.bytes(32),
    object: { name: record.text(), offset: record.integer(), length: record.integer() },
    summary: record.bytes(),
  }));
}
