import type { Random } from "./fuzz-kit.ts";
import {
  type Content,
  type NewField,
  type NewMailbox,
  type NewMessage,
  type NewPart,
  OctetLook,
  type PartFields,
} from "./index.ts";

/** Random messages to be written, and what a reader has to find in them. Everything in it is JSON. */
export interface RandomMessage {
  readonly message: NewMessage;
  readonly utf8: boolean;
  readonly eightBit: boolean;
  readonly expected: Expected;
}

export interface Expected {
  /** Texts by field: of one line, as they are meant. */
  readonly texts: Readonly<Record<string, string>>;
  /** Names and addresses by field, a group's members too. */
  readonly addresses: Readonly<Record<string, readonly (readonly [name: string, address: string])[]>>;
  readonly ids: Readonly<Record<string, readonly string[]>>;
  readonly dateMs: number;
  /** All parts that are no multipart, from front to back. */
  readonly parts: readonly ExpectedPart[];
}

export interface ExpectedPart {
  readonly type: string;
  readonly fileName: string | null;
  readonly id: string | null;
  /** Octets as one character each; of a text with CRLF. */
  readonly content: string;
  readonly kind: "text" | "file" | "message";
}

/** Pieces of strings: characters that readers and writers stumble over, and pieces that together become something else. */
const STUFF: readonly string[] = [
  ...["a", "Z", "word", "two words", " ", "  ", "\t", "\r\n", "\r", "\n", "\0", "\x7f", "\x1b", "\v"],
  ...["é", "ü", "ß", "日本", "中", "🙂", "👩‍👩‍👧", "e\u0301", "\u2028", "\u00a0", "\ud800", "\udc00", "\ufeff", "\x85"],
  ...['"', "\\", "<", ">", "(", ")", "@", ",", ";", ":", "[", "]", ".", "..", "=", "?", "=?", "?=", "_", "*", "'", "%"],
  ...["=?utf-8?q?=0D=0ABcc:_v@example.test?=", "=?utf-8?b?DQpCY2M6IHZAZXhhbXBsZS50ZXN0?=", "=0D=0A", "%0D%0A"],
  ...[
    "\r\nBcc: v@example.test",
    "\r\n\r\nbody",
    "\r\n--=_",
    "--=_",
    "--=__",
    "\r\n.",
    "\r\nFrom me",
    "From ",
    ">",
    "> ",
  ],
  ...["x".repeat(80), "é".repeat(60), `${"long ".repeat(40)}`, "-- ", "\r\n-- \r\n"],
];
const TYPES = ["image/png", "application/pdf", "text/csv", "text/plain", "application/x-thing", "TEXT/HTML"];
const SUBTYPES = ["mixed", "alternative", "related", "digest", "x-own"];

export function randomText(random: Random, piecesMax: number): string {
  let text = "";
  for (let count = random.next(piecesMax + 1); count > 0; count--) text += random.pick(STUFF);
  return text;
}

/** As a reader has it: control characters are spaces, and no byte order mark is there. */
function told(text: string): string {
  return text
    .toWellFormed()
    .replaceAll("\ufeff", "")
    .replace(/[\x00-\x1f\x7f]+/g, " ");
}

export function randomMessage(random: Random): RandomMessage {
  const utf8 = random.next(3) === 0;
  const eightBit = random.next(3) === 0;
  const texts: Record<string, string> = {};
  const addresses: Record<string, (readonly [string, string])[]> = {};
  const ids: Record<string, string[]> = {};
  const headers: NewField[] = [];
  const add = (field: NewField): void => void headers.push(field);
  for (const name of ["Subject", "Comments", "X-Own"]) {
    if (random.next(3) === 0) continue;
    const value = randomText(random, 8);
    add({ name, form: random.next(6) === 0 && name === "X-Own" ? "raw" : "text", value });
    if (headers.at(-1)!.form === "text") texts[name] = told(value);
  }
  for (const name of ["From", "To", "Cc", "Reply-To"]) {
    if (random.next(3) === 0) continue;
    const count = 1 + random.next(name === "From" ? 1 : 4);
    const mailboxes = Array.from({ length: count }, () => randomMailbox(random, utf8));
    if (random.next(4) === 0) {
      const group = [
        { name: randomText(random, 3) || "g", addresses: [...mailboxes] },
        { name: "Empty", addresses: [] },
        { name: undefined, addresses: [{ email: "last@example.test" }] },
      ];
      if (told(group[0]!.name!).trim() === "") group[0]!.name = "g";
      add({ name, form: "groupedAddresses", value: group });
      mailboxes.push({ email: "last@example.test" });
    } else add({ name, form: "addresses", value: mailboxes });
    addresses[name] = mailboxes.map((mailbox) => [told(mailbox.name ?? "").trim(), unquoted(mailbox.email)] as const);
  }
  for (const name of ["Message-ID", "References", "In-Reply-To"]) {
    if (random.next(2) === 0) continue;
    const count = name === "References" ? 1 + random.next(20) : 1;
    const value = Array.from({ length: count }, () => `${"i".repeat(1 + random.next(60))}.${random.next(1e6)}@x.test`);
    add({ name, form: "messageIds", value });
    ids[name] = value;
  }
  if (random.next(2) === 0) add({ name: "List-Post", form: "urls", value: ["mailto:a@b.test", randomText(random, 3)] });
  const dateMs = 1000 * random.next(2 ** 31);
  add({ name: "Date", form: "date", value: { timeMs: dateMs, zoneMinutes: random.next(1440) - 720 } });
  const parts: ExpectedPart[] = [];
  const body = randomPart(random, parts, 0);
  return { message: { headers, body }, utf8, eightBit, expected: { texts, addresses, ids, dateMs, parts } };
}

