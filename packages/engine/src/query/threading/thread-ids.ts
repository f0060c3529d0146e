import { baseSubject, type HeaderBlock, parseMessageIds } from "@restante/mime";
import { keyedHash, utf8 } from "../../crypto/index.ts";
import { fold } from "../../mail/contents/fold.ts";
import { RowIndex } from "../../mail/state/row-index.ts";
import { withRoom } from "../row-chains.ts";

/** References of one message, the nearest, that it is threaded by: of a longer thread the others are known from the messages
 * between. */
const REFERENCES_MAX = 100;
/** References of all messages beyond which only the nearest of each is known: what a mailbox of strangers' headers may take. */
const REFERENCES_KEPT_MAX = 4_000_000;

/**
 * Facts by which messages are threaded: their ids, those that they refer to, and their base subjects, as numbers that are
 * equal for equal texts. Texts are told apart by 8 bytes of a keyed hash, whose key nobody outside the process has: nobody
 * can write two mails that are taken for one. 16 bytes a message, 4 a reference, 16 a text.
 */
export class ThreadIds {
  readonly #key: Uint8Array;
  readonly #referencesMax: number;
  /** By a text's number, from 1. */
  #hashes: Uint32Array = new Uint32Array(64);
  #texts = 0;
  readonly #byHash = new RowIndex((text) => this.#hashes[text * 2]!);
  /** By message: where what is known of it begins; 0 if nothing is. */
  #starts: Uint32Array = new Uint32Array(64);
  /** Of each message: the number of references, its own id, its base subject, whether that is a reply's, the references. */
  #facts: Uint32Array = new Uint32Array(64);
  #end = 1;
  #references = 0;

  constructor(key: Uint8Array, referencesMax: number = REFERENCES_KEPT_MAX) {
    this.#key = key;
    this.#referencesMax = referencesMax;
  }

  /** Numbers of texts go from 1 to this one. */
  get texts(): number {
    return this.#texts;
  }

  has(message: number): boolean {
    return (this.#starts[message] ?? 0) > 0;
  }

  add(message: number, header: HeaderBlock): void {
    const own = parseMessageIds(header.values("message-id")[0] ?? "")[0];
    const subject = baseSubject(header.values("subject")[0] ?? "");
    const references = this.#nearest(referencesOf(header));
    const base = fold(subject.base);
    const facts = [
      references.length,
      own === undefined ? 0 : this.#numberOf(own),
      base === "" ? 0 : this.#numberOf(base),
      subject.isReplyOrForward ? 1 : 0,
      ...references.map((id) => this.#numberOf(id)),
    ];
    this.#facts = withRoom(this.#facts, this.#end + facts.length);
    this.#facts.set(facts, this.#end);
    this.#starts = withRoom(this.#starts, message);
    this.#starts[message] = this.#end;
    this.#end += facts.length;
    this.#references += references.length;
  }

  /** The number of its own id; 0 if it has none. */
  ownOf(message: number): number {
    return this.#facts[this.#starts[message]! + 1]!;
  }

  /** The number of its base subject (RFC 5256 §2.1), in any case; 0 if it is empty. */
  subjectOf(message: number): number {
    return this.#facts[this.#starts[message]! + 2]!;
  }

  isReplyOrForward(message: number): boolean {
    return this.#facts[this.#starts[message]! + 3] === 1;
  }

  /** The numbers of the ids that it refers to, oldest first. */
  referencesOf(message: number): Uint32Array {
    const start = this.#starts[message]!;
    return this.#facts.subarray(start + 4, start + 4 + this.#facts[start]!);
  }

  #nearest(references: readonly string[]): readonly string[] {
    return references.slice(this.#references < this.#referencesMax ? -REFERENCES_MAX : -1);
  }

  #numberOf(text: string): number {
    const { buffer, byteOffset } = keyedHash(this.#key, utf8(text));
    const [high, low] = new Uint32Array(buffer.slice(byteOffset, byteOffset + 8)) as unknown as [number, number];
    const known = this.#byHash.find(high, (one) => this.#hashes[one * 2] === high && this.#hashes[one * 2 + 1] === low);
    if (known !== undefined) return known;
    const number = ++this.#texts;
    this.#hashes = withRoom(this.#hashes, number * 2 + 1);
    this.#hashes[number * 2] = high;
    this.#hashes[number * 2 + 1] = low;
    this.#byHash.add(number);
    return number;
  }
}

/** RFC 5256 §3, REFERENCES step 1: the References field, or else the first id of In-Reply-To. */
function referencesOf(header: HeaderBlock): readonly string[] {
  const listed = parseMessageIds(header.values("references")[0] ?? "");
  return listed.length > 0 ? listed : parseMessageIds(header.values("in-reply-to")[0] ?? "").slice(0, 1);
}
