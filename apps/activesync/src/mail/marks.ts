import { type AccountSession, hexBytes, hexText, type ModSeq, type NewRecord, type ReadState } from "@restante/engine";
import { decode as decodeCbor, encode as encodeCbor } from "cborg";
import { decode, type Element, encode, optional, readValues, schema, group as shapeOf, text } from "wbxml";
import { CATEGORIES_MAX } from "../limits.ts";
import { dashed, readDate } from "../protocol/dates.ts";
import { childOf, empty, group, leaf } from "../protocol/elements.ts";
import { CommandError } from "../protocol/status.ts";
import type { Version } from "../protocol/version.ts";

/** Marks that phones set on a mail beside its flags: the record of this type, by the email's id in hex. */
export const MARKS = "phone-marks";

/** LastVerbExecuted: MS-ASEMAIL §2.2.2.39. */
export const REPLIED = 1;
export const REPLIED_TO_ALL = 2;
export const FORWARDED = 3;

export interface Marks {
  /** The whole Flag block as a phone gave it: reminders and dates that IMAP has no words for. */
  readonly flag: Element | undefined;
  readonly verb: number;
  readonly verbMs: number;
}
const NO_MARKS: Marks = { flag: undefined, verb: 0, verbMs: 0 };
const FORMAT = 1;

/** Errors: `unavailable`. */
export async function readMarks(session: AccountSession, email: Uint8Array): Promise<Marks> {
  const bytes = await session.readRecord(MARKS, hexText(email));
  if (!bytes) return NO_MARKS;
  const value: unknown = decodeCbor(bytes);
  if (!Array.isArray(value) || value[0] !== FORMAT) return NO_MARKS;
  const [, flag, verb, verbMs] = value as [number, Uint8Array | null, number, number];
  return { flag: flag ? decode(flag) : undefined, verb, verbMs };
}

/** The record that keeps marks; one that ends it where there is nothing to keep. */
export function marksRecord(email: Uint8Array, { flag, verb, verbMs }: Marks): NewRecord {
  const isEmpty = flag === undefined && verb === 0;
  const value = isEmpty ? undefined : encodeCbor([FORMAT, flag ? encode(flag) : null, verb, verbMs]);
  return { type: MARKS, id: hexText(email), value };
}

/** Emails, by their rows, of which phones say something else since a modseq, and the modseq of that. */
export function changedMarks(state: ReadState, modSeq: ModSeq): ReadonlyMap<number, ModSeq> {
  const changed = new Map<number, ModSeq>();
  for (const record of state.records.since(MARKS, modSeq)) {
    const email = state.findEmail(hexBytes(record.id));
    if (email !== undefined) changed.set(email, record.modSeq);
  }
  return changed;
}

// Flags

/** Elements of a Flag block: MS-ASEMAIL §2.2.2.34. The block is kept and given back as it came, so it may have no others. */
const FLAG_TEXT = text(1024);
const FLAG = schema(
  "Email:Flag",
  shapeOf({
    status: optional("Email:Status", FLAG_TEXT),
    type: optional("Email:FlagType", FLAG_TEXT),
    completeTime: optional("Email:CompleteTime", FLAG_TEXT),
    subject: optional("Tasks:Subject", FLAG_TEXT),
    dateCompleted: optional("Tasks:DateCompleted", FLAG_TEXT),
    start: optional("Tasks:StartDate", FLAG_TEXT),
    due: optional("Tasks:DueDate", FLAG_TEXT),
    utcStart: optional("Tasks:UtcStartDate", FLAG_TEXT),
    utcDue: optional("Tasks:UtcDueDate", FLAG_TEXT),
    reminds: optional("Tasks:ReminderSet", FLAG_TEXT),
    reminder: optional("Tasks:ReminderTime", FLAG_TEXT),
    ordinal: optional("Tasks:OrdinalDate", FLAG_TEXT),
    subOrdinal: optional("Tasks:SubOrdinalDate", FLAG_TEXT),
  }),
);

const ACTIVE = 2;
const COMPLETE = 1;

/** The Flag of a mail: what a phone gave is given back, as long as \Flagged says the same. MS-ASEMAIL §2.2.2.34. */
export function flagElement(isFlagged: boolean, { flag }: Marks): Element {
  const status = flag && statusOf(flag);
  if (flag && status === (isFlagged ? ACTIVE : COMPLETE)) return flag;
  if (!isFlagged) return empty("Email:Flag");
  return group("Email:Flag", leaf("Email:Status", ACTIVE), leaf("Email:FlagType", "Flag for follow up"));
}

export interface FlagWish {
  readonly isFlagged: boolean;
  /** Undefined where \Flagged says it all. */
  readonly flag: Element | undefined;
}

/** Reads a Flag block. Throws SchemaError for a block with other elements, CommandError 6 for one that contradicts itself:
 * MS-ASEMAIL §2.2.2.34, MS-ASTASK §2.2.2. */
