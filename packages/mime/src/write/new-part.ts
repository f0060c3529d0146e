import type { Content } from "./content.ts";
import type { NewField } from "./write-field.ts";

/** A part to be written, and what is in it. Names, ids and texts are Unicode; no octet of them can become another field. */
export type NewPart = NewText | NewFile | NewMessagePart | NewMultipart | NewVerbatim;

export interface PartFields {
  /** `inline`, `attachment`, or another token: RFC 2183. */
  readonly disposition?: string | undefined;
  readonly fileName?: string | undefined;
  /** Content-ID, without its angle brackets: RFC 2045 §7. */
  readonly id?: string | undefined;
  readonly description?: string | undefined;
  /** Tags of RFC 5646. */
  readonly language?: readonly string[] | undefined;
  readonly location?: string | undefined;
  /** Parameters of Content-Type, such as `method` of a text/calendar. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  /** Further fields: none of those that this writer makes. */
  readonly headers?: readonly NewField[] | undefined;
}

/** Text, in UTF-8. Any line ends become CRLF. */
export interface NewText extends PartFields {
  readonly kind: "text";
  /** `plain`, if it is left out. */
  readonly subtype?: string | undefined;
  readonly text: string;
  /** Each line is a paragraph, and is broken as format=flowed: RFC 3676. */
  readonly flowed?: boolean | undefined;
  /** Its last line is ended by nothing, even where it is the message's. */
  readonly isExact?: boolean | undefined;
}

/** Octets that come back as they are. Its type is no multipart and no message. */
export interface NewFile extends PartFields {
  readonly kind: "file";
  /** As `image/png`. */
  readonly type: string;
  readonly content: Content;
}

/** A message, octet by octet, never encoded (RFC 2046 §5.2.1): signatures in it stay whole. A stream tells its facts
 * (`look`). Content that can't travel so, since it is not in lines of a bounded length, becomes a file of type
 * application/octet-stream. */
export interface NewMessagePart extends PartFields {
  readonly kind: "message";
  /** `rfc822`, if it is left out; `delivery-status` and the like too. */
  readonly subtype?: string | undefined;
  readonly content: Content;
}

export interface NewMultipart extends PartFields {
  readonly kind: "multipart";
  /** `mixed`, `alternative`, `related`, `report`, … */
  readonly subtype: string;
  readonly parts: readonly NewPart[];
}

/** A part of another message with its header block, octet by octet: its fields are its own. A stream tells its facts; throws
 * RangeError where it is no lines, and where it would be the whole message. */
export interface NewVerbatim {
  readonly kind: "verbatim";
  readonly content: Content;
}

/** Bodies and files as most mails have them. */
export interface Bodies {
  readonly text?: NewPart | undefined;
  readonly html?: NewPart | undefined;
  /** Parts that the HTML shows, by their Content-ID. */
  readonly related?: readonly NewPart[] | undefined;
  readonly attachments?: readonly NewPart[] | undefined;
}

/** One part of them all: mixed (alternative (text, related (HTML, …)), …), as far as there is something of each. */
export function arrange({ text, html, related = [], attachments = [] }: Bodies): NewPart {
  const shown = html && related.length > 0 ? multipart("related", [html, ...related]) : html;
  const bodies = [text, shown].filter((part) => part !== undefined);
  const loose = html ? attachments : [...related, ...attachments];
  const body: NewPart =
    bodies.length > 1 ? multipart("alternative", bodies) : (bodies[0] ?? { kind: "text", text: "" });
  if (loose.length === 0) return body;
  return multipart("mixed", bodies.length === 0 ? loose : [body, ...loose]);
}

function multipart(subtype: string, parts: readonly NewPart[]): NewMultipart {
  return { kind: "multipart", subtype, parts };
}

/** A text's lines as a quote in an answer: RFC 3676 §4.5. */
export function quote(text: string): string {
  const lines = text.replace(/\r\n|\r/g, "\n").split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line) => `${line.startsWith(">") ? ">" : "> "}${line}`).join("\n");
}
