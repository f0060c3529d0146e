import { preview } from "@restante/mime";
import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";

/**
 * The summary of a message, computed once when it arrives: it travels in the log entry and lives in row pages, so that FETCH
 * of anything but body text, JMAP lists and ActiveSync Sync open no body. The header block is kept beside it (`header.ts`),
 * in pages of its own: most lists don't read it.
 *
 * ENVELOPE and BODYSTRUCTURE are kept as RFC 9051 §7.5.2 writes them, in ASCII: that is the form in which they are asked
 * for, and it says all there is to say.
 *
 * The first releases wrote format 1. Such summaries are read for ever; `Contents.readFullSummaries` makes full ones of them.
 */
export type Summary = FirstSummary | FullSummary;

interface CommonSummary {
  readonly envelope: Uint8Array;
  readonly bodyStructure: Uint8Array;
  /** Byte offsets of every part, as `mime` encodes them. */
  readonly offsets: Uint8Array;
  /** True if the kept header block is the whole one. */
  readonly headerWhole: boolean;
}

export interface FirstSummary extends CommonSummary {
  readonly format: 1;
  /** The text's beginning on one line, at most 512 bytes of UTF-8. */
  readonly preview: string;
}

export interface FullSummary extends CommonSummary {
  readonly format: 2;
  readonly text: SummaryText;
  /** Octets of every part's decoded body, as `mime` encodes them. */
  readonly partOctets: Uint8Array;
  /** RFC 8621 §4.1.4. */
  readonly hasAttachment: boolean;
}

/** The beginning of a message's text, as `messageText` of `mime` gives it: HTML as plain text. */
export interface SummaryText {
  /** At most 1,024 octets of UTF-8, with line ends. */
  readonly start: string;
  /** True if `start` is the whole text. */
  readonly isWhole: boolean;
  /** Octets of all of it. */
  readonly octets: number;
  /** True for a message that was written as HTML, whichever part this text was taken from. */
  readonly isHtml: boolean;
}

/** The format that is written. */
export const SUMMARY_FORMAT = 2;
const FIRST_FORMAT = 1;

export function encodeSummary(summary: Omit<FullSummary, "format">): Uint8Array {
  const { envelope, bodyStructure, offsets, headerWhole, text, partOctets, hasAttachment } = summary;
  return encode([
    SUMMARY_FORMAT,
    envelope,
    bodyStructure,
    offsets,
    headerWhole,
    [text.start, text.isWhole, text.octets, text.isHtml],
    partOctets,
    hasAttachment,
  ]);
}

/** Throws RangeError on anything that {@link encodeSummary}, or that of the first releases, does not make. */
export function decodeSummary(bytes: Uint8Array): Summary {
  const fields = Fields.decode(bytes);
  const format = fields.integer();
  if (format !== SUMMARY_FORMAT && format !== FIRST_FORMAT) throw new RangeError("summary of an unknown format");
  const common = { envelope: fields.bytes(), bodyStructure: fields.bytes(), offsets: fields.bytes() };
  const summary: Summary =
    format === FIRST_FORMAT
      ? { format, ...common, preview: fields.text(), headerWhole: fields.boolean() }
      : {
          format,
          ...common,
          headerWhole: fields.boolean(),
          text: readText(fields.nested()),
          partOctets: fields.bytes(),
          hasAttachment: fields.boolean(),
        };
  fields.end();
  return summary;
}

/** True for encoded bytes of a summary of format 1: a CBOR array's head, then the format. */
export function isFirstSummary(bytes: Uint8Array): boolean {
  return bytes[1] === FIRST_FORMAT;
}

function readText(fields: Fields): SummaryText {
  const text = {
    start: fields.text(),
    isWhole: fields.boolean(),
    octets: fields.integer(),
    isHtml: fields.boolean(),
  };
  fields.end();
  return text;
}

/** The beginning of the text on one line, at most 256 characters: RFC 8621 §4.1.4 (preview). */
export function previewOf(summary: Summary): string {
  return preview(summary.format === FIRST_FORMAT ? summary.preview : summary.text.start);
}
