import { hexBytes } from "../../bay/entry.ts";
import type { Fields } from "../../bay/fields.ts";
import { NOWHERE, type Position } from "../../bay/position.ts";
import { concat, utf8 } from "../../crypto/index.ts";
import { folderOf } from "../../storage/object-kinds.ts";
import { type Plain, readModSeq } from "../numbers.ts";
import { decodeColumns, encodeColumns } from "./column-codec.ts";
import type { ValuePage } from "./records.ts";
import type { Run } from "./reference-index.ts";

/** Emails of one row page and of one header page. */
export const PAGE_EMAILS = 64;
/** Groups of pages that follow from headers. */
export const DERIVED_GROUPS = ["texts", "ids"] as const;
export type DerivedGroup = (typeof DERIVED_GROUPS)[number];
/** Emails of one page of each. */
export const DERIVED_PAGE_EMAILS = 4096;

/** The pages and packs that a checkpoint's manifest names (docs/formats/checkpoint.md). */
export interface Pages {
  /** The last log entry that they hold. */
  readonly covers: Position;
  /** Which numbering of rows they keep to: rows of one are rows of another only where this is the same. */
  readonly numbering: Position;
  /** Column pages, chunk by chunk. */
  readonly memberships: readonly string[];
  readonly emails: readonly string[];
  /** Row pages and header pages of emails by their lasting numbers, {@link PAGE_EMAILS} in each; "" for one that holds none,
   * or is lost. */
  readonly rows: readonly string[];
  readonly headers: readonly string[];
  /** Pages of texts that lists show, and of ids that messages are threaded by, {@link DERIVED_PAGE_EMAILS} emails in each; ""
   * for those that are not made yet, or hold none. */
  readonly texts: readonly string[];
  readonly ids: readonly string[];
  /** Which emails all of these hold: a bit for each lasting number, the lowest first. */
  readonly held: Uint8Array;
  /** Rows of emails, and the lasting number of the next. */
  readonly emailRows: number;
  readonly emailNumbers: number;
  readonly membershipRows: number;
  readonly references: readonly Run[];
  readonly packs: readonly Pack[];
  /** Pages of one large value of a record each. */
  readonly values: readonly ValuePage[];
  /** Groups of pages that this program does not know, by name: derived from the others, so its next checkpoint may leave
   * them out. */
  readonly others: Readonly<Record<string, readonly string[]>>;
}

/** A pack holds the small bodies of emails from lasting number `first` up to, not including, `end`: `count` of them. */
export interface Pack {
  readonly name: string;
  readonly first: number;
  readonly end: number;
  readonly count: number;
}

export const NO_PAGES: Pages = {
  covers: NOWHERE,
  numbering: NOWHERE,
  memberships: [],
  emails: [],
  rows: [],
  headers: [],
  texts: [],
  ids: [],
  held: new Uint8Array(0),
  emailRows: 0,
  emailNumbers: 0,
  membershipRows: 0,
  references: [],
  packs: [],
  values: [],
  others: {},
};

/** Groups of pages, each by its name: another kind of page is a line here, and a column of the manifest. */
const GROUPS = ["memberships", "emails", "rows", "headers", ...DERIVED_GROUPS] as const;

export function encodePages(pages: Omit<Pages, "covers">): unknown[] {
  const { references, packs, values } = pages;
  return [
    pages.numbering,
    pages.emailRows,
    pages.emailNumbers,
    pages.membershipRows,
    encodeBits(pages.held),
    GROUPS.map((group) => [group, packNames(pages[group], PAGE)]),
    references.map((run) => [
      run.entries,
      packNames(
        run.pages.map(({ name }) => name),
        PAGE,
      ),
      concat(...run.pages.map(({ first }) => first)),
    ]),
    [
      packNames(
        packs.map(({ name }) => name),
        PACK,
      ),
      packs.map(({ first, end, count }) => [first, end, count]),
    ],
    [
      packNames(
        values.map(({ name }) => name),
        PAGE,
      ),
      values.map(({ type, id, modSeq }) => [type, id, modSeq]),
    ],
  ];
}

const PAGE: string = folderOf("page");
const PACK: string = folderOf("pack");
/** Octets of a page's name, and of a pack's. */
const NAME_BYTES = 16;
const HEX_NAME = /^[0-9a-f]{32}$/;
/** Of so many emails no account's life is long enough. */
const BITS_BYTES_MAX: number = 2 ** 24;

