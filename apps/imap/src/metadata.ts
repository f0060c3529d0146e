import { EngineError, type MailboxId, type ModSeq, type ReadMailbox } from "@restante/engine";
import { METADATA_ENTRIES_MAX, METADATA_NAMES_MAX, METADATA_VALUE_BYTES_MAX } from "./limits.ts";
import type { Session } from "./session.ts";
import { formatAstring, formatOctets } from "./wire/format.ts";
import { ImapSyntaxError, type Parser } from "./wire/parser.ts";

/**
 * Annotations of mailboxes, and of the server: RFC 5464. Each is a register of the account, by the mailbox's id, so it goes along
 * when that is renamed. One owner has them all: what is shared and what is private differ by name alone.
 */
const TYPE = "imap-metadata";
const ENTRY = /^\/(?:private|shared)(?:\/[^/*%\x00-\x1f\x7f-\uffff]+)+$/;
/** Characters of an entry's name: a record's has room for it and the mailbox's id. */
const ENTRY_CHARS_MAX = 180;

/** An entry's name, in lower case: it has none other. */
export function parseEntry(parser: Parser): string {
  const name = parser.astring().toLowerCase();
  if (!ENTRY.test(name) || name.length > ENTRY_CHARS_MAX) throw new ImapSyntaxError("Bad entry name");
  return name;
}

/** One entry or a list of them, of those that are asked for: all of a kind too, which is no entry itself. */
export function parseEntries(parser: Parser): string[] {
  const read = (): string =>
    /^"?\/(private|shared)"?(?![^ )])/i.test(parser.rest(12)) ? parser.astring().toLowerCase() : parseEntry(parser);
  return parser.atOpen ? parser.list(read, { max: METADATA_NAMES_MAX }) : [read()];
}

/** `mailbox`: whose; the server's, if there is none. */
export async function writeEntries(
  { mail }: Session,
  mailbox: ReadMailbox | undefined,
  entries: ReadonlyMap<string, Uint8Array | undefined>,
): Promise<void> {
  const { records } = mail.state;
  const isNew = (name: string): boolean => records.find(TYPE, idOf(mailbox, name))?.value === undefined;
  const added = [...entries].filter(([name, value]) => value !== undefined && isNew(name)).length;
  if ([...entries.values()].some((value) => (value?.length ?? 0) > METADATA_VALUE_BYTES_MAX))
    throw new EngineError("too-large", "the value is too large");
  if (added > 0 && records.list(TYPE).length + added > METADATA_ENTRIES_MAX)
    throw new EngineError("over-quota", "there are too many annotations");
  await mail.writeRecords([...entries].map(([name, value]) => ({ type: TYPE, id: idOf(mailbox, name), value })));
}

/** Ends all of a mailbox that is gone. */
export async function forgetEntries({ mail }: Session, mailbox: Pick<ReadMailbox, "id">): Promise<void> {
  const own = mail.state.records.list(TYPE).filter(({ id }) => id.startsWith(idOf(mailbox, "")));
  if (own.length > 0) await mail.writeRecords(own.map(({ id }) => ({ type: TYPE, id, value: undefined })));
}

export interface Wanted {
  readonly entries: readonly string[];
  /** Levels below the named ones: none, one, all. */
  readonly depth: 0 | 1 | typeof Number.POSITIVE_INFINITY;
  /** Larger values are left out. */
  readonly maxSize: number;
}

/** `METADATA`'s answer, if there is anything to tell, and the octets of the largest value that is left out. */
export async function readEntries(
  session: Session,
  mailbox: ReadMailbox | undefined,
  { entries, depth, maxSize }: Wanted,
): Promise<{ readonly answer: string | undefined; readonly longest: number }> {
  const { mail } = session;
  const prefix = idOf(mailbox, "");
  const known = depth === 0 ? [] : mail.state.records.list(TYPE).filter(({ id }) => id.startsWith(prefix));
  const below = known.map(({ id }) => id.slice(prefix.length)).filter((name) => isBelow(name, entries, depth));
  const told: string[] = [];
  let longest = 0;
  for (const name of new Set([...(depth === 0 ? entries : []), ...below])) {
    const value = await mail.readRecord(TYPE, prefix + name);
    if (value && value.length > maxSize) longest = Math.max(longest, value.length);
    else told.push(`${formatAstring(name)} ${value ? formatOctets(value) : "NIL"}`);
  }
  const of = mailbox ? session.formatName(mailbox.path) : '""';
  return { answer: told.length > 0 ? `METADATA ${of} (${told.join(" ")})` : undefined, longest };
}

/** Entries that changed after a modseq, by mailbox (undefined: the server's), as they are told without their values: RFC 5464
 * §4.4.2. They have no part in a mailbox's HIGHESTMODSEQ, which is of messages alone: RFC 7162 §3.1.2.1. */
export function changedEntries(
  { mail }: Session,
  modSeq: ModSeq,
): ReadonlyMap<MailboxId | undefined, readonly string[]> {
  const changed = new Map<MailboxId | undefined, string[]>();
  for (const { id } of mail.state.records.since(TYPE, modSeq)) {
    const space = id.indexOf(" ");
    const of = space === 0 ? undefined : (id.slice(0, space) as MailboxId);
    changed.set(of, [...(changed.get(of) ?? []), formatAstring(id.slice(space + 1))]);
  }
  return changed;
}

function isBelow(name: string, entries: readonly string[], depth: number): boolean {
  return entries.some((entry) => {
    if (name === entry) return true;
    return depth > 0 && name.startsWith(`${entry}/`) && name.slice(entry.length + 1).split("/").length <= depth;
  });
}

function idOf(mailbox: Pick<ReadMailbox, "id"> | undefined, name: string): string {
  return `${mailbox?.id ?? ""} ${name}`;
}

/** A value, or NIL, which ends it. */
export function parseValue(parser: Parser): Uint8Array | undefined {
  if (parser.atString) return parser.stringBytes();
  parser.nstring();
  return undefined;
}
