import type { Fields } from "../../bay/fields.ts";

/** Where a body's sealed bytes lie when its op is applied; a checkpoint may move it into a pack. */
export type BodyPlace =
  /** `attachment`: which of the op's attachments, from 0. */
  | { readonly in: "entry"; readonly attachment: number }
  | { readonly in: "note"; readonly name: string; readonly offset: number; readonly length: number }
  | { readonly in: "object"; readonly length: number };

/** An email as the op that adds it carries it: what never changes of it. */
export interface NewEmail {
  /** 16 random bytes: the email's id and its body's. */
  readonly id: Uint8Array;
  /** The body's own key. */
  readonly key: Uint8Array;
  /** RFC822.SIZE in octets. */
  readonly size: number;
  readonly place: BodyPlace;
  /** INTERNALDATE: milliseconds since 1970 and the zone it is shown in, minutes east of UTC. */
  readonly receivedMs: number;
  readonly receivedZone: number;
  /** The Date field, as `receivedMs`; that of reception if there is none: RFC 5256 §2.2. */
  readonly sentMs: number;
  readonly sentZone: number;
  /** 8 bytes, shared by the emails of one conversation. */
  readonly thread: Uint8Array;
  /** Hashes, 8 bytes each, of its Message-ID and of those it refers to. */
  readonly ids: Uint8Array;
  /** A hash, 8 bytes, of its base subject (RFC 5256 §2.1); none if an older release wrote the op. */
  readonly subject: Uint8Array;
  /** An encoded `Summary`: opaque to the state. */
  readonly summary: Uint8Array;
  /** Its header block's frame (`header.ts`). */
  readonly header: Uint8Array;
}

/** CBOR fields of an email. */
export function encodeEmail(email: NewEmail): unknown[] {
  const { place } = email;
  return [
    email.id,
    email.key,
    email.size,
    place.in === "entry"
      ? [0, place.attachment]
      : place.in === "note"
        ? [1, place.name, place.offset, place.length]
        : [2, place.length],
    email.receivedMs,
    email.receivedZone,
    email.sentMs,
    email.sentZone,
    email.thread,
    email.ids,
    email.subject,
    email.summary,
    email.header,
  ];
}

/** Reads what {@link encodeEmail} made. Throws RangeError. */
export function readEmail(fields: Fields): NewEmail {
  return {
    ...readBeginning(fields),
    subject: fields.bytes(),
    summary: fields.bytes(),
    header: fields.bytes(),
  };
}

/** An email of the ops `append` and `take-in` as the first releases wrote them, with its flags. Throws RangeError. */
export function readFirstEmail(fields: Fields): { readonly email: NewEmail; readonly flags: readonly string[] } {
  const beginning = readBeginning(fields);
  const email = { ...beginning, subject: new Uint8Array(0), summary: fields.bytes(), header: fields.bytes() };
  return { email, flags: fields.texts() };
}

function readBeginning(fields: Fields): Omit<NewEmail, "subject" | "summary" | "header"> {
  return {
    id: fields.bytes(16),
    key: fields.bytes(32),
    size: fields.integer(),
    place: readPlace(fields.nested()),
    receivedMs: fields.number(),
    receivedZone: fields.number(),
    sentMs: fields.number(),
    sentZone: fields.number(),
    thread: fields.bytes(8),
    ids: fields.bytes(),
  };
}

function readPlace(fields: Fields): BodyPlace {
  const where = fields.integer();
  const place: BodyPlace | undefined =
    where === 0
      ? { in: "entry", attachment: fields.integer() }
      : where === 1
        ? { in: "note", name: fields.text(), offset: fields.integer(), length: fields.integer() }
        : where === 2
          ? { in: "object", length: fields.integer() }
          : undefined;
  if (!place) throw new RangeError("body in an unknown place");
  fields.end();
  return place;
}
