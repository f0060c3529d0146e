import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";
import { RECIPIENT_STATES, type RecipientState, wordAt } from "./queued.ts";

/** The content of a note that is no mail but the report on a submission (docs/formats/note.md). */
export interface Report {
  /** The submission's: 32 hex digits. */
  readonly id: string;
  readonly state: "waiting" | "sent" | "canceled";
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly recipients: readonly RecipientState[];
}

/** The format of a note's summary that is none of a mail: `decodeDelivered` has 1. */
const FORMAT = 2;
const STATES = ["waiting", "sent", "canceled"] as const;

export function encodeReport({ id, state, atMs, recipients }: Report): Uint8Array {
  return encode([
    FORMAT,
    id,
    STATES.indexOf(state),
    atMs,
    recipients.map((one) => [one.address, RECIPIENT_STATES.indexOf(one.state), one.reply]),
  ]);
}

/** True for the summary of a note that is a report: a CBOR list's head, then the format. */
export function isReport(summary: Uint8Array): boolean {
  return summary[1] === FORMAT;
}

/** Throws RangeError on bytes that {@link encodeReport} does not make. */
export function decodeReport(bytes: Uint8Array): Report {
  const fields = Fields.decode(bytes);
  if (fields.integer() !== FORMAT) throw new RangeError("report of an unknown format");
  const report = {
    id: fields.text(),
    state: wordAt(STATES, fields.integer()),
    atMs: fields.number(),
    recipients: fields.list((item) => ({
      address: item.text(),
      state: wordAt(RECIPIENT_STATES, item.integer()),
      reply: item.text(),
    })),
  };
  fields.end();
  return report;
}
