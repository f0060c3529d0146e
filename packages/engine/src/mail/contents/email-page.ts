import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";

/** What is kept of an email beside its columns: its body's key and place, and its summary. */
export interface EmailRecord {
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

/** A row page: the records of 64 emails. */
export function encodeRowPage(records: readonly EmailRecord[]): Uint8Array {
  return encode(
    records.map(({ id, key, object, summary }) => [id, key, object.name, object.offset, object.length, summary]),
  );
}

/** Throws RangeError on a page that is not of such records. */
export function decodeRowPage(page: Uint8Array): EmailRecord[] {
  return Fields.decodeList(page).list((record) => ({
    id: record.bytes(16),
    key: record.bytes(32),
    object: { name: record.text(), offset: record.integer(), length: record.integer() },
    summary: record.bytes(),
  }));
}

/** A header page: the header frames of 64 emails. */
export function encodeHeaderPage(frames: readonly Uint8Array[]): Uint8Array {
  return encode(frames);
}

/** Throws RangeError on a page that is not of frames. */
export function decodeHeaderPage(page: Uint8Array): Uint8Array[] {
  return Fields.decodeList(page).list((frame) => frame.bytes(), false);
}
