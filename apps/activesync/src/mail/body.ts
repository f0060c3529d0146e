import { previewOf } from "@restante/engine";
import { cutText } from "@restante/mime";
import type { Element } from "wbxml";
import { BODY_BYTES_MAX, MIME_BYTES_MAX } from "../limits.ts";
import { group, leaf, opaque } from "../protocol/elements.ts";
import type { Version } from "../protocol/version.ts";
import { type BodyOptions, type BodyPreference, type BodyType, HTML, MIME, PLAIN } from "../sync/options.ts";
import { isSmime } from "./message-class.ts";
import { type MessageTexts, PAGE_END } from "./texts.ts";

/** Where nothing is said of bodies: plain text in a Sync, as Exchange has it. */
const DEFAULT: BodyPreference = { type: PLAIN, bytesMax: undefined, allOrNone: false, preview: 0 };

export interface Bodies {
  readonly body: Element;
  readonly bodyPart: Element | undefined;
  readonly native: BodyType;
}

/** A body in the form that is wanted: MS-ASAIRS §2.2.2.9, §3.2.5. Errors: `unavailable`, `corrupt`; HtmlTrouble. */
export async function bodiesOf(texts: MessageTexts, options: BodyOptions, version: Version): Promise<Bodies> {
  const native = texts.isHtml ? HTML : PLAIN;
  let body: Element | undefined;
  for (const wanted of choices(texts, options, native)) {
    const made = await bodyOf(texts, wanted, options, version);
    body ??= made.element;
    // A preference of all or none that can't be met gives way to the next. If none can, the first tells its length.
    if (!made.isThere) continue;
    body = made.element;
    break;
  }
  const part = options.bodyPart && version >= 14.1 ? await partOf(texts, options.bodyPart) : undefined;
  return { body: body!, bodyPart: part, native };
}

/** The preferences that can be met, the best first. RTF is none of ours. */
function choices(
  texts: MessageTexts,
  { bodies, mimeSupport, isNativeDefault }: BodyOptions,
  native: BodyType,
): BodyPreference[] {
  const of = (type: BodyType): BodyPreference | undefined => bodies.find((one) => one.type === type);
  const mime = mimeSupport === 2 || (mimeSupport === 1 && isSmime(texts.root.part)) ? of(MIME) : undefined;
  const other = native === HTML ? PLAIN : HTML;
  const found = [mime, of(native), of(other)].filter((one) => one !== undefined);
  if (found.length > 0) return found;
  return [{ ...DEFAULT, type: isNativeDefault ? native : PLAIN, preview: bodies[0]?.preview ?? 0 }];
}

interface Made {
  readonly element: Element;
  readonly isThere: boolean;
}

async function bodyOf(
  texts: MessageTexts,
  wanted: BodyPreference,
  options: BodyOptions,
  version: Version,
): Promise<Made> {
  const preview = version >= 14 && wanted.preview > 0 ? previewElement(texts, wanted.preview) : undefined;
  const { data, size, isCut } =
    wanted.type === MIME ? await mimeData(texts, wanted, options) : await textData(texts, wanted);
  const isThere = data !== undefined || size === 0;
  const element = group(
    "AirSyncBase:Body",
    leaf("AirSyncBase:Type", wanted.type),
    leaf("AirSyncBase:EstimatedDataSize", size),
    isCut || !isThere ? leaf("AirSyncBase:Truncated", 1) : undefined,
    data,
    preview,
  );
  return { element, isThere };
}

function previewElement(texts: MessageTexts, chars: number): Element {
  return leaf("AirSyncBase:Preview", Array.from(previewOf(texts.summary)).slice(0, chars).join(""));
}

interface Data {
  /** Undefined: none of it. */
  readonly data: Element | undefined;
  readonly size: number;
  readonly isCut: boolean;
}

async function textData(texts: MessageTexts, { type, bytesMax, allOrNone }: BodyPreference): Promise<Data> {
  const room = Math.min(bytesMax ?? BODY_BYTES_MAX, BODY_BYTES_MAX);
  const { text, isWhole, bytes } = type === HTML ? await texts.html(room) : await texts.plain(room);
  const cut = shortened(text, room, type === HTML);
  const isCut = !isWhole || cut.length < text.length;
  const size = isCut ? Math.max(bytes, Buffer.byteLength(cut)) : Buffer.byteLength(text);
  if (room === 0 || (isCut && allOrNone)) return { data: undefined, size, isCut: size > 0 };
  return { data: leaf("AirSyncBase:Data", cut), size, isCut };
}

