import { hexBytes, hexText } from "../bay/entry.ts";
import type { MailboxId } from "../mail/ops/names.ts";

/**
 * One spelling of ids for all protocols: EMAILID, THREADID and MAILBOXID of RFC 8474 are JMAP's ids. A letter, and lower-case
 * hex; in ids of mailboxes and parts "-" stands for ".", which is in neither protocol's alphabet (RFC 8474 §7, RFC 8620
 * §1.2). Reading gives undefined for what is no id: a client may ask for anything.
 */
const EMAIL = /^m[0-9a-f]{32}$/;
const BLOB = /^b([0-9a-f]{32})(?:-([1-9]\d{0,5}(?:-[1-9]\d{0,5})*))?$/;
const THREAD = /^t[0-9a-f]{16}$/;
const MAILBOX = /^p([0-9a-f]{16}-(?:0|[1-9]\d{0,15})-(?:0|[1-9]\d{0,15}))$/;
/** Characters of the longest id that is looked at: RFC 8620 §1.2. */
const ID_CHARS_MAX = 255;

/** `id`: 16 bytes. */
export function formatEmailId(id: Uint8Array): string {
  return `m${hexText(id)}`;
}

export function parseEmailId(text: string): Uint8Array | undefined {
  return EMAIL.test(text) ? hexBytes(text.slice(1)) : undefined;
}

/** An email's octets, or those of one of its parts (`path` as IMAP numbers it, `1.2`). */
export function formatBlobId(email: Uint8Array, path?: string): string {
  const blob = `b${hexText(email)}`;
  return path === undefined ? blob : `${blob}-${path.replaceAll(".", "-")}`;
}

export function parseBlobId(text: string): { readonly email: Uint8Array; readonly path?: string } | undefined {
  const [, email, path] = (text.length <= ID_CHARS_MAX && BLOB.exec(text)) || [];
  if (email === undefined) return undefined;
  const id = hexBytes(email);
  return path === undefined ? { email: id } : { email: id, path: path.replaceAll("-", ".") };
}

/** `thread`: 8 bytes. */
export function formatThreadId(thread: Uint8Array): string {
  return `t${hexText(thread)}`;
}

export function parseThreadId(text: string): Uint8Array | undefined {
  return THREAD.test(text) ? hexBytes(text.slice(1)) : undefined;
}

export function formatMailboxId(id: MailboxId): string {
  return `p${id.replaceAll(".", "-")}`;
}

export function parseMailboxId(text: string): MailboxId | undefined {
  const [, name] = MAILBOX.exec(text) ?? [];
  return name?.replaceAll("-", ".") as MailboxId | undefined;
}
