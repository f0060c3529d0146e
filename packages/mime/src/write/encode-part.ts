import { type EncodedBody, encodeBody, keepBody } from "./encode-body.ts";
import { flow } from "./flow.ts";
import type { HeaderStyle } from "./folded-line.ts";
import type { NewFile, NewMessagePart, NewMultipart, NewPart, NewText } from "./new-part.ts";
import { writeContentFields } from "./write-content-fields.ts";

/** A part whose body is encoded and whose fields are written, but for a multipart's boundary. */
export type EncodedPart =
  | { readonly kind: "leaf"; readonly fields: string; readonly body: EncodedBody; readonly isVerbatim?: boolean }
  | {
      readonly kind: "multipart";
      readonly parts: readonly EncodedPart[];
      readonly fields: (boundary: string) => string;
    };

export interface PartStyle extends HeaderStyle {
  readonly eightBit: boolean;
}

/** Encodes a part and what is within it. `isWhole`: the message is this part. Throws RangeError. */
export function encodePart(part: NewPart, style: PartStyle, isWhole: boolean): EncodedPart {
  switch (part.kind) {
    case "text":
      return encodeText(part, style, isWhole);
    case "file":
      return encodeFile(part, style, isWhole);
    case "message":
      return encodeMessage(part, style, isWhole);
    case "multipart":
      return encodeMultipart(part, style);
    case "verbatim": {
      const body = keepBody(part.content);
      if (!body) throw new RangeError("a part that is no lines");
      return { kind: "leaf", fields: "", body, isVerbatim: true };
    }
  }
}

/** True for a part whose Content-Transfer-Encoding is 8bit. A multipart has the encoding that its parts need; header fields
 * in UTF-8 count too: RFC 2045 §6.4. */
export function isEightBit(part: EncodedPart): boolean {
  return part.kind === "leaf" ? part.body.encoding === "8bit" : part.parts.some(holdsEightBit);
}

function holdsEightBit(part: EncodedPart): boolean {
  return isEightBit(part) || /[^\x00-\x7f]/.test(part.kind === "leaf" ? part.fields : part.fields(""));
}

/** Of all that is in a part, as {@link EncodedBody.underscores}. */
export function underscoresOf(part: EncodedPart): number {
  return part.kind === "leaf" ? part.body.underscores : Math.max(0, ...part.parts.map(underscoresOf));
}

function encodeText(part: NewText, style: PartStyle, isWhole: boolean): EncodedPart {
  if (part.flowed && (part.subtype ?? "plain") !== "plain") throw new RangeError("only plain text is flowed");
  const lines = part.text.toWellFormed().replace(/\r\n|\r|\n/g, "\r\n");
  const text = part.flowed ? flow(lines) : lines;
  const mustEnd = isWhole && !part.isExact;
  const whole = mustEnd && !text.endsWith("\r\n") ? `${text}\r\n` : text;
  const bytes = new TextEncoder().encode(whole);
  const body = encodeBody(bytes, { isText: true, eightBit: style.eightBit, isWhole: mustEnd });
  // RFC 2046 §4.1.2: the least that says it.
  const charset = bytes.length === whole.length ? "us-ascii" : "utf-8";
  const parameters = { ...part.parameters, charset, ...(part.flowed ? { format: "flowed" } : {}) };
  const type = { type: "text", subtype: part.subtype ?? "plain", parameters };
  return { kind: "leaf", fields: writeContentFields(type, body.encoding, part, style), body };
}

function encodeFile(part: NewFile, style: PartStyle, isWhole: boolean): EncodedPart {
  const slash = part.type.indexOf("/");
  if (slash < 0) throw new RangeError("not a media type");
  const [type, subtype] = [part.type.slice(0, slash), part.type.slice(slash + 1)];
  if (/^(?:multipart|message)$/i.test(type)) throw new RangeError("a type that is no file's");
  const isText = type.toLowerCase() === "text";
  const body = encodeBody(part.content, { isText, eightBit: style.eightBit, isWhole });
  const contentType = { type, subtype, parameters: part.parameters ?? {} };
  return { kind: "leaf", fields: writeContentFields(contentType, body.encoding, part, style), body };
}

function encodeMessage(part: NewMessagePart, style: PartStyle, isWhole: boolean): EncodedPart {
  const body = keepBody(part.content);
  if (body) {
    const type = { type: "message", subtype: part.subtype ?? "rfc822", parameters: part.parameters ?? {} };
    return { kind: "leaf", fields: writeContentFields(type, body.encoding, part, style), body };
  }
  const { content, fileName = "message.eml", disposition = "attachment", ...fields } = part;
  const file = { ...fields, parameters: {}, kind: "file", type: "application/octet-stream", content } as const;
  return encodeFile({ ...file, fileName, disposition }, style, isWhole);
}

function encodeMultipart(part: NewMultipart, style: PartStyle): EncodedPart {
  if (part.parts.length === 0) throw new RangeError("a multipart without parts");
  const parts = part.parts.map((inner) => encodePart(inner, style, false));
  const encoding = parts.some(holdsEightBit) ? "8bit" : "7bit";
  const root = part.subtype.toLowerCase() === "related" ? { type: typeOf(part.parts[0]!) } : {};
  return {
    kind: "multipart",
    parts,
    fields(boundary) {
      const parameters = { ...root, ...part.parameters, boundary };
      return writeContentFields({ type: "multipart", subtype: part.subtype, parameters }, encoding, part, style);
    },
  };
}

/** The `type` parameter of multipart/related: the root's type. RFC 2387 §3.1. */
function typeOf(part: NewPart): string {
  switch (part.kind) {
    case "text":
      return `text/${part.subtype ?? "plain"}`;
    case "file":
      return part.type;
    case "message":
      return `message/${part.subtype ?? "rfc822"}`;
    case "multipart":
      return `multipart/${part.subtype}`;
    case "verbatim":
      return "text/html";
  }
}