export function readFlag(flag: Element): FlagWish {
  readValues(FLAG, flag);
  const status = statusOf(flag);
  if (flag.children.length === 0 || status === 0) return { isFlagged: false, flag: undefined };
  if (status !== ACTIVE && status !== COMPLETE) throw new CommandError(6, "a flag of no status");
  const dateOf = (tag: string): number | undefined => {
    const child = childOf(flag, tag);
    if (!child) return undefined;
    const timeMs = readDate(textOf(child));
    if (timeMs === undefined) throw new CommandError(6, "a date that is none");
    return timeMs;
  };
  const dates = ["StartDate", "DueDate", "UtcStartDate", "UtcDueDate"].map((name) => dateOf(`Tasks:${name}`));
  const given = dates.filter((date) => date !== undefined).length;
  if (given !== 0 && given !== dates.length) throw new CommandError(6, "of its dates all or none");
  if (given > 0 && (dates[1]! < dates[0]! || dates[3]! < dates[2]!))
    throw new CommandError(6, "it is due before it starts");
  const reminder = childOf(flag, "Tasks:ReminderSet");
  if (reminder && textOf(reminder) === "1" && dateOf("Tasks:ReminderTime") === undefined)
    throw new CommandError(6, "a reminder without a time");
  if (status === COMPLETE && (!childOf(flag, "Email:CompleteTime") || !childOf(flag, "Tasks:DateCompleted")))
    throw new CommandError(6, "it is complete, and nobody knows since when");
  return { isFlagged: status === ACTIVE, flag };
}

function statusOf(flag: Element): number {
  const status = childOf(flag, "Email:Status");
  return status ? Number(textOf(status)) : Number.NaN;
}

const UTF8 = new TextDecoder();

function textOf({ content }: Element): string {
  return typeof content === "string" ? content : content ? UTF8.decode(content) : "";
}

// Categories: keywords of IMAP and JMAP that nobody else has a use for.

/** Octets that an atom of IMAP may not hold (RFC 9051 §9), and the one that says so. */
const NOT_IN_ATOMS = /[^\x21\x23\x24\x26\x27\x2b-\x3c\x3e-\x5b\x5e-\x7a\x7c\x7e]/gu;
const ENCODED = /(?:=[0-9A-F]{2})+/g;
/** Keywords of RFC 5788 and of mail programs, which are no categories. */
const RESERVED = /^[$\\]|^(?:non)?junk$|^forwarded$|^notjunk$/i;

/** The keyword of a category: as it is where it may be, octets with `=` and two digits where not. */
export function keywordOfCategory(category: string): string {
  return category.replace(NOT_IN_ATOMS, (character) =>
    Array.from(Buffer.from(character), (octet) => `=${octet.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

/** The categories among flags. */
export function categoriesOf(flags: readonly string[]): string[] {
  return flags.filter((flag) => !RESERVED.test(flag)).map(categoryOfKeyword);
}

/** Flags that stand for categories. */
export function categoryKeywords(flags: readonly string[]): string[] {
  return flags.filter((flag) => !RESERVED.test(flag));
}

function categoryOfKeyword(keyword: string): string {
  return keyword.replace(ENCODED, (run) => UTF8.decode(Buffer.from(run.replaceAll("=", ""), "hex")));
}

/** The categories of a mail as a phone wants them, as keywords; undefined if one of them can't be kept. */
export function readCategories(block: Element): string[] | undefined {
  const names = block.children.map((child) => textOf(child).trim()).filter((name) => name !== "");
  const keywords = [...new Set(names.slice(0, CATEGORIES_MAX).map(keywordOfCategory))];
  return keywords.every((keyword) => keyword.length <= KEYWORD_CHARS_MAX && !RESERVED.test(keyword))
    ? keywords
    : undefined;
}

const KEYWORD_CHARS_MAX = 255;

export function categoriesElement(flags: readonly string[]): Element {
  const names = categoriesOf(flags).slice(0, CATEGORIES_MAX);
  return group("Email:Categories", ...names.map((name) => leaf("Email:Category", name)));
}

/** The last verb of a mail, and its time if that is known: from 14.0 on. */
export function verbElements(flags: readonly string[], marks: Marks, version: Version): (Element | undefined)[] {
  if (version < 14) return [];
  const isForwarded = flags.some((flag) => flag.toLowerCase() === "$forwarded");
  const isAnswered = flags.includes("\\Answered");
  const told = marks.verb === FORWARDED ? isForwarded : marks.verb > 0 && isAnswered;
  const verb = told ? marks.verb : isAnswered ? REPLIED : isForwarded ? FORWARDED : 0;
  if (verb === 0) return [];
  return [
    leaf("Email2:LastVerbExecuted", verb),
    told && marks.verbMs > 0 ? leaf("Email2:LastVerbExecutionTime", dashed(marks.verbMs)) : undefined,
  ];
}
