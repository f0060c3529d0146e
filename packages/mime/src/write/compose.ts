import { DEPTH_MAX, HEADER_BYTES_MAX, PART_HEADERS_BYTES_MAX, PARTS_MAX } from "../limits.ts";
import type { EncodedBody } from "./encode-body.ts";
import { type EncodedPart, encodePart, isEightBit, underscoresOf } from "./encode-part.ts";
import { type HeaderStyle, utf8Length } from "./folded-line.ts";
import type { NewPart } from "./new-part.ts";
import { formatAddrSpec } from "./write-addresses.ts";
import { type NewDate, type NewField, writeField } from "./write-field.ts";

/**
 * From a tree of parts to the octets of a message: RFC 5322, RFC 2045 to 2047, RFC 2231, RFC 3676, RFC 6532.
 *
 * All that is at hand is encoded first, so that the length is known before the first octet is given; streams are read as
 * the message is, and nothing of them is kept. Invariants: lines end with CRLF and have 998 octets at most; no octet is NUL; what is
 * not ASCII is declared; no string becomes another field or part; no boundary stands in a part.
 */
export interface NewMessage {
  /** In the order in which they are written. Date and Message-ID are made if they are missing. */
  readonly headers: readonly NewField[];
  readonly body: NewPart;
}

export interface ComposeOptions {
  /** The time that Date tells if no field does. */
  readonly now: () => NewDate;
  /** So many octets that nobody can guess. */
  readonly random: (bytes: number) => Uint8Array;
  /** The domain of a Message-ID that is made. */
  readonly domain: string;
  /** UTF-8 may stand in headers: for those who take SMTPUTF8 (RFC 6532). Else all there is encoded, or refused. */
  readonly utf8?: boolean;
  /** A text that is no address may stand in place of one: for drafts. */
  readonly draft?: boolean;
  /** Text may stay 8bit: for those who take 8BITMIME (RFC 6152). */
  readonly eightBit?: boolean;
}

export interface ComposedMessage {
  /** Octets of the whole message. */
  readonly length: number;
  /** Header blocks hold octets above 127: only SMTPUTF8 carries it. */
  readonly needsUtf8: boolean;
  /** Some part is 8bit: only 8BITMIME carries it. */
  readonly needsEightBit: boolean;
  /** The octets. A piece stands until the one after the next is asked for. May be called again. Rejects with what a content's
   * stream rejects with, and with RangeError when one is not as long as it said. */
  read(): AsyncGenerator<Uint8Array>;
}

/** Writes a message. Throws RangeError for what no message can say: each name, address and value has its rule beside it. */
export function compose(message: NewMessage, options: ComposeOptions): ComposedMessage {
  const { utf8 = false, eightBit = false, draft = false } = options;
  const style = { utf8, eightBit, draft };
  if (message.body.kind === "verbatim") throw new RangeError("a part whose fields would be the message's");
  assertBounded(message.body);
  const head = writeHead(message.headers, options, style);
  const part = encodePart(message.body, style, true);
  const writer = new Writer(underscoresOf(part), options.random);
  writer.write(part, head, 0);
  const { pieces, length } = writer.end();
  return {
    length,
    needsUtf8: writer.needsUtf8,
    needsEightBit: isEightBit(part),
    async *read() {
      for (const piece of pieces)
        if (piece instanceof Uint8Array) yield piece;
        else yield* piece();
    },
  };
}

/** More parts no reader takes, ours among them. */
function assertBounded(body: NewPart): void {
  let count = 0;
  const visit = (part: NewPart, depth: number): void => {
    if (++count >= PARTS_MAX || depth >= DEPTH_MAX) throw new RangeError("too many parts");
    if (part.kind === "multipart") for (const inner of part.parts) visit(inner, depth + 1);
  };
  visit(body, 0);
}

/** Fields that a message has once at most: RFC 5322 §3.6. */
const ONCE: ReadonlySet<string> = new Set([
  ...["date", "from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to", "references", "subject"],
]);

