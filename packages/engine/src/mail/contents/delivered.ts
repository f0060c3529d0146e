import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";
import type { Digest } from "./digest.ts";

/** The sealed summary of a note (docs/formats/note.md): the mail without its text. */
export interface Delivered extends Omit<Digest, "subject" | "root"> {
  readonly bodyId: Uint8Array;
  readonly key: Uint8Array;
  readonly receivedMs: number;
  readonly receivedZone: number;
  /** Octets of the body's own object; 0 if the body is in the note. */
  readonly objectLength: number;
}

const FORMAT = 1;

export function encodeDelivered(mail: Delivered): Uint8Array {
  return encode([
    FORMAT,
    mail.bodyId,
    mail.key,
    mail.size,
    mail.receivedMs,
    mail.receivedZone,
    mail.sentMs,
    mail.sentZone,
    mail.ids,
    mail.summary,
    mail.header,
    mail.objectLength,
  ]);
}

/** Throws RangeError on anything that {@link encodeDelivered} does not make. */
export function decodeDelivered(bytes: Uint8Array): Delivered {
  const fields = Fields.decode(bytes);
  if (fields.integer() !== FORMAT) throw new RangeError("note of an unknown format");
  const mail = {
    bodyId: fields.bytes(16),
    key: fields.bytes(32),
    size: fields.integer(),
    receivedMs: fields.number(),
    receivedZone: fields.number(),
    sentMs: fields.number(),
    sentZone: fields.number(),
    ids: fields.bytes(),
    summary: fields.bytes(),
    header: fields.bytes(),
    objectLength: fields.integer(),
  };
  fields.end();
  return mail;
}
