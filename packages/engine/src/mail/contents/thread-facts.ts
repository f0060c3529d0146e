import { baseSubject, type HeaderBlock, parseMessageIds } from "@restante/mime";
import { encode } from "cborg";
import { Fields } from "../../bay/fields.ts";
import { keyedHash, utf8 } from "../../crypto/index.ts";
import { OctetReader, pushVarint } from "../octets.ts";
import { idKey } from "../state/reference-index.ts";
import { fold } from "./fold.ts";

/**
 * Facts by which messages are threaded (RFC 5256 §3): ids and base subjects, each as 8 octets of a keyed hash, whose key is
 * the account's: nobody else can write two mails that are taken for one. What a page holds of some emails follows from their
 * headers, so that it may be lost, or left out for a while.
 */
export interface ThreadFacts {
  /** {@link FACT_BYTES} each: of its own id, of its base subject, and of the ids that it refers to, oldest first. Zeros: it
   * has none. */
  readonly hashes: Uint8Array;
  readonly isReplyOrForward: boolean;
}

export const FACT_BYTES = 8;
/** References of one message, the nearest, that it is threaded by: of a longer thread the others are known from the messages
 * between. */
export const REFERENCES_MAX = 100;
/** Where the references begin among the facts of a message. */
export const FIRST_REFERENCE = 2;

export function threadFacts(header: HeaderBlock, key: Uint8Array): ThreadFacts {
  const own = parseMessageIds(header.values("message-id")[0] ?? "")[0];
  const subject = baseSubject(header.values("subject")[0] ?? "");
  const base = fold(subject.base);
  const texts = [own, base === "" ? undefined : base, ...referencesOf(header).slice(-REFERENCES_MAX)];
  const hashes = new Uint8Array(texts.length * FACT_BYTES);
  for (const [at, text] of texts.entries())
    if (text !== undefined) hashes.set(keyedHash(key, utf8(text)).subarray(0, FACT_BYTES), at * FACT_BYTES);
  return { hashes, isReplyOrForward: subject.isReplyOrForward };
}

/** RFC 5256 §3, REFERENCES step 1: the References field, or else the first id of In-Reply-To. */
function referencesOf(header: HeaderBlock): readonly string[] {
  const listed = parseMessageIds(header.values("references")[0] ?? "");
  return listed.length > 0 ? listed : parseMessageIds(header.values("in-reply-to")[0] ?? "").slice(0, 1);
}

/** Facts of some emails. Hashes stand there once, however many emails have them, and are called by their places, from 1. */
export interface IdsPage {
  /** {@link FACT_BYTES} each. */
  readonly hashes: Uint8Array;
  /** By email: where its numbers begin; 0 if nothing is known of it. */
  readonly starts: Uint32Array;
  /** Of each email: twice its references, plus 1 if it is a reply or forward; then the places of its facts, 0 for none. */
  readonly numbers: Uint32Array;
}

const FORMAT = 1;
const NO_HASH: string = "\0".repeat(FACT_BYTES);

/** Collects a page, email by email. */
export class IdsPageWriter {
  readonly #places = new Map<string, number>([[NO_HASH, 0]]);
  /** By email; empty for one of which nothing is known. */
  readonly #numbers: (readonly number[])[];

  constructor(emails: number) {
    this.#numbers = new Array<readonly number[]>(emails).fill([]);
  }

  set(at: number, { hashes, isReplyOrForward }: ThreadFacts): void {
    const count = hashes.length / FACT_BYTES;
    const numbers = [(count - FIRST_REFERENCE) * 2 + (isReplyOrForward ? 1 : 0)];
    for (let nth = 0; nth < count; nth++) numbers.push(this.#placeOf(idKey(hashes, nth * FACT_BYTES)));
    this.#numbers[at] = numbers;
  }

  /** The same of an email of another page, if that knows it. */
  copy(at: number, page: IdsPage): void {
    const facts = factsIn(page, at);
    if (facts) this.set(at, facts);
  }

  #placeOf(key: string): number {
    const place = this.#places.get(key) ?? this.#places.size;
    this.#places.set(key, place);
    return place;
  }

  end(): Uint8Array {
    const out: number[] = [];
    for (const [head, ...places] of this.#numbers) {
      pushVarint(out, head === undefined ? 0 : head + 1);
      for (const place of places) pushVarint(out, place);
    }
    const hashes = new Uint8Array((this.#places.size - 1) * FACT_BYTES);
    for (const [key, place] of this.#places)
      for (let i = 0; i < FACT_BYTES && place > 0; i++) hashes[(place - 1) * FACT_BYTES + i] = key.charCodeAt(i);
    return encode([FORMAT, this.#numbers.length, hashes, Uint8Array.from(out)]);
  }
}

/** An email's facts, if the page knows them. */
export function factsIn({ hashes, starts, numbers }: IdsPage, at: number): ThreadFacts | undefined {
  const start = starts[at] ?? 0;
  if (start === 0) return undefined;
  const head = numbers[start]!;
  const facts = new Uint8Array(((head >> 1) + FIRST_REFERENCE) * FACT_BYTES);
  for (let nth = 0; nth * FACT_BYTES < facts.length; nth++) {
    const place = numbers[start + 1 + nth]!;
    if (place > 0) facts.set(hashes.subarray((place - 1) * FACT_BYTES, place * FACT_BYTES), nth * FACT_BYTES);
  }
  return { hashes: facts, isReplyOrForward: (head & 1) === 1 };
}

/** A page of `emailsMax` at most. Throws RangeError on anything that {@link IdsPageWriter} does not make. */
export function decodeIdsPage(page: Uint8Array, emailsMax: number): IdsPage {
  const fields = Fields.decode(page);
  if (fields.integer() !== FORMAT) throw new RangeError("ids of an unknown format");
  const [emails, hashes, bytes] = [fields.integer(), fields.bytes(), fields.bytes()];
  fields.end();
  if (emails > emailsMax || hashes.length % FACT_BYTES !== 0) throw new RangeError("ids of another form");
  const reader = new OctetReader(bytes);
  const starts = new Uint32Array(emails);
  // Each number has an octet or more.
  const numbers = new Uint32Array(bytes.length + 1);
  let end = 1;
  for (let at = 0; at < emails; at++) {
    const head = reader.varint(REFERENCES_MAX * 2 + 2);
    if (head === 0) continue;
    starts[at] = end;
    numbers[end++] = head - 1;
    for (let left = ((head - 1) >> 1) + FIRST_REFERENCE; left > 0; left--)
      numbers[end++] = reader.varint(hashes.length / FACT_BYTES);
  }
  reader.end();
  return { hashes, starts, numbers: numbers.subarray(0, end) };
}
