import { hexBytes, hexText, type MailboxId, type MembershipName } from "@restante/engine";

/**
 * How folders, items, files and conversations are named: the same for all devices, for as long as they are there. Names are
 * those of the engine, in base64url: a writer's 8 octets, then two numbers.
 */
const WRITER_BYTES = 8;
const NUMBER_BYTES_MAX = 8;
const TEXT = /^[A-Za-z0-9_-]{13,40}$/;

/** A membership's: 14 to 18 characters, mostly. */
export function formatItemId({ writer, sequence, index }: MembershipName): string {
  return Buffer.from([...hexBytes(writer), ...varint(sequence), ...varint(index)]).toString("base64url");
}

/** Undefined for none of ours: no two texts name one. */
export function parseItemId(text: string): MembershipName | undefined {
  if (!TEXT.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text || bytes.length <= WRITER_BYTES) return undefined;
  const numbers: number[] = [];
  let value = 0;
  let scale = 1;
  let used = 0;
  for (const byte of bytes.subarray(WRITER_BYTES)) {
    if (used > 0 && byte === 0) return undefined;
    value += (byte & 0x7f) * scale;
    scale *= 0x80;
    if (++used > NUMBER_BYTES_MAX || value > Number.MAX_SAFE_INTEGER) return undefined;
    if (byte >= 0x80) continue;
    numbers.push(value);
    [value, scale, used] = [0, 1, 0];
  }
  const [sequence, index, more] = numbers;
  if (sequence === undefined || index === undefined || more !== undefined || used > 0) return undefined;
  return { writer: hexText(bytes.subarray(0, WRITER_BYTES)) as MembershipName["writer"], sequence, index };
}

/** A mailbox's. */
export function formatFolderId(id: MailboxId): string {
  const [writer, sequence, index] = id.split(".") as [MembershipName["writer"], string, string];
  return formatItemId({ writer, sequence: Number(sequence), index: Number(index) });
}

export function parseFolderId(text: string): MailboxId | undefined {
  const name = parseItemId(text);
  return name && (`${name.writer}.${name.sequence}.${name.index}` as MailboxId);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 0x80)) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest % 0x80) | 0x80);
  }
}

/** A part of an email: good for as long as the email is somewhere, wherever it was moved. */
export function formatFileReference(email: Uint8Array, path: string): string {
  return `${Buffer.from(email).toString("base64url")}:${path}`;
}

export function parseFileReference(text: string): { readonly email: Uint8Array; readonly path: string } | undefined {
  const [, email, path] = /^([A-Za-z0-9_-]{22}):([1-9]\d{0,5}(?:\.[1-9]\d{0,5}){0,40})$/.exec(text) ?? [];
  return email === undefined || path === undefined ? undefined : { email: Buffer.from(email, "base64url"), path };
}

/** A thread's 8 octets, and their complement: 16, as phones have them. */
export function conversationId(thread: Uint8Array): Uint8Array {
  return Uint8Array.from([...thread, ...thread.map((octet) => octet ^ 0xff)]);
}

export function threadOfConversation(id: Uint8Array): Uint8Array | undefined {
  const thread = id.slice(0, 8);
  const isOurs = id.length === 16 && thread.every((octet, at) => id[at + 8] === (octet ^ 0xff));
  return isOurs ? thread : undefined;
}