/** A text's beginning; a page that is cut is closed, where there is room for that. */
function shortened(text: string, bytesMax: number, isHtml: boolean): string {
  if (Buffer.byteLength(text) <= bytesMax) return text;
  const hasEnd = isHtml && bytesMax > PAGE_END.length * 4;
  return cutText(text, hasEnd ? bytesMax - PAGE_END.length : bytesMax, isHtml) + (hasEnd ? PAGE_END : "");
}

async function mimeData(
  texts: MessageTexts,
  { bytesMax, allOrNone }: BodyPreference,
  { mimeBytesMax }: BodyOptions,
): Promise<Data> {
  const body = await texts.body();
  const room = Math.min(bytesMax ?? MIME_BYTES_MAX, mimeBytesMax ?? MIME_BYTES_MAX, MIME_BYTES_MAX);
  const isCut = body.size > room;
  if (room === 0 || (isCut && allOrNone)) return { data: undefined, size: body.size, isCut };
  const pieces: Uint8Array[] = [];
  for await (const piece of body.read(0, Math.min(room, body.size))) pieces.push(piece.slice());
  const bytes = Buffer.concat(pieces);
  return { data: mimeElement(isCut ? wholeCharacters(bytes) : bytes), size: body.size, isCut };
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text that an inline string can hold goes as that, which all clients read; other octets as they are. */
function mimeElement(bytes: Uint8Array): Element {
  try {
    if (!bytes.includes(0)) return leaf("AirSyncBase:Data", UTF8.decode(bytes));
  } catch {
    // Octets that are no UTF-8.
  }
  return opaque("AirSyncBase:Data", bytes);
}

/** Without the octets of a character that is cut: RFC 3629 §3. */
function wholeCharacters(bytes: Uint8Array): Uint8Array {
  let first = bytes.length - 1;
  while (first > 0 && bytes.length - first < 4 && (bytes[first]! & 0xc0) === 0x80) first--;
  const octet = bytes[first] ?? 0;
  const length = octet >= 0xf0 ? 4 : octet >= 0xe0 ? 3 : octet >= 0xc0 ? 2 : 1;
  return first + length > bytes.length ? bytes.subarray(0, first) : bytes;
}

/** The part of a message that is new in its conversation, without the quoted rest: MS-ASCON §2.2.2.1. */
async function partOf(texts: MessageTexts, { bytesMax, allOrNone, preview }: BodyPreference): Promise<Element> {
  const room = Math.min(bytesMax ?? BODY_BYTES_MAX, BODY_BYTES_MAX);
  const { text, isWhole, bytes } = await texts.html(room);
  const own = withoutQuote(text);
  const cut = shortened(own, room, true);
  const isCut = !isWhole || cut.length < own.length;
  const hasData = room > 0 && !(isCut && allOrNone);
  return group(
    "AirSyncBase:BodyPart",
    leaf("AirSyncBase:Status", 1),
    leaf("AirSyncBase:Type", HTML),
    leaf("AirSyncBase:EstimatedDataSize", isWhole ? Buffer.byteLength(own) : bytes),
    isCut ? leaf("AirSyncBase:Truncated", 1) : undefined,
    hasData ? leaf("AirSyncBase:Data", cut) : undefined,
    preview > 0 ? previewElement(texts, preview) : undefined,
  );
}

/** Where mail programs begin what they quote at the end of an answer. A `<` ends each look: a style sheet may be full
 * of tags that nobody closes. */
const QUOTE =
  /<blockquote[^<>]*type="?cite|<div[^<>]*class="?gmail_quote|<div[^<>]*id="?(?:appendonsend|divRplyFwdMsg)/i;

/** When unsure, all of it. */
export function withoutQuote(html: string): string {
  const at = QUOTE.exec(html)?.index ?? -1;
  return at <= 0 ? html : html.slice(0, at) + PAGE_END;
}