/** Names as their octets: how many, a bit for each that is there, and these. Throws RangeError for a name of another form. */
function packNames(names: readonly string[], folder: string): unknown[] {
  const there = new Uint8Array(Math.ceil(names.length / 8));
  const octets: Uint8Array[] = [];
  for (const [at, name] of names.entries()) {
    if (name === "") continue;
    const hex = name.slice(folder.length);
    if (!name.startsWith(folder) || !HEX_NAME.test(hex)) throw new RangeError("name of an unknown form");
    there[at >> 3]! |= 1 << (at & 7);
    octets.push(hexBytes(hex));
  }
  return [names.length, encodeBits(there), concat(...octets)];
}

/** "" for those that are not there. Throws RangeError. */
function unpackNames(fields: Fields, folder: string): string[] {
  const count = fields.integer();
  const there = readBits(fields);
  const octets = fields.bytes();
  fields.end();
  if (there.length !== Math.ceil(count / 8)) throw new RangeError("more names than bits, or fewer");
  const all = nameText(octets, folder);
  const length = folder.length + NAME_BYTES * 2;
  let at = 0;
  const names = Array.from({ length: count }, (_, place) => {
    if (!isBitSet(there, place)) return "";
    at += length;
    return all.slice(at - length, at);
  });
  if (octets.length % NAME_BYTES !== 0 || at !== all.length) throw new RangeError("more names than bits, or fewer");
  return names;
}

/** Names in one text, one after the other: parts of one flat text take little room, and there are ten thousand of them. */
function nameText(octets: Uint8Array, folder: string): string {
  const length = folder.length + NAME_BYTES * 2;
  const codes = new Uint8Array(Math.floor(octets.length / NAME_BYTES) * length);
  const before = utf8(folder);
  for (let at = 0, from = 0; at < codes.length; at += length) {
    codes.set(before, at);
    for (let to = at + folder.length; to < at + length; from++) {
      codes[to++] = HEX_CODES[octets[from]! >> 4]!;
      codes[to++] = HEX_CODES[octets[from]! & 15]!;
    }
  }
  return new TextDecoder("latin1").decode(codes);
}

const HEX_CODES: Uint8Array = utf8("0123456789abcdef");

/** Octets of bits, which are alike for long: as a column is stored. */
function encodeBits(bits: Uint8Array): unknown[] {
  return [bits.length, encodeColumns(["u8"], bits.length, bits)];
}

/** Throws RangeError. */
function readBits(fields: Fields): Uint8Array {
  const pair = fields.nested();
  const length = pair.integer();
  if (length > BITS_BYTES_MAX) throw new RangeError("too many bits");
  const [bits] = decodeColumns(["u8"], length, pair.bytes());
  pair.end();
  return bits!;
}

function isBitSet(bits: Uint8Array, place: number): boolean {
  return (((bits[place >> 3] ?? 0) >> (place & 7)) & 1) === 1;
}

/** Each name with what is told of it. Throws RangeError where these are not as many. */
function join<T, U>(names: readonly string[], facts: readonly T[], both: (name: string, fact: T) => U): U[] {
  if (names.length !== facts.length) throw new RangeError("more names than there should be, or fewer");
  return names.map((name, at) => both(name, facts[at]!));
}

/** Throws RangeError on anything that {@link encodePages} does not make. */
export function readPages(fields: Fields, covers: Position): Pages {
  const numbers = readNumbers(fields, readBits);
  const groups = asGroups(fields.list((group) => [group.text(), unpackNames(group.nested(), PAGE)] as const));
  const references = fields.list((run) => {
    const [entries, names, firsts] = [run.integer(), unpackNames(run.nested(), PAGE), run.bytes()];
    const hashes = Array.from({ length: firsts.length / 8 }, (_, at) => firsts.slice(at * 8, at * 8 + 8));
    return { entries, pages: join(names, hashes, (name, first) => ({ name, first })) };
  });
  const packed = fields.nested();
  const packNamesRead = unpackNames(packed.nested(), PACK);
  const spans = packed.list((pack) => ({ first: pack.integer(), end: pack.integer(), count: pack.integer() }));
  packed.end();
  const valued = fields.nested();
  const valueNames = unpackNames(valued.nested(), PAGE);
  const keys = valued.list((page) => ({ type: page.text(), id: page.text(), modSeq: readModSeq(page) }));
  valued.end();
  fields.end();
  return {
    covers,
    ...numbers,
    ...groups,
    references,
    packs: join(packNamesRead, spans, (name, span) => ({ name, ...span })),
    values: join(valueNames, keys, (name, key) => ({ ...key, name })),
  };
}

