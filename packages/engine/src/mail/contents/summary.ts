import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";

/**
 * What lists need of a message, computed once when it arrives: it travels in the log entry and lives in row pages, so
 * that FETCH of anything but body text, JMAP lists and ActiveSync Sync open no body. The header block is kept beside it
 * (`header.ts`), in pages of its own: most lists don't read it.
 *
 * ENVELOPE and BODYSTRUCTURE are kept as RFC 9051 §7.5.2 writes them, in ASCII: that is the form in which they are
 * asked for, and it says all there is to say.
 */
export interface Summary {
  readonly envelope: Uint8Array;
  readonly bodyStructure: Uint8Array;
  /** Byte offsets of every part, as `mime` encodes them. */
  readonly offsets: Uint8Array;
  /** At most 512 bytes of UTF-8. */
  readonly preview: string;
  /** Whether the header block that is kept is all of it. */
  readonly headerWhole: boolean;
}

const SUMMARY_FORMAT = 1;

export function encodeSummary(summary: Summary): Uint8Array {
  const { envelope, bodyStructure, offsets, preview, headerWhole } = summary;
  return encode([SUMMARY_FORMAT, envelope, bodyStructure, offsets, preview, headerWhole]);
}

/** Throws RangeError on anything that {@link encodeSummary} does not make. */
export function decodeSummary(bytes: Uint8Array): Summary {
  const fields = Fields.decode(bytes);
  if (fields.integer() !== SUMMARY_FORMAT) throw new RangeError("summary of an unknown format");
  const summary = {
    envelope: fields.bytes(),
    bodyStructure: fields.bytes(),
    offsets: fields.bytes(),
    preview: fields.text(),
    headerWhole: fields.boolean(),
  };
  fields.end();
  return summary;
}
