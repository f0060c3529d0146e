import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";

/** The record of an email beside its columns: its body's key and place, and its summary. */
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

/** A row page: the records of 64 emails, each at its place; undefined for those that it holds no more. */
export function encodeRowPage(records: readonly (EmailRecord | undefined)[]): Uint8Array {
  return encode(Array.from(records, (record) => (record ? encodeRecord(record) : null)));
}

function encodeRecord({ id, key, object, summary }: EmailRecord): unknown[] {
  return [id, key, object.name, object.offset, object.length, summary];
}

/** Throws RangeError on a page that is not of such records. */
export function decodeRowPage(page: Uint8Array): (EmailRecord | undefined)[] {
  return Fields.decodeList(page).list((item) => item.optional((field) => readRecord(field.nested())), false);
}

function readRecord(record: Fields): EmailRecord {
  const read = {
    id: record.bytes(16),
    key: record.bytes(32),
    object: { name: record.text(), offset: record.integer(), length: record.integer() },
    summary: record.bytes(),
  };
  record.end();
  return read;
}

/** A header page: the header frames of 64 emails, in the same way. */
export function encodeHeaderPage(frames: readonly (Uint8Array | undefined)[]): Uint8Array {
  return encode(Array.from(frames, (frame) => frame ?? null));
}

/** Throws RangeError on a page that is not of frames. */
export function decodeHeaderPage(page: Uint8Array): (Uint8Array | undefined)[] {
  return Fields.decodeList(page).list((item) => item.optional((frame) => frame.bytes()), false);
}
