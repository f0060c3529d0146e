import { HeaderBlock as Block, type HeaderBlock, parseHeaders, writeField } from "@restante/mime";
import { hexText } from "../../bay/entry.ts";
import { utf8 } from "../../crypto/index.ts";
import type { Body } from "../../mail/contents/contents.ts";

/** Octets of a header block: what is longer is no mail that anybody takes. */
export const HEADER_BYTES_MAX: number = 1024 * 1024;
const LF = 0x0a;
const CR = 0x0d;

/** A message as it goes out. */
export interface Outgoing {
  readonly header: HeaderBlock;
  /** Its header has octets above 127. */
  readonly needsUtf8: boolean;
  read(): AsyncIterable<Uint8Array>;
}

export interface OutgoingTools {
  readonly now: () => number;
  readonly random: (octets: number) => Uint8Array;
  /** The domain of a Message-ID that is made. */
  readonly domain: string;
}

/**
 * A message with its Bcc fields cut out (RFC 5322 §3.6.3), and with Date and Message-ID before it where they are missing. No
 * other octet is touched, so that signatures hold. Undefined where no header ends in {@link HEADER_BYTES_MAX}.
 */
export async function outgoing(message: Body, { now, random, domain }: OutgoingTools): Promise<Outgoing | undefined> {
  const bytes = await beginningOf(message);
  const end = endOfHeader(bytes);
  if (end === undefined && bytes.length < message.size) return undefined;
  const block = bytes.subarray(0, end ?? bytes.length);
  const fields = parseHeaders(block);
  const has = (name: string): boolean => fields.some(({ key }) => key === name);
  let before = "";
  const style = { utf8: false, eightBit: false };
  if (!has("date"))
    before += writeField({ name: "Date", form: "date", value: { timeMs: now(), zoneMinutes: 0 } }, style);
  if (!has("message-id"))
    before += writeField(
      { name: "Message-ID", form: "messageIds", value: [`${hexText(random(16))}@${domain}`] },
      style,
    );
  const kept = withoutSpans(
    block,
    fields.filter(({ key }) => BCC.has(key)),
  );
  return {
    header: new Block(block),
    needsUtf8: block.some((octet) => octet > 127),
    async *read() {
      if (before !== "") yield utf8(before);
      yield* kept;
      // A message of a header alone has no line that ends it.
      if (end === undefined) yield Uint8Array.of(CR, LF);
      yield* message.read(block.length, message.size);
    },
  };
}

const BCC: ReadonlySet<string> = new Set(["bcc", "resent-bcc"]);

/** A message's header, and perhaps more. */
export async function beginningOf(message: Body): Promise<Uint8Array> {
  const size = Math.min(message.size, HEADER_BYTES_MAX);
  const bytes = new Uint8Array(size);
  let at = 0;
  let looked = 0;
  for await (const piece of message.read(0, size)) {
    bytes.set(piece, at);
    at += piece.length;
    if (endOfHeader(bytes.subarray(looked, at)) !== undefined) break;
    looked = Math.max(0, at - 4);
  }
  return bytes.subarray(0, at);
}

/** Behind the empty line that ends it. */
function endOfHeader(bytes: Uint8Array): number | undefined {
  if (bytes[0] === LF) return 1;
  if (bytes[0] === CR && bytes[1] === LF) return 2;
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    const next = bytes[at + 1] === CR ? at + 2 : at + 1;
    if (bytes[next] === LF) return next + 1;
  }
  return undefined;
}

function withoutSpans(
  block: Uint8Array,
  spans: readonly { readonly start: number; readonly end: number }[],
): Uint8Array[] {
  const kept: Uint8Array[] = [];
  let at = 0;
  for (const { start, end } of spans) {
    if (start > at) kept.push(block.subarray(at, start));
    at = end;
  }
  if (at < block.length) kept.push(block.subarray(at));
  return kept;
}