function writeHead(headers: readonly NewField[], options: ComposeOptions, style: HeaderStyle): string {
  const seen = new Set<string>();
  let head = "";
  for (const field of headers) {
    const key = field.name.toLowerCase();
    if (key.startsWith("content-") || key === "mime-version") throw new RangeError("a field that the writer makes");
    const text = writeField(field, style);
    if (text !== "" && seen.has(key) && ONCE.has(key)) throw new RangeError("a field that can't stand twice");
    if (text !== "") seen.add(key);
    head += text;
  }
  if (!seen.has("sender")) head += writeSender(headers, style);
  if (!seen.has("date")) head += writeField({ name: "Date", form: "date", value: options.now() }, style);
  if (!seen.has("message-id")) head += writeField(newMessageId(options), style);
  return `${head}MIME-Version: 1.0\r\n`;
}

/** Of several authors one is the sender: RFC 5322 §3.6.2. */
function writeSender(headers: readonly NewField[], style: HeaderStyle): string {
  const from = headers.find(({ name }) => name.toLowerCase() === "from");
  const authors =
    from?.form === "addresses"
      ? from.value
      : from?.form === "groupedAddresses"
        ? from.value.flatMap(({ addresses }) => addresses)
        : [];
  return authors.length > 1 ? writeField({ name: "Sender", form: "addresses", value: authors.slice(0, 1) }, style) : "";
}

function newMessageId({ random, domain }: ComposeOptions): NewField {
  const id = formatAddrSpec(`${hex(random(UNIQUE_BYTES))}@${domain}`, { utf8: false });
  return { name: "Message-ID", form: "messageIds", value: [id] };
}

/** The message as far as it is written: octets at hand, and streams, in order. */
class Writer {
  readonly #pieces: EncodedBody["content"][] = [];
  /** Fields and delimiters, until a body follows. */
  #text = "";
  #length = 0;
  #parts = 0;
  #partHeaderBytes = 0;
  needsUtf8 = false;
  /** The beginning of all boundaries of the message: RFC 2046 §5.1.1. No body has so many underscores there, and `=_` never
   * stands in base64 or quoted-printable. So no boundary stands in a part, whatever the randomness is. */
  readonly #boundary: string;

  constructor(underscores: number, random: (bytes: number) => Uint8Array) {
    this.#boundary = `=${"_".repeat(underscores + 1)}${hex(random(UNIQUE_BYTES))}`;
  }

  /** `head` is what stands before a part's own fields. */
  write(part: EncodedPart, head: string, depth: number): void {
    this.#parts++;
    if (part.kind === "leaf") {
      if (!part.isVerbatim) this.#header(head + part.fields, depth);
      this.#body(part.body);
      // Other bodies end with a line's end themselves, or are not ours to end.
      if (depth === 0 && part.body.encoding === "base64") this.#text += "\r\n";
      return;
    }
    // Numbers have one length, so that no boundary begins another.
    const boundary = this.#boundary + String(this.#parts).padStart(NUMBER_CHARS, "0");
    this.#header(head + part.fields(boundary), depth);
    for (const [index, inner] of part.parts.entries()) {
      this.#text += `${index > 0 ? "\r\n" : ""}--${boundary}\r\n`;
      this.write(inner, "", depth + 1);
    }
    this.#text += `\r\n--${boundary}--${depth === 0 ? "\r\n" : ""}`;
  }

  end(): { readonly pieces: readonly EncodedBody["content"][]; readonly length: number } {
    this.#flush();
    return { pieces: this.#pieces, length: this.#length };
  }

  /** Readers, ours among them, read so much of headers and no more. */
  #header(text: string, depth: number): void {
    const bytes = utf8Length(text);
    if (bytes > text.length) this.needsUtf8 = true;
    if (depth > 0) this.#partHeaderBytes += bytes;
    if (bytes > HEADER_BYTES_MAX || this.#partHeaderBytes > PART_HEADERS_BYTES_MAX)
      throw new RangeError("headers are too long");
    this.#text += `${text}\r\n`;
  }

  #body({ content, length }: EncodedBody): void {
    this.#flush();
    this.#pieces.push(content);
    this.#length += length;
  }

  #flush(): void {
    const bytes = new TextEncoder().encode(this.#text);
    this.#pieces.push(bytes);
    this.#length += bytes.length;
    this.#text = "";
  }
}

const UNIQUE_BYTES = 16;
const NUMBER_CHARS = 5;

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
