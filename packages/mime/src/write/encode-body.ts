import { base64, base64Length, encodeBase64 } from "./base64.ts";
import { type Content, factsOf, type OctetFacts } from "./content.ts";
import { READABLE } from "./folded-line.ts";
import { quotedPrintable } from "./quoted-printable.ts";

/** Underscores of a body at most: a boundary has one more, and stands on a line as it is. */
export const UNDERSCORES_MAX = 20;
/** Octets of a line that stays as it is where it could be broken: RFC 5322 §2.1.1. */
const SHORT_LINE_BYTES_MAX = 78;

/** A body as it travels. */
export interface EncodedBody {
  readonly encoding: "7bit" | "8bit" | "quoted-printable" | "base64";
  readonly length: number;
  readonly content: Uint8Array | (() => AsyncIterable<Uint8Array> | Iterable<Uint8Array>);
  /** As {@link OctetFacts.underscores} says of the body. */
  readonly underscores: number;
}

export interface EncodeOptions {
  /** True for text: it may stay readable. */
  readonly isText: boolean;
  /** 8bit may be chosen where it is not forced. */
  readonly eightBit: boolean;
  /** No delimiter follows, whose line end could be the body's. */
  readonly isWhole: boolean;
}

/** Chooses by content: as it is, else quoted-printable, or base64 where that is much shorter. Streams can't be looked through. */
export function encodeBody(content: Content, options: EncodeOptions): EncodedBody {
  if (!(content instanceof Uint8Array)) {
    const { length } = content;
    return {
      encoding: "base64",
      length: base64Length(length),
      content: () => encodeBase64(sized(content)),
      underscores: 0,
    };
  }
  if (!options.isText) return atHand("base64", base64(content));
  const facts = factsOf(content)!;
  const endsLine = content.length === 0 || (content.at(-1) === LF && content.at(-2) === CR);
  if (mayStay(facts) && (endsLine || !options.isWhole)) {
    const isShort = facts.longestLine <= SHORT_LINE_BYTES_MAX && !hasFromLine(content);
    if (!facts.eightBit && isShort) return { ...atHand("7bit", content), underscores: facts.underscores };
    if (facts.eightBit && options.eightBit) return { ...atHand("8bit", content), underscores: facts.underscores };
  }
  const readable = quotedPrintable(content);
  if (readable.length > READABLE * base64Length(content.length)) return atHand("base64", base64(content));
  return atHand("quoted-printable", endsLine || !options.isWhole ? readable : withSoftEnd(readable));
}

/** Octets that travel as they are; undefined where they can't. Throws RangeError where nothing is known of a stream. */
export function keepBody(content: Content): EncodedBody | undefined {
  const facts = factsOf(content);
  if (!facts) throw new RangeError("a stream that can't be encoded, of which nothing is known");
  if (!mayStay(facts)) return undefined;
  return {
    encoding: facts.eightBit ? "8bit" : "7bit",
    length: content.length,
    content: content instanceof Uint8Array ? content : () => sized(content),
    underscores: facts.underscores,
  };
}

function mayStay({ isLines, underscores }: OctetFacts): boolean {
  return isLines && underscores <= UNDERSCORES_MAX;
}

function atHand(encoding: EncodedBody["encoding"], content: Uint8Array): EncodedBody {
  return { encoding, length: content.length, content, underscores: 0 };
}

const CR = 0x0d;
const LF = 0x0a;

/** A last line's end that is none of the content's: RFC 2045 §6.7 rule 5. */
function withSoftEnd(body: Uint8Array): Uint8Array {
  const ended = new Uint8Array(body.length + 3);
  ended.set(body);
  ended.set([0x3d, CR, LF], body.length);
  return ended;
}

/** Programs on the way may change a line that begins with "From ": RFC 4155. */
function hasFromLine(bytes: Uint8Array): boolean {
  for (let at = 0; at >= 0 && at < bytes.length; ) {
    if (
      bytes[at] === 0x46 &&
      bytes[at + 1] === 0x72 &&
      bytes[at + 2] === 0x6f &&
      bytes[at + 3] === 0x6d &&
      bytes[at + 4] === 0x20
    )
      return true;
    const end = bytes.indexOf(LF, at);
    at = end < 0 ? -1 : end + 1;
  }
  return false;
}

/** The stream, which has to be as long as it said: the length of the message is told already. */
async function* sized(content: Exclude<Content, Uint8Array>): AsyncGenerator<Uint8Array> {
  let left = content.length;
  for await (const piece of content.read()) {
    left -= piece.length;
    if (left < 0) break;
    yield piece;
  }
  if (left !== 0) throw new RangeError("a stream is not as long as it said");
}
