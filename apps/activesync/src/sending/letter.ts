import type { Body, Pace } from "@restante/engine";
import {
  arrange,
  bodyParts,
  type ComposedMessage,
  compose,
  createScanner,
  decodeText,
  HeaderBlock,
  look,
  type NewField,
  type NewPart,
  type StructuredPart,
} from "@restante/mime";
import { isSealed } from "../mail/message-class.ts";
import { htmlOfText } from "../mail/texts.ts";

/** A message that is written anew: its fields, its text in one form or both, and its files as they lie. */
export interface Letter {
  readonly fields: readonly NewField[];
  readonly text: string | undefined;
  readonly html: string | undefined;
  readonly files: readonly NewPart[];
}

/** A message as a phone brought it. */
export interface BroughtMessage {
  readonly bytes: Uint8Array;
  readonly header: HeaderBlock;
  readonly root: StructuredPart;
  /** True for a message that is signed or encrypted: no part of it may be written anew. */
  readonly isSealed: boolean;
}

const CR = 0x0d;
const LF = 0x0a;

/** Octets that are gone through at once: others come between. */
const PIECE_BYTES: number = 64 * 1024;

/** Phones end lines in any way: RFC 5322 §2.1 has one. */
export async function withLineEnds(bytes: Uint8Array, pace: Pace): Promise<Uint8Array> {
  let bare = 0;
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
    if (pace.isOver()) await pace.take();
    const end = Math.min(bytes.length, from + PIECE_BYTES);
    for (let at = from; at < end; at++) {
      const octet = bytes[at];
      if (octet === LF ? bytes[at - 1] !== CR : octet === CR && bytes[at + 1] !== LF) bare++;
    }
  }
  if (bare === 0) return bytes;
  const out = new Uint8Array(bytes.length + bare);
  let to = 0;
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
    if (pace.isOver()) await pace.take();
    const end = Math.min(bytes.length, from + PIECE_BYTES);
    for (let at = from; at < end; at++) {
      const octet = bytes[at]!;
      if (octet === LF && bytes[at - 1] !== CR) out[to++] = CR;
      out[to++] = octet;
      if (octet === CR && bytes[at + 1] !== LF) out[to++] = LF;
    }
  }
  return out;
}

/** Undefined for what is no message: nothing in it is a field of one. */
export async function readMessage(given: Uint8Array, pace: Pace): Promise<BroughtMessage | undefined> {
  const bytes = await withLineEnds(given, pace);
  const scanner = createScanner();
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    if (pace.isOver()) await pace.take();
    scanner.push(bytes.subarray(at, at + PIECE_BYTES));
  }
  const { root } = scanner.finish();
  const header = new HeaderBlock(bytes.subarray(0, root.bodyStart));
  const known = ["from", "to", "cc", "bcc", "subject", "date", "message-id", "mime-version"];
  if (known.every((field) => header.values(field).length === 0)) return undefined;
  return { bytes, header, root, isSealed: isSealed(root) };
}

export function bodyOfBytes(bytes: Uint8Array, pace: Pace): Body {
  return {
    size: bytes.length,
    async *read(start, end) {
      for (let at = start; at < end; at += PIECE_BYTES) {
        // A reader of this stream waits for nothing else.
        if (pace.isOver()) await pace.take();
        yield bytes.subarray(at, Math.min(end, at + PIECE_BYTES));
      }
    },
  };
}

/** A message as a letter. `isLeftOut` tells of its files which are not taken over. Errors: those of the body. */
export async function letterOf(
  header: HeaderBlock,
  root: StructuredPart,
  body: Body,
  pace: Pace,
  isLeftOut: (part: StructuredPart) => boolean = () => false,
): Promise<Letter> {
  const { textBody, htmlBody, attachments } = bodyParts(root);
  const textOf = async (parts: readonly StructuredPart[], subtype: string): Promise<string | undefined> => {
    const texts: string[] = [];
    for (const part of parts) {
      if (!isText(part, subtype)) continue;
      if (pace.isOver()) await pace.take();
      texts.push(decodeText(part, await collect(body.read(part.bodyStart, part.bodyEnd))));
    }
    return texts.length === 0 ? undefined : texts.join("\r\n");
  };
  const shown = new Set([...textBody, ...htmlBody].filter((part) => isText(part, "plain") || isText(part, "html")));
  const files = [...new Set([...attachments, ...textBody, ...htmlBody])].filter(
    (part) => !shown.has(part) && !isLeftOut(part),
  );
  const taken: NewPart[] = [];
  for (const file of files) taken.push(await verbatim(file, body));
  return {
    fields: fieldsOf(header),
    text: await textOf(textBody, "plain"),
    html: await textOf(htmlBody, "html"),
    files: taken,
  };
}

function isText({ type, subtype }: StructuredPart, wanted: string): boolean {
  return type === "text" && subtype === wanted;
}

/** A part with its header block, octet by octet, read when the message is. */
async function verbatim({ headerStart, bodyEnd }: StructuredPart, body: Body): Promise<NewPart> {
  const content = { length: bodyEnd - headerStart, read: () => body.read(headerStart, bodyEnd) };
  return { kind: "verbatim", content: { ...content, facts: await look(content) } };
}

/** A message's own fields, but for those that the writer makes. */
export function fieldsOf(header: HeaderBlock): NewField[] {
  return header
    .rawFields()
    .filter(({ name }) => !/^(?:content-.*|mime-version)$/i.test(name))
    .map(({ name, value }): NewField => ({ name, form: "raw", value }));
}

export interface WriteTools {
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  /** The owner's: what a made Message-ID ends with is its domain. */
  readonly address: string;
}

/** Throws RangeError for what no message can say. `draft`: what is no address may stand where one should. */
export function writeLetter({ fields, text, html, files }: Letter, tools: WriteTools, draft = false): ComposedMessage {
  const { now, random, address } = tools;
  const hasText = text !== undefined || html === undefined;
  const body = arrange({
    text: hasText ? { kind: "text", text: text ?? "" } : undefined,
    html: html === undefined ? undefined : { kind: "text", subtype: "html", text: html },
    attachments: files,
  });
  const options = {
    now: () => ({ timeMs: now(), zoneMinutes: 0 }),
    random,
    domain: address.slice(address.lastIndexOf("@") + 1),
    utf8: true,
    draft,
  };
  return compose({ headers: fields, body }, options);
}

/** HTML with more at its end, within its body. */
export function appendHtml(html: string, more: string): string {
  const end = html.search(/<\/body\s*>|<\/html\s*>/i);
  return end < 0 ? html + more : html.slice(0, end) + more + html.slice(end);
}

/** The HTML within a page's body element. */
export function innerHtml(html: string): string {
  const start = /<body[^>]*>/i.exec(html);
  const from = start ? start.index + start[0].length : 0;
  const end = html.toLowerCase().lastIndexOf("</body");
  return html.slice(from, end < from ? html.length : end);
}

export function textAsHtml(text: string): string {
  return `<div>${htmlOfText(text)}</div>`;
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece.slice());
  return all.length === 1 ? all[0]! : Buffer.concat(all);
}
