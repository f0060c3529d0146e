import {
  type Address,
  binaryBytes,
  composed,
  decodeUnstructured,
  decodeWords,
  type HeaderBlock,
  type Mailbox,
  type MailDate,
  parseAddresses,
  parseDate,
  parseMessageIds,
  parseUrls,
} from "@restante/mime";
import { CONVENIENCE, type HeaderForm, type HeaderProperty } from "./header-property.ts";
import { jsonText } from "./text.ts";

/** RFC 8621 §4.1.2.3. */
export interface EmailAddress {
  readonly name: string | null;
  readonly email: string;
}

/** RFC 8621 §4.1.2.4. */
export interface EmailAddressGroup {
  readonly name: string | null;
  readonly addresses: readonly EmailAddress[];
}

/** A field as it is told in one of its forms; null where there is none, or where the form can't be read of it. */
export type HeaderValue = string | null | readonly string[] | readonly EmailAddress[] | readonly EmailAddressGroup[];

/** RFC 8621 §4.1.2.1, EmailHeader. */
export interface EmailHeader {
  readonly name: string;
  readonly value: string;
}

/** The value of a header property: from the last field of its name, or from all of them in order (RFC 8621 §4.1.3). */
export function headerValue(header: HeaderBlock, property: HeaderProperty): HeaderValue | HeaderValue[] {
  const { field, form, isAll } = property;
  if (isAll) return header.rawValues(field).map((raw) => FORMS[form](raw));
  if (CONVENIENCE.get(property.key) === property) return listValue(header, property);
  const raw = header.lastRawValue(field);
  return raw === undefined ? null : FORMS[form](raw);
}

/** Values that lists of emails ask for again and again, kept as long as their header is. */
const listValues = new WeakMap<HeaderBlock, Map<HeaderProperty, HeaderValue>>();

function listValue(header: HeaderBlock, property: HeaderProperty): HeaderValue {
  const known = listValues.get(header) ?? new Map<HeaderProperty, HeaderValue>();
  let value = known.get(property);
  if (value === undefined) {
    const raw = header.lastRawValue(property.field);
    value = raw === undefined ? null : FORMS[property.form](raw);
    known.set(property, value);
    listValues.set(header, known);
  }
  return value;
}

/** All fields in order, raw: RFC 8621 §4.1.3, `headers`. */
export function allHeaders(header: HeaderBlock): EmailHeader[] {
  return header.rawFields().map(({ name, value }) => ({ name: asRaw(name), value: asRaw(value) }));
}

/** By form; `raw` is binary text as it stands behind the colon. */
const FORMS: Readonly<Record<HeaderForm, (raw: string) => HeaderValue>> = {
  Raw: asRaw,
  Text: asText,
  Addresses: asAddresses,
  GroupedAddresses: asGroupedAddresses,
  MessageIds: (raw) => orNull(parseMessageIds(unfold(raw)).map(asRaw)),
  Date: asDate,
  URLs: (raw) => orNull(parseUrls(unfold(raw)).map(asRaw)),
};

const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** RFC 8621 §4.1.2.1: octets that are no UTF-8 become U+FFFD, NUL goes. */
function asRaw(raw: string): string {
  const text = raw.includes("\0") ? raw.replaceAll("\0", "") : raw;
  return /[\x80-\xff]/.test(text) ? jsonText(lenient.decode(binaryBytes(text))) : text;
}

/** RFC 8621 §4.1.2.2. */
function asText(raw: string): string {
  return jsonText(composed(decodeUnstructured(unfold(raw).replace(/^[ \t]+/, ""))));
}

/** RFC 5322 §2.2.3: line ends that white space follows go. */
function unfold(raw: string): string {
  return raw.includes("\n") ? raw.replace(/\r{0,2}\n(?=[ \t])/g, "") : raw;
}

/** RFC 8621 §4.1.2.3: mailboxes in order, those of groups too. */
function asAddresses(raw: string): EmailAddress[] {
  return parseAddresses(unfold(raw)).flatMap((address) =>
    address.kind === "group" ? address.members.map(emailAddress) : [emailAddress(address)],
  );
}

/** RFC 8621 §4.1.2.4: neighbours that are in no group are one without a name. */
function asGroupedAddresses(raw: string): EmailAddressGroup[] {
  const groups: { readonly name: string | null; readonly addresses: EmailAddress[] }[] = [];
  let isLoose = false;
  for (const address of parseAddresses(unfold(raw))) {
    if (address.kind === "group")
      groups.push({ name: displayed(address.name), addresses: address.members.map(emailAddress) });
    else if (isLoose) groups.at(-1)!.addresses.push(emailAddress(address));
    else groups.push({ name: null, addresses: [emailAddress(address)] });
    isLoose = isMailbox(address);
  }
  return groups;
}

function isMailbox(address: Address): address is Mailbox {
  return address.kind === "mailbox";
}

function emailAddress({ name, local, domain }: Mailbox): EmailAddress {
  const shown = name === undefined ? "" : displayed(name);
  return { name: shown === "" ? null : shown, email: displayed(addrSpec(local, domain)) };
}

/** Encoded-words are read wherever they stand: many programs put them into quotes. */
function displayed(text: string): string {
  return jsonText(composed(decodeWords(text).replace(CONTROLS, "")).trim());
}

const CONTROLS = /[\x00-\x1f\x7f]/g;

/** RFC 5322 §3.4.1. A local part without a domain stays as it is. */
function addrSpec(local: string, domain: string): string {
  if (domain === "") return local;
  return `${NEEDS_QUOTES.test(local) ? `"${local.replace(/["\\]/g, "\\$&")}"` : local}@${domain}`;
}

const NEEDS_QUOTES = /[\x00-\x20"(),:;<>@[\\\]\x7f]/;

/** RFC 8621 §4.1.2.6, in the zone that it was written in. */
function asDate(raw: string): string | null {
  const date = parseDate(unfold(raw));
  return date ? formatDate(date) : null;
}

const DAY_MINUTES = 24 * 60;

/** RFC 8620 §1.4: `2014-10-30T14:12:00+08:00`. Null for years that it can't say. */
export function formatDate({ timeMs, zoneMinutes }: MailDate): string | null {
  const zone = Math.abs(zoneMinutes) < DAY_MINUTES ? zoneMinutes : 0;
  const local = new Date(timeMs + zone * 60_000);
  const year = local.getUTCFullYear();
  if (!(year >= 0 && year <= 9999)) return null;
  const two = (value: number): string => String(value).padStart(2, "0");
  const minutes = Math.abs(zone);
  const offset = zone === 0 ? "Z" : `${zone < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
  return `${local.toISOString().slice(0, 19)}${offset}`;
}

function orNull(list: readonly string[]): readonly string[] | null {
  return list.length === 0 ? null : list;
}
