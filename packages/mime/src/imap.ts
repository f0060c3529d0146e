import { type Address, formatAddress as addressText, type Mailbox, parseAddresses } from "./addresses.ts";
import { binaryText, decodeRaw } from "./binary.ts";
import { domainInAscii } from "./domains.ts";
import { headerInAscii } from "./encoded-words.ts";
import { findHeader, type HeaderField } from "./headers.ts";
import { STRING_BYTES_MAX } from "./limits.ts";
import type { Parameter, Parameterized } from "./parameters.ts";
import type { Part } from "./scanner.ts";

/**
 * ENVELOPE, BODY and BODYSTRUCTURE as RFC 9051 §7.5.2 and §9 write them, in ASCII: what a message holds of raw 8-bit
 * leaves as encoded-words (RFC 2047), since a session without UTF8=ACCEPT may get nothing else. ENVELOPE can be had in UTF-8 too,
 * one character an octet: RFC 6855 §3.
 */
export function formatEnvelope(fields: readonly HeaderField[], charset: Charset = "ascii"): string {
  const from = addressList(fields, "from", charset);
  const list = (name: string): string => addressList(fields, name, charset);
  const orFrom = (value: string): string => (value === "NIL" ? from : value);
  const text = (name: string): string => nstring(findHeader(fields, name), charset);
  const parts = [
    text("date"),
    text("subject"),
    from,
    orFrom(list("sender")),
    orFrom(list("reply-to")),
    list("to"),
    list("cc"),
    list("bcc"),
    text("in-reply-to"),
    text("message-id"),
  ];
  return `(${parts.join(" ")})`;
}

/** Characters that quoted strings may have. */
type Charset = "ascii" | "utf8";

function addressList(fields: readonly HeaderField[], name: string, charset: Charset): string {
  const values: string[] = [];
  for (const { key, value } of fields) if (key === name) values.push(value);
  const value = values.join(",");
  const addresses = parseAddresses(value);
  return addresses.length === 0 ? "NIL" : `(${addresses.map((address) => formatAddress(address, charset)).join("")})`;
}

function formatAddress(address: Address, charset: Charset): string {
  if (address.kind === "mailbox") return formatMailbox(address, charset);
  const members = address.members.map((member) => formatMailbox(member, charset)).join("");
  return `(NIL NIL ${string(address.name, charset)} NIL)${members}(NIL NIL NIL NIL)`;
}

/** An address without a domain or a local part: NIL would mean a group's start or end, RFC 9051 §7.5.2. Clients know these
 * words. */
const MISSING_DOMAIN = "MISSING_DOMAIN";
const MISSING_MAILBOX = "MISSING_MAILBOX";
/** Stands for an address that can't be said in ASCII; its text becomes the name of an address that has none: RFC 6855 §7, RFC
 * 6858 §2. */
const UNSAYABLE = ["invalid", "internationalized-address.invalid"] as const;

function formatMailbox(mailbox: Mailbox, charset: Charset): string {
  const { name, route, local } = mailbox;
  if (charset === "utf8") {
    const [shown, by] = [nstring(name, charset), nstring(route, charset)];
    const [at, of] = [local || MISSING_MAILBOX, mailbox.domain || MISSING_DOMAIN];
    return `(${shown} ${by} ${string(at, charset)} ${string(of, charset)})`;
  }
  const domain = domainInAscii(mailbox.domain);
  if (!isAscii(local) || !isAscii(domain)) {
    const shown = name ?? binaryOf(addressText(mailbox));
    return `(${nstring(shown)} NIL ${UNSAYABLE.map((word) => string(word)).join(" ")})`;
  }
  return `(${nstring(name)} ${nstring(route)} ${string(local || MISSING_MAILBOX)} ${string(domain || MISSING_DOMAIN)})`;
}

function binaryOf(text: string): string {
  return binaryText(new TextEncoder().encode(text));
}

/** A quoted string. Line ends and NUL, which it can't hold, become spaces or go. */
function string(text: string, charset: Charset = "ascii"): string {
  const raw = text.slice(0, STRING_BYTES_MAX);
  const clean = raw.includes("\0") || /[\r\n]/.test(raw) ? raw.replace(/\0/g, "").replace(/[\r\n]+/g, " ") : raw;
  const ascii = isAscii(clean) ? clean : charset === "utf8" ? binaryOf(decodeRaw(clean)) : headerInAscii(clean);
  return `"${ascii.slice(0, STRING_BYTES_MAX).replace(/["\\]/g, "\\$&")}"`;
}

