import { fileName, type PartNode } from "@restante/mime";
import type { Element } from "wbxml";
import { group, leaf } from "../protocol/elements.ts";
import { formatFileReference } from "../protocol/ids.ts";
import { clean } from "./addresses.ts";
import type { MessageTexts } from "./texts.ts";

const NORMAL = 1;
const EMBEDDED_MESSAGE = 5;

/** The Attachments of a mail; undefined where it has none. MS-ASAIRS §2.2.2.3. */
export function attachmentsElement(email: Uint8Array, texts: MessageTexts): Element | undefined {
  const files = texts.files();
  if (files.length === 0) return undefined;
  return group("AirSyncBase:Attachments", ...files.map((file, at) => attachmentElement(email, file, at, texts.isHtml)));
}

function attachmentElement(email: Uint8Array, node: PartNode, at: number, isHtml: boolean): Element {
  const { part } = node;
  const id = contentId(part.id);
  const isInline = isHtml && id !== undefined && part.disposition?.value !== "attachment";
  return group(
    "AirSyncBase:Attachment",
    leaf("AirSyncBase:DisplayName", shownName(node, at)),
    leaf("AirSyncBase:FileReference", formatFileReference(email, node.path!)),
    leaf("AirSyncBase:Method", isMessage(node) ? EMBEDDED_MESSAGE : NORMAL),
    leaf("AirSyncBase:EstimatedDataSize", part.octets),
    id === undefined ? undefined : leaf("AirSyncBase:ContentId", id),
    part.location === undefined ? undefined : leaf("AirSyncBase:ContentLocation", clean(part.location)),
    isInline ? leaf("AirSyncBase:IsInline", 1) : undefined,
  );
}

/** A name for a file that has none, with an ending that its type has; an attached mail's ends in `.eml`, or phones can't open
 * it. */
function shownName(node: PartNode, at: number): string {
  const { part } = node;
  const name = clean((fileName(part) ?? "").replace(/[/\\]/g, "_"));
  if (isMessage(node)) return /\.eml$/i.test(name) ? name : `${name || `message-${at + 1}`}.eml`;
  if (name !== "") return name;
  if (/pkcs7-mime$/.test(part.subtype)) return "smime.p7m";
  return `attachment-${at + 1}.${ENDINGS[`${part.type}/${part.subtype}`] ?? plainEnding(part.subtype)}`;
}

const ENDINGS: Readonly<Record<string, string>> = {
  "text/plain": "txt",
  "text/calendar": "ics",
  "image/jpeg": "jpg",
  "image/svg+xml": "svg",
  "application/octet-stream": "bin",
  "application/msword": "doc",
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
  "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
  "application/gzip": "gz",
  "audio/mpeg": "mp3",
  "video/quicktime": "mov",
};

function plainEnding(subtype: string): string {
  return /^[a-z0-9]{1,5}$/.test(subtype) ? subtype : "bin";
}

function isMessage({ part }: PartNode): boolean {
  return part.type === "message" && part.subtype === "rfc822";
}

/** Without its angle brackets. */
export function contentId(id: string | undefined): string | undefined {
  const text = clean((id ?? "").replace(/^\s*<|>\s*$/g, ""));
  return text === "" ? undefined : text;
}
