import { type Body, type Pace, partsOfSummary, type Summary } from "@restante/engine";
import {
  allNodes,
  type BodyParts,
  bodyParts,
  decodeText,
  findParameter,
  isHtml,
  nodesOf,
  type PartNode,
  type StructuredPart,
} from "@restante/mime";
import { BODY_BYTES_MAX, CALENDAR_BYTES_MAX } from "../limits.ts";
import type { HtmlThread } from "./html-thread.ts";

export interface TextTools {
  readonly pace: Pace;
  readonly html: HtmlThread;
}

/** A text of a message, or its beginning. */
export interface Text {
  readonly text: string;
  /** False if `text` is only the beginning. */
  readonly isWhole: boolean;
  /** Octets of all of it in UTF-8, about. */
  readonly bytes: number;
}

/** Octets of HTML beyond what is wanted of it that are read: its style sheets come first. */
const HTML_HEAD_BYTES: number = 256 * 1024;

/** The texts of one stored message: what its summary keeps of them comes from there, for the rest its body is opened once. */
export class MessageTexts {
  readonly summary: Summary;
  readonly #openBody: () => Promise<Body>;
  readonly #tools: TextTools;
  #body: Promise<Body> | undefined;
  #root: PartNode | undefined;
  #lists: BodyParts<StructuredPart> | undefined;

  constructor(summary: Summary, openBody: () => Promise<Body>, tools: TextTools) {
    this.summary = summary;
    this.#openBody = openBody;
    this.#tools = tools;
  }

  /** Its parts as IMAP numbers them. */
  get root(): PartNode {
    this.#root ??= nodesOf(partsOfSummary(this.summary));
    return this.#root;
  }

  get lists(): BodyParts<StructuredPart> {
    this.#lists ??= bodyParts(this.root.part);
    return this.#lists;
  }

  /** True for a message that was written as HTML. */
  get isHtml(): boolean {
    const { summary } = this;
    return summary.format === 2 ? summary.text.isHtml : isHtml(this.lists);
  }

  /** Files beside its texts, and where they are: attachments, and pictures that stand among the texts. */
  files(): PartNode[] {
    const { textBody, htmlBody, attachments } = this.lists;
    const wanted = new Set([...attachments, ...[...textBody, ...htmlBody].filter(({ type }) => type !== "text")]);
    return [...allNodes(this.root)].filter(({ part, path }) => path !== null && wanted.has(part));
  }

  /** The calendar of an invitation or an answer to one (RFC 6047 §2.4), if it brings one that is not too long. Errors:
   * `unavailable`, `corrupt`. */
  async calendar(): Promise<string | undefined> {
    const found = [...allNodes(this.root)].find(({ part }) => isCalendar(part));
    if (!found || found.part.bodyEnd - found.part.bodyStart > CALENDAR_BYTES_MAX) return undefined;
    const { part } = found;
    return decodeText(part, await this.#read(part.bodyStart, part.bodyEnd));
  }

  async body(): Promise<Body> {
    this.#body ??= this.#openBody();
    return this.#body;
  }

  /** Its text, from its true beginning: line ends and all. `bytesMax`: no more of it is wanted. Errors: `unavailable`,
   * `corrupt`. */
  async plain(bytesMax: number): Promise<Text> {
    const { summary } = this;
    if (summary.format === 2) {
      const { start, isWhole, octets } = summary.text;
      const isOnly = isWhole && this.lists.textBody.filter(isText).length <= 1;
      if (isOnly || bytesMax <= Buffer.byteLength(start)) return { text: start, isWhole: isOnly, bytes: octets };
    }
    return this.#joined(this.lists.textBody.filter(isText), bytesMax, (text, part) =>
      part.subtype === "html" ? this.#tools.html.strip(text) : text,
    );
  }

  /** The same as HTML, safe to be shown; throws HtmlTrouble where it can't be made so. */
  async html(bytesMax: number): Promise<Text> {
    const parts = this.lists.htmlBody.filter(isText);
    if (!parts.some(({ subtype }) => subtype === "html")) {
      const { text, isWhole, bytes } = await this.plain(bytesMax);
      return { text: page(htmlOfText(text)), isWhole, bytes: bytes + PAGE_BYTES };
    }
    const raw = await this.#joined(parts, bytesMax * 2 + HTML_HEAD_BYTES, (text, part) =>
      part.subtype === "html" ? text : htmlOfText(text),
    );
    const text = page(await this.#tools.html.clean(raw.text));
    return { text, isWhole: raw.isWhole, bytes: raw.isWhole ? Buffer.byteLength(text) : raw.bytes };
  }

  async #joined(
    parts: readonly StructuredPart[],
    bytesMax: number,
    convert: (text: string, part: StructuredPart) => string | Promise<string>,
  ): Promise<Text> {
    let text = "";
    let isWhole = true;
    // Tags and transfer encodings take room that the text does not.
    let left = Math.min(bytesMax * 4 + HTML_HEAD_BYTES, BODY_BYTES_MAX);
    for (const part of parts) {
      if (left <= 0) {
        isWhole = false;
        break;
      }
      const end = Math.min(part.bodyEnd, part.bodyStart + left);
      isWhole &&= end === part.bodyEnd;
      left -= end - part.bodyStart;
      const bytes = await this.#read(part.bodyStart, end);
      if (this.#tools.pace.isOver()) await this.#tools.pace.take();
      const decoded = decodeText(part, bytes);
      const own = await convert(end === part.bodyEnd ? decoded : decoded.replace(/\ufffd$/, ""), part);
      text += text === "" || text.endsWith("\n") ? own : `\r\n${own}`;
    }
    const estimate = parts.reduce((sum, { octets }) => sum + octets, 0);
    return { text, isWhole, bytes: isWhole ? Buffer.byteLength(text) : estimate };
  }

  async #read(start: number, end: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of (await this.body()).read(start, end)) pieces.push(piece.slice());
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }
}

function isCalendar({ type, subtype, parameters, disposition }: StructuredPart): boolean {
  return (
    type === "text" &&
    subtype === "calendar" &&
    disposition?.value !== "attachment" &&
    findParameter(parameters, "method") !== undefined
  );
}

function isText({ type, subtype }: StructuredPart): boolean {
  return type === "text" && (subtype === "plain" || subtype === "html");
}

/** Plain text as HTML that looks like it. */
export function htmlOfText(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replace(/ {2}/g, "&nbsp; ")
    .replace(/\r\n|\r|\n/g, "<br>\r\n");
}

const HEAD = '<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>\r\n';
const TAIL = "\r\n</body></html>\r\n";
const PAGE_BYTES: number = HEAD.length + TAIL.length;

function page(html: string): string {
  return HEAD + html + TAIL;
}

/** The end of a page that was cut. */
export const PAGE_END: string = TAIL;