function readNumbers(
  fields: Fields,
  readHeld: (fields: Fields) => Uint8Array,
): Pick<Pages, "numbering" | "emailRows" | "emailNumbers" | "membershipRows" | "held"> {
  return {
    numbering: fields.position(),
    emailRows: fields.integer(),
    emailNumbers: fields.integer(),
    membershipRows: fields.integer(),
    held: readHeld(fields),
  };
}

/** The same of a checkpoint of format 3: names were texts. Throws RangeError. */
export function readThirdPages(fields: Fields, covers: Position): Pages {
  return { covers, ...readNumbers(fields, (held) => held.bytes().slice()), ...readGroups(fields) };
}

/** The same of a checkpoint of format 2: lasting numbers were rows, and pages held all emails. Throws RangeError. */
export function readSecondPages(fields: Fields, covers: Position): Pages {
  const [numbering, emailRows, membershipRows] = [fields.position(), fields.integer(), fields.integer()];
  return { covers, numbering, membershipRows, ...allHeld(emailRows), ...readGroups(fields) };
}

function allHeld(emailRows: number): Pick<Pages, "emailRows" | "emailNumbers" | "held"> {
  const held = new Uint8Array(Math.ceil(emailRows / 8)).fill(255);
  if (emailRows % 8 > 0) held[held.length - 1] = 2 ** (emailRows % 8) - 1;
  return { emailRows, emailNumbers: emailRows, held };
}

/** True if row pages and header pages hold the email of this lasting number. */
export function isInPages({ held }: Pick<Pages, "held">, number: Plain): boolean {
  return isBitSet(held, number);
}

function readGroups(
  fields: Fields,
): Omit<Pages, "covers" | "numbering" | "emailRows" | "emailNumbers" | "membershipRows" | "held"> {
  const known = asGroups(fields.list((group) => [group.text(), group.texts()] as const));
  const [references, packs] = [readReferences(fields), readPacks(fields)];
  const values = fields.list((page) => ({
    type: page.text(),
    id: page.text(),
    modSeq: readModSeq(page),
    name: page.text(),
  }));
  fields.end();
  return { ...known, references, packs, values };
}

function asGroups(
  found: readonly (readonly [string, readonly string[]])[],
): Pick<Pages, (typeof GROUPS)[number] | "others"> {
  const groups = Object.fromEntries(found);
  const named = Object.fromEntries(GROUPS.map((group) => [group, groups[group] ?? []]));
  const others = Object.fromEntries(found.filter(([name]) => !GROUPS.some((known) => known === name)));
  return { ...(named as Record<(typeof GROUPS)[number], string[]>), others };
}

/** The same of a checkpoint of format 1. Throws RangeError. */
export function readFirstPages(fields: Fields, covers: Position): Pages {
  const [memberships, emails, rows, headers] = [fields.texts(), fields.texts(), fields.texts(), fields.texts()];
  const pages = {
    ...NO_PAGES,
    ...{ covers, memberships, emails, rows, headers },
    ...allHeld(fields.integer()),
    membershipRows: fields.integer(),
    references: readReferences(fields),
    packs: readPacks(fields),
  };
  fields.end();
  return pages;
}

function readReferences(fields: Fields): Run[] {
  return fields.list((run) => ({
    entries: run.integer(),
    pages: run.list((page) => ({ name: page.text(), first: page.bytes(8) })),
  }));
}

function readPacks(fields: Fields): Pack[] {
  return fields.list((pack) => ({
    name: pack.text(),
    first: pack.integer(),
    end: pack.integer(),
    count: pack.integer(),
  }));
}

/** The names of all objects that the pages are. */
export function* namesIn(pages: Pages): Generator<string> {
  for (const group of GROUPS) for (const name of pages[group]) if (name !== "") yield name;
  for (const names of Object.values(pages.others)) yield* names;
  for (const run of pages.references) for (const { name } of run.pages) yield name;
  for (const { name } of pages.packs) yield name;
  for (const { name } of pages.values) yield name;
}
