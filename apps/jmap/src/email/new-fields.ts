import { type NewDate, type NewField, type NewGroup, type NewMailbox, writeField } from "@restante/mime";
import { isObject } from "../core/types.ts";
import { CONVENIENCE, type HeaderProperty, parseHeaderProperty } from "./header-property.ts";
import { NEW_HEADER_CHARS_MAX } from "./limits.ts";

/** Header fields that a new email or part is to have, from its properties: RFC 8621 §4.1.3, §4.6. */

/** Paths of properties with a wrong value: `invalidProperties` of RFC 8620 §5.3. */
export class Mistakes {
  readonly #paths = new Set<string>();

  add(path: string): void {
    // As many as anyone reads, and as much of each.
    if (this.#paths.size < MISTAKES_MAX) this.#paths.add(path.slice(0, PATH_CHARS_MAX));
  }

  get paths(): readonly string[] {
    return [...this.#paths];
  }
}

/** Characters that a new email may still have in header fields. */
export class HeaderRoom {
  #left = NEW_HEADER_CHARS_MAX;

  /** Takes the field's characters. False if there is no room for them. */
  take(field: NewField): boolean {
    return this.takeText(charsOf(field));
  }

  takeText(chars: number): boolean {
    this.#left -= chars;
    return this.#left >= 0;
  }
}

/** Characters of a field, whatever is written between them. */
function charsOf(field: NewField): number {
  const chars = field.name.length + 2;
  switch (field.form) {
    case "raw":
    case "text":
      return chars + field.value.length;
    case "date":
      return chars;
    case "messageIds":
    case "urls":
      return field.value.reduce((sum, text) => sum + text.length, chars);
    case "addresses":
      return field.value.reduce((sum, mailbox) => sum + charsOfMailbox(mailbox), chars);
    case "groupedAddresses":
      return field.value.reduce(
        (sum, { name = "", addresses }) =>
          addresses.reduce((inner, mailbox) => inner + charsOfMailbox(mailbox), sum + name.length),
        chars,
      );
  }
}

function charsOfMailbox({ name = "", email }: NewMailbox): number {
  return name.length + email.length + 2;
}

const MISTAKES_MAX = 100;
/** More than the deepest part's path has. */
const PATH_CHARS_MAX = 2000;

/** One property's fields: none where it is null, or a list of nothing. */
export interface FieldsOfProperty {
  readonly property: HeaderProperty;
  readonly fields: readonly NewField[];
}

/** The property as one that stands for header fields; undefined for any other. `ofEmail`: names such as `from` are some. */
export function headerPropertyOf(key: string, ofEmail: boolean): HeaderProperty | undefined {
  return (ofEmail ? CONVENIENCE.get(key) : undefined) ?? parseHeaderProperty(key);
}

/** Reads a property's value; undefined if it is none of its form, or no field can say it. */
export function newFieldsOf(property: HeaderProperty, value: unknown, room: HeaderRoom): FieldsOfProperty | undefined {
  const values = property.isAll ? value : [value];
  if (!Array.isArray(values) || values.length > FIELDS_MAX || (values.length > 1 && ONCE.has(property.field)))
    return undefined;
  const fields: NewField[] = [];
  for (const one of values) {
    const read = READERS[property.form](one);
    const field = read && ({ name: property.name, ...read } as NewField);
    if (!field || !room.take(field) || !mayStand(field, true)) return undefined;
    fields.push(field);
  }
  return { property, fields };
}

/** Fields of one name that a new email may have. */
const FIELDS_MAX = 1000;
/** Fields that an email has once at most: RFC 5322 §3.6. */
const ONCE: ReadonlySet<string> = new Set(Array.from(CONVENIENCE.values(), ({ field }) => field));

/** True if some field's value needs UTF-8 and may have it: RFC 6532. */
export function needUtf8(fields: readonly NewField[]): boolean {
  return fields.some((field) => apart(field).some((one) => !mayStand(one, false, false) && mayStand(one, true, false)));
}

/** A field of each of its addresses that are not ASCII: one that is none hides no other. */
function apart(field: NewField): NewField[] {
  if (field.form !== "addresses" && field.form !== "groupedAddresses") return [field];
  const mailboxes = field.form === "addresses" ? field.value : field.value.flatMap(({ addresses }) => addresses);
  return mailboxes
    .filter(({ email }) => /[^\x00-\x7f]/.test(email))
    .map((mailbox) => ({ name: field.name, form: "addresses", value: [mailbox] }));
}

function mayStand(field: NewField, utf8: boolean, draft = true): boolean {
  try {
    writeField(field, { utf8, draft });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

type Read = { readonly form: NewField["form"]; readonly value: unknown } | undefined;

const READERS: Readonly<Record<HeaderProperty["form"], (value: unknown) => Read>> = {
  // A colon and a space: RFC 5322 §2.2 has no need of it, and programs have.
  Raw: (value) =>
    typeof value === "string" ? { form: "raw", value: /^[ \t\r\n]/.test(value) ? value : ` ${value}` } : undefined,
  Text: (value) => (typeof value === "string" ? { form: "text", value } : undefined),
  Addresses: (value) => readList("addresses", value, mailboxOf),
  GroupedAddresses: (value) => readList("groupedAddresses", value, groupOf),
  MessageIds: (value) => readList("messageIds", value, textOf),
  Date: (value) => {
    const date = parseJmapDate(value);
    return date && { form: "date", value: date };
  },
  URLs: (value) => readList("urls", value, textOf),
};

/** Entries of one list. */
const LIST_MAX = 5000;

function readList<T>(form: NewField["form"], value: unknown, read: (one: unknown) => T | undefined): Read {
  const list = listOf(value, read);
  return list && { form, value: list };
}

function listOf<T>(value: unknown, read: (one: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(value) || value.length > LIST_MAX) return undefined;
  const list: T[] = [];
  for (const one of value) {
    const item = read(one);
    if (item === undefined) return undefined;
    list.push(item);
  }
  return list;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** EmailAddress: RFC 8621 §4.1.2.3. */
function mailboxOf(value: unknown): NewMailbox | undefined {
  if (!isObject(value) || typeof value.email !== "string") return undefined;
  const { name = null, email } = value;
  if (name === null) return { email };
  return typeof name === "string" ? { name, email } : undefined;
}

/** EmailAddressGroup: RFC 8621 §4.1.2.4. */
function groupOf(value: unknown): NewGroup | undefined {
  if (!isObject(value)) return undefined;
  const { name = null } = value;
  const addresses = listOf(value.addresses, mailboxOf);
  if (!addresses || !(name === null || typeof name === "string")) return undefined;
  return { name: name ?? undefined, addresses };
}

const DATE = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))$/;

/** Date and UTCDate of RFC 8620 §1.4; undefined for what is none, or a day that no calendar has. */
export function parseJmapDate(value: unknown, isUtc = false): NewDate | undefined {
  const [, local, fraction = "", sign, hours = "0", minutes = "0"] =
    (typeof value === "string" && DATE.exec(value)) || [];
  if (local === undefined || (isUtc && sign !== undefined)) return undefined;
  const timeMs = Date.parse(`${local}Z`);
  if (!Number.isFinite(timeMs) || new Date(timeMs).toISOString().slice(0, 19) !== local) return undefined;
  if (Number(hours) > 23 || Number(minutes) > 59) return undefined;
  const zoneMinutes = (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) || 0;
  return { timeMs: timeMs + Number(fraction.padEnd(3, "0").slice(0, 3)) - zoneMinutes * 60_000, zoneMinutes };
}
