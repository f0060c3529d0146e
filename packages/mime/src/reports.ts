import { decodeRaw } from "./binary.ts";
import { stripComments } from "./fields.ts";
import { findHeader, type HeaderField, parseHeaders } from "./headers.ts";
import type { Part } from "./scanner.ts";

/** The status of one recipient's copy: RFC 3464 §2.3. */
export interface DeliveryStatus {
  /** As it was first addressed, and at last. */
  readonly originalRecipient: string | undefined;
  readonly finalRecipient: string | undefined;
  /** `failed`, `delayed`, `delivered`, `relayed`, `expanded`, or another word; in lower case. */
  readonly action: string;
  /** The reply of the last server, if it spoke SMTP: Diagnostic-Code, RFC 3464 §2.3.6. */
  readonly reply: string | undefined;
}

/** The fields of a message/delivery-status: RFC 3464 §2. */
export interface DeliveryReport {
  /** The envelope's id: RFC 3461 §4.4. */
  readonly envelopeId: string | undefined;
  readonly recipients: readonly DeliveryStatus[];
}

/** The disposition of a message: RFC 8098 §3.2.6. All in lower case. */
export interface Disposition {
  readonly actionMode: string;
  readonly sendingMode: string;
  readonly type: string;
}

/** The fields of a message/disposition-notification: RFC 8098 §3.1. */
export interface DispositionReport {
  readonly reportingUa: string | undefined;
  readonly gateway: string | undefined;
  readonly originalRecipient: string | undefined;
  readonly finalRecipient: string | undefined;
  /** Without its angle brackets. */
  readonly originalMessageId: string | undefined;
  readonly disposition: Disposition;
  readonly errors: readonly string[];
  /** Other fields, by the names as they are written. */
  readonly extensions: readonly (readonly [name: string, value: string])[];
}

/** Groups of fields of one report. */
const GROUPS_MAX = 1_000;

export type ReportKind = "delivery" | "disposition";

/** True for the Content-Type of a report of either kind: RFC 6522 §3. */
export function isReport(contentType: string): boolean {
  return /^multipart\/report\b/i.test(contentType);
}

/** The part of a report that programs read: RFC 6522 §3. Undefined in what is none. */
export function reportPart(root: Part): { readonly kind: ReportKind; readonly part: Part } | undefined {
  if (root.type !== "multipart" || root.subtype !== "report") return undefined;
  for (const part of root.children) {
    if (part.type !== "message") continue;
    if (/^(?:global-)?delivery-status$/.test(part.subtype)) return { kind: "delivery", part };
    if (/^(?:global-)?disposition-notification$/.test(part.subtype)) return { kind: "disposition", part };
  }
  return undefined;
}

/** The content of a message/delivery-status. Undefined for what has no recipient. */
export function parseDeliveryReport(bytes: Uint8Array): DeliveryReport | undefined {
  const [ofMessage, ...groups] = groupsOf(bytes);
  if (!ofMessage) return undefined;
  const recipients = groups.flatMap((fields): DeliveryStatus[] => {
    const action = textOf(fields, "action");
    if (action === undefined) return [];
    const diagnostic = textOf(fields, "diagnostic-code");
    const { type, value: reply } = typed(diagnostic ?? "");
    return [
      {
        originalRecipient: recipientOf(textOf(fields, "original-recipient")),
        finalRecipient: recipientOf(textOf(fields, "final-recipient")),
        action: stripComments(action).trim().toLowerCase(),
        reply: type === "smtp" && reply !== "" ? reply : undefined,
      },
    ];
  });
  if (recipients.length === 0) return undefined;
  const envelopeId = textOf(ofMessage, "original-envelope-id");
  return { envelopeId: envelopeId === undefined ? undefined : stripComments(envelopeId).trim(), recipients };
}

const DISPOSITION = /^\s*([\w-]+)\s*\/\s*([\w-]+)\s*;\s*([\w-]+)/;
const KNOWN: ReadonlySet<string> = new Set([
  ...[
    "reporting-ua",
    "mdn-gateway",
    "original-recipient",
    "final-recipient",
    "original-message-id",
    "disposition",
    "error",
  ],
]);

/** The content of a message/disposition-notification. Undefined for what has no Disposition. */
export function parseDispositionReport(bytes: Uint8Array): DispositionReport | undefined {
  const [fields] = groupsOf(bytes);
  if (!fields) return undefined;
  const said = stripComments(textOf(fields, "disposition") ?? "");
  const [, actionMode, sendingMode, type] = DISPOSITION.exec(said) ?? [];
  if (actionMode === undefined || sendingMode === undefined || type === undefined) return undefined;
  const [, messageId] = /<([^<>]+)>/.exec(textOf(fields, "original-message-id") ?? "") ?? [];
  return {
    reportingUa: textOf(fields, "reporting-ua"),
    gateway: textOf(fields, "mdn-gateway"),
    originalRecipient: recipientOf(textOf(fields, "original-recipient")),
    finalRecipient: recipientOf(textOf(fields, "final-recipient")),
    originalMessageId: messageId?.trim(),
    disposition: {
      actionMode: actionMode.toLowerCase(),
      sendingMode: sendingMode.toLowerCase(),
      type: type.toLowerCase(),
    },
    errors: fields.filter(({ key }) => key === "error").map(({ value }) => unicode(value)),
    extensions: fields.filter(({ key }) => !KNOWN.has(key)).map(({ name, value }) => [name, unicode(value)] as const),
  };
}

/** Groups of fields with empty lines between them. */
function groupsOf(bytes: Uint8Array): HeaderField[][] {
  const groups: HeaderField[][] = [];
  let start = 0;
  for (let at = 0; at < bytes.length && groups.length < GROUPS_MAX; ) {
    const newline = bytes.indexOf(LF, at);
    const end = newline < 0 ? bytes.length : newline + 1;
    const isEmpty = newline === at || (newline === at + 1 && bytes[at] === CR);
    if (isEmpty || end === bytes.length) {
      const fields = parseHeaders(bytes.subarray(start, end));
      if (fields.length > 0) groups.push(fields);
      start = end;
    }
    at = end;
  }
  return groups;
}

const LF = 0x0a;
const CR = 0x0d;

function textOf(fields: readonly HeaderField[], key: string): string | undefined {
  const value = findHeader(fields, key);
  return value === undefined ? undefined : unicode(value);
}

function unicode(value: string): string {
  return decodeRaw(value).trim();
}

/** `address-type; address`: RFC 3464 §2.1.2; with RFC 6533 §3's way of writing what is not ASCII. */
function recipientOf(text: string | undefined): string | undefined {
  const { type, value: address } = typed(text ?? "");
  if (address === "") return undefined;
  const plain = address.startsWith("<") && address.endsWith(">") ? address.slice(1, -1) : address;
  if (type !== "utf-8") return plain;
  return plain.replaceAll(/\\x\{([0-9a-f]{1,6})\}/gi, (whole, digits: string) => {
    const code = Number.parseInt(digits, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** `type; value`. */
function typed(text: string): { readonly type: string; readonly value: string } {
  const at = text.indexOf(";");
  return { type: text.slice(0, Math.max(0, at)).trim().toLowerCase(), value: at < 0 ? "" : text.slice(at + 1).trim() };
}