/** An address whose local part is told without its quotes. */
function unquoted(email: string): string {
  return email.startsWith('"') ? email.replace(/\\(.)|"/g, "$1") : email;
}

function randomMailbox(random: Random, utf8: boolean): NewMailbox {
  const locals = ["a", "first.last", '"a b"', '"q\\"x"', "x+y", "a/b=c", ...(utf8 ? ["用户", "é.x"] : [])];
  const domains = ["example.test", "x.example", "[192.0.2.1]"];
  const email = `${random.pick(locals)}@${random.pick(domains)}`;
  return random.next(4) === 0 ? { email } : { name: randomText(random, 4), email };
}

function randomPart(random: Random, parts: ExpectedPart[], depth: number): NewPart {
  const kind = random.next(depth < 3 ? 6 : 4);
  if (kind >= 4 || (depth === 0 && random.next(2) === 0)) {
    const count = 1 + random.next(4);
    const subtype = random.pick(SUBTYPES);
    const inner: NewPart[] = [];
    for (let i = 0; i < count; i++) inner.push(randomPart(random, parts, depth + 1));
    return { kind: "multipart", subtype, parts: inner };
  }
  const fields = randomFields(random);
  const told = { fileName: fields.fileName ?? null, id: fields.id ?? null };
  if (kind === 3 && depth > 0) {
    const content = binary(randomOriginal(random));
    parts.push({ ...told, type: "message/rfc822", kind: "message", content: text(content) });
    return { kind: "message", content: maybeStreamed(random, content), ...fields };
  }
  if (kind === 2) {
    const type = random.pick(TYPES);
    const content = randomOctets(random);
    parts.push({ ...told, type: type.toLowerCase(), kind: "file", content: text(content) });
    return { kind: "file", type, content: maybeStreamed(random, content), ...fields };
  }
  const source = randomText(random, 30);
  const subtype = random.pick(["plain", "html"]);
  const lines = source.toWellFormed().replace(/\r\n|\r|\n/g, "\r\n");
  const isOpen = depth === 0 && !lines.endsWith("\r\n");
  const content = text(new TextEncoder().encode(isOpen ? `${lines}\r\n` : lines));
  parts.push({ ...told, type: `text/${subtype}`, kind: "text", content });
  return { kind: "text", subtype, text: source, ...fields };
}

function randomFields(random: Random): PartFields & { fileName?: string; id?: string } {
  const fields: { disposition?: string; fileName?: string; id?: string; description?: string; language?: string[] } =
    {};
  if (random.next(3) === 0) fields.disposition = random.pick(["attachment", "inline"]);
  if (random.next(2) === 0)
    fields.fileName = (told(randomText(random, 5)).trim() || "file").slice(0, 300).toWellFormed();
  if (random.next(3) === 0) fields.id = `c${random.next(1e6)}@x.test`;
  if (random.next(4) === 0) fields.description = randomText(random, 6);
  if (random.next(4) === 0) fields.language = ["en", "de-AT"];
  return fields;
}

/** A message that may travel as it is: lines of its own, also such as our boundaries begin with. */
function randomOriginal(random: Random): string {
  const lines = [
    "Subject: original",
    "DKIM-Signature: v=1;",
    "\tb=abc",
    "",
    "--=_x",
    `--=${"_".repeat(random.next(6))}x`,
    ".",
  ];
  for (let count = random.next(6); count > 0; count--)
    lines.push(random.pick(["From me", "", "text ", "--", "\xc3\xa9", "x".repeat(990)]));
  return lines.join("\r\n") + (random.next(2) === 0 ? "\r\n" : "");
}

function randomOctets(random: Random): Uint8Array {
  const bytes = new Uint8Array(random.pick([0, 1, 2, 3, 56, 57, 58, 114, random.next(3000)]));
  const isText = random.next(2) === 0;
  for (let at = 0; at < bytes.length; at++)
    bytes[at] = isText ? random.pick([0x61, 0x20, 0x0d, 0x0a, 0x3d, 0xc3]) : random.next(256);
  return bytes;
}

/** A stream in pieces, of which is known what is to be known. */
function maybeStreamed(random: Random, bytes: Uint8Array): Content {
  if (random.next(2) === 0) return bytes;
  const octets = new OctetLook();
  octets.push(bytes);
  const size = 1 + random.next(100);
  return {
    length: bytes.length,
    facts: octets.facts(),
    *read() {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    },
  };
}

function binary(source: string): Uint8Array {
  return Uint8Array.from(source, (char) => char.charCodeAt(0));
}

function text(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += String.fromCharCode(byte);
  return out;
}