function nstring(text: string | undefined, charset: Charset = "ascii"): string {
  return text === undefined ? "NIL" : string(text, charset);
}

function isAscii(text: string): boolean {
  return /^[\x00-\x7e]*$/.test(text);
}

export function formatBodyStructure(root: Part): string {
  return whole(bodyStructureSteps(root));
}

/** The same part by part, for a caller that lets others have their turn between two: a mail may have many. */
export function bodyStructureSteps(root: Part): Generator<undefined, string> {
  return formatPart(root, true);
}

export function formatBody(root: Part): string {
  return whole(formatPart(root, false));
}

function whole(steps: Generator<undefined, string>): string {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

function* formatPart(part: Part, extended: boolean): Generator<undefined, string> {
  yield;
  if (part.kind === "multipart") {
    let children = "";
    for (const child of part.children) children += yield* formatPart(child, extended);
    const more = extended ? ` ${parameters(part.parameters)} ${common(part)}` : "";
    return `(${children} ${string(part.subtype)}${more})`;
  }
  const fields = [
    string(part.type),
    string(part.subtype),
    parameters(withCharset(part)),
    nstring(part.id),
    nstring(part.description),
    string(part.encoding),
    String(part.bodyEnd - part.bodyStart),
  ];
  const [child] = part.children;
  if (part.kind === "message" && child)
    fields.push(formatEnvelope(child.envelope), yield* formatPart(child, extended), String(part.lines));
  else if (part.type === "text") fields.push(String(part.lines));
  if (extended) fields.push(nstring(part.md5), common(part));
  return `(${fields.join(" ")})`;
}

/** RFC 2045 §5.2: text of no said charset is US-ASCII. */
function withCharset(part: Part): readonly Parameter[] {
  if (part.type !== "text" || part.parameters.some(({ name }) => name === "charset" || name.startsWith("charset*")))
    return part.parameters;
  return [...part.parameters, { name: "charset", value: "us-ascii" }];
}

function common(part: Part): string {
  return `${disposition(part.disposition)} ${language(part.language)} ${nstring(part.location)}`;
}

function disposition(value: Parameterized | undefined): string {
  return value ? `(${string(value.value)} ${parameters(value.parameters)})` : "NIL";
}

function language(value: string | undefined): string {
  const tags = (value ?? "").split(",").map((tag) => tag.trim());
  const named = tags.filter((tag) => tag !== "");
  return named.length === 0 ? "NIL" : `(${named.map((tag) => string(tag)).join(" ")})`;
}

function parameters(list: readonly Parameter[]): string {
  if (list.length === 0) return "NIL";
  return `(${joinContinuations(list)
    .map(({ name, value }) => `${string(name)} ${string(value)}`)
    .join(" ")})`;
}

/** `name*0`, `name*1`, … as one parameter, `name*` if any piece has a charset: RFC 2231 §6 leaves joining them to IMAP
 * servers. */
function joinContinuations(list: readonly Parameter[]): readonly Parameter[] {
  const pieces = list.flatMap(({ name, value }) => {
    const match = /^(.+)\*(\d{1,3})(\*?)$/.exec(name);
    return match ? [{ base: match[1]!, number: Number(match[2]), encoded: match[3] !== "", value }] : [];
  });
  if (pieces.length === 0) return list;
  const joined = [...Map.groupBy(pieces, ({ base }) => base)].flatMap(([base, unsorted]) => {
    // A piece behind a gap belongs to no parameter. Of two pieces with one number that without a charset comes first, as in
    // `decodeParameter`.
    const sorted = unsorted.sort((a, b) => a.number - b.number || Number(a.encoded) - Number(b.encoded));
    const distinct = sorted.filter(({ number }, at) => number !== sorted[at - 1]?.number);
    const own = distinct.filter(({ number }, at) => number === at);
    if (own.length === 0) return [];
    const encoded = own.some((piece) => piece.encoded);
    const value = own.map((piece) => (encoded && !piece.encoded ? escapePercent(piece.value) : piece.value)).join("");
    return [{ name: encoded ? `${base}*` : base, value }];
  });
  return [...list.filter(({ name }) => !/^.+\*\d{1,3}\*?$/.test(name)), ...joined];
}

function escapePercent(text: string): string {
  return text.replace(
    /[^A-Za-z0-9!#$&+\-.^_`{|}~]/g,
    (char) => `%${(char.charCodeAt(0) & 0xff).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
