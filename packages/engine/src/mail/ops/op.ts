import { decode, encode } from "cborg";
import { Fields } from "../../bay/fields.ts";
import type { MailboxId } from "./names.ts";
import { decodeRuns, encodeRuns, type TargetRun } from "./targets.ts";

/**
 * What may happen to an account: one op a command, not a message. Ops are what the log keeps for ever in sealed
 * entries, so their shapes are a stored format (docs/formats/ops.md) and a kind's number is never used again. `seconds` is the author's clock, shown (SAVEDATE, UIDVALIDITY), never compared.
 *
 * Ops carry preconditions and no results: uids, modseqs and UIDVALIDITY are computed from the set of ops.
 * Memberships are named in runs (`targets.ts`), mailboxes by id.
 */
export type Op =
  /** The account's beginning: its folders, with fixed ids in this order (the first is INBOX). */
  | { readonly kind: "begin"; readonly seconds: number; readonly folders: readonly FolderSeed[] }
  | { readonly kind: "create"; readonly path: string; readonly seconds: number; readonly specialUse?: SpecialUse }
  /** `paths` lists the mailbox first, then each that lay below it, with their new full paths. */
  | { readonly kind: "rename"; readonly paths: readonly { readonly mailbox: MailboxId; readonly path: string }[] }
  /** RENAME INBOX, RFC 9051 §6.3.6: a new mailbox takes what INBOX holds. */
  | { readonly kind: "rename-inbox"; readonly path: string; readonly seconds: number }
  | { readonly kind: "delete"; readonly mailbox: MailboxId }
  | { readonly kind: "subscribe"; readonly path: string; readonly on: boolean }
  | {
      readonly kind: "append";
      readonly mailbox: MailboxId;
      readonly emails: readonly NewEmail[];
      readonly since: number;
      readonly seconds: number;
    }
  | {
      readonly kind: "take-in";
      readonly notes: readonly TakenNote[];
      readonly listed: number;
      readonly seconds: number;
    }
  | {
      readonly kind: "flags";
      readonly mailbox: MailboxId;
      readonly targets: readonly TargetRun[];
      readonly change: FlagChange;
      /** Memberships with a higher modseq are refused: RFC 7162 §3.1.3. */
      readonly unchangedSince?: number;
    }
  | {
      readonly kind: "copy" | "move";
      readonly mailbox: MailboxId;
      readonly targets: readonly TargetRun[];
      readonly to: MailboxId;
      readonly seconds: number;
    }
  /** Takes those of its targets that carry \Deleted when it is applied. */
  | { readonly kind: "expunge"; readonly mailbox: MailboxId; readonly targets: readonly TargetRun[] }
  | {
      readonly kind: "checkpoint";
      readonly covers: number;
      readonly manifest: Uint8Array;
      readonly emailRows: number;
      readonly startedAt: number;
    }
  /** Objects that nothing names any more, as of position `listed`: they are deleted a day later. */
  | { readonly kind: "condemn"; readonly names: readonly string[]; readonly listed: number }
  /** The deletion of these was acknowledged; so was that of log entries up to `trimmed`. */
  | {
      readonly kind: "forget";
      readonly names: readonly string[];
      readonly notes: readonly string[];
      readonly trimmed: number;
    }
  /** The valid key slots; refused unless made upon the list now in force (its op's name, or none). */
  | { readonly kind: "slots"; readonly names: readonly string[]; readonly upon: number }
  /** The store's history was restored or accepted: every UIDVALIDITY and the JMAP epoch rise. */
  | { readonly kind: "raise"; readonly seconds: number }
  | { readonly kind: "nop" };

export type OpKind = Op["kind"];

export type SpecialUse = "\\Drafts" | "\\Sent" | "\\Trash" | "\\Junk" | "\\Archive";

export interface FolderSeed {
  readonly path: string;
  readonly specialUse?: SpecialUse;
}

export interface FlagChange {
  readonly mode: "add" | "remove" | "replace";
  readonly flags: readonly string[];
}

/** Where a body's sealed bytes lie when its op is applied; a checkpoint may move it into a pack. */
export type BodyPlace =
  /** `attachment`: which of the op's attachments, from 0. */
  | { readonly in: "entry"; readonly attachment: number }
  | { readonly in: "note"; readonly name: string; readonly offset: number; readonly length: number }
  | { readonly in: "object"; readonly length: number };

export interface NewEmail {
  /** 16 random bytes: the email's id and its body's. */
  readonly id: Uint8Array;
  /** The body's own key. */
  readonly key: Uint8Array;
  /** RFC822.SIZE in octets. */
  readonly size: number;
  readonly place: BodyPlace;
  /** INTERNALDATE: milliseconds since 1970 and the zone it is shown in, minutes east of UTC. */
  readonly receivedMs: number;
  readonly receivedZone: number;
  /** The Date field, as `receivedMs`; that of reception if there is none: RFC 5256 §2.2. */
  readonly sentMs: number;
  readonly sentZone: number;
  /** 8 random bytes, shared by the emails of one conversation. */
  readonly thread: Uint8Array;
  /** Hashes, 8 bytes each, of its Message-ID and of those it refers to: what threads are found by. */
  readonly ids: Uint8Array;
  /** An encoded `Summary`: opaque to the state. */
  readonly summary: Uint8Array;
  /** Its header block's frame (`header.ts`). */
  readonly header: Uint8Array;
  readonly flags: readonly string[];
}

export interface TakenNote {
  readonly note: string;
  readonly mailbox: MailboxId;
  readonly email: NewEmail;
  /** The delivering host's stream, this note's number in it and the numbers given up before it. */
  readonly stream: string;
  readonly counter: number;
  readonly givenUp: readonly number[];
}

/** What a full store still takes: what removes or leads to it, the keys, and mail that is in the store already. */
const ESSENTIAL: ReadonlySet<OpKind> = new Set([
  "take-in",
  "flags",
  "move",
  "expunge",
  "delete",
  "checkpoint",
  "condemn",
  "forget",
  "slots",
  "raise",
  "nop",
]);

export function isEssential({ kind }: Op): boolean {
  return ESSENTIAL.has(kind);
}

const KIND_NUMBERS: Record<OpKind, number> = {
  begin: 1,
  create: 2,
  rename: 3,
  "rename-inbox": 4,
  delete: 5,
  subscribe: 6,
  append: 7,
  "take-in": 8,
  flags: 9,
  copy: 10,
  move: 11,
  expunge: 12,
  checkpoint: 13,
  condemn: 14,
  forget: 15,
  slots: 16,
  raise: 17,
  nop: 18,
};
const KINDS = new Map(Object.entries(KIND_NUMBERS).map(([kind, number]) => [number, kind as OpKind]));
const CHANGE_MODES = ["add", "remove", "replace"] as const;

/** Canonical CBOR: `[kind number, …fields in the order of the type]`. */
export function encodeOp(op: Op): Uint8Array {
  return encode([KIND_NUMBERS[op.kind], ...fieldsOf(op)]);
}

function fieldsOf(op: Op): unknown[] {
  switch (op.kind) {
    case "begin":
      return [op.seconds, op.folders.map(({ path, specialUse }) => [path, specialUse ?? null])];
    case "create":
      return [op.path, op.seconds, op.specialUse ?? null];
    case "rename":
      return [op.paths.map(({ mailbox, path }) => [mailbox, path])];
    case "rename-inbox":
      return [op.path, op.seconds];
    case "delete":
      return [op.mailbox];
    case "subscribe":
      return [op.path, op.on];
    case "append":
      return [op.mailbox, op.emails.map(encodeEmail), op.since, op.seconds];
    case "take-in":
      return [
        op.notes.map((note) => [
          note.note,
          note.mailbox,
          encodeEmail(note.email),
          note.stream,
          note.counter,
          note.givenUp,
        ]),
        op.listed,
        op.seconds,
      ];
    case "flags":
      return [
        op.mailbox,
        encodeRuns(op.targets),
        CHANGE_MODES.indexOf(op.change.mode),
        op.change.flags,
        op.unchangedSince ?? null,
      ];
    case "copy":
    case "move":
      return [op.mailbox, encodeRuns(op.targets), op.to, op.seconds];
    case "expunge":
      return [op.mailbox, encodeRuns(op.targets)];
    case "checkpoint":
      return [op.covers, op.manifest, op.emailRows, op.startedAt];
    case "condemn":
      return [op.names, op.listed];
    case "forget":
      return [op.names, op.notes, op.trimmed];
    case "slots":
      return [op.names, op.upon];
    case "raise":
      return [op.seconds];
    case "nop":
      return [];
  }
}

function encodeEmail(email: NewEmail): unknown[] {
  const { place } = email;
  return [
    email.id,
    email.key,
    email.size,
    place.in === "entry"
      ? [0, place.attachment]
      : place.in === "note"
        ? [1, place.name, place.offset, place.length]
        : [2, place.length],
    email.receivedMs,
    email.receivedZone,
    email.sentMs,
    email.sentZone,
    email.thread,
    email.ids,
    email.summary,
    email.header,
    email.flags,
  ];
}

/** Throws RangeError on anything that {@link encodeOp} does not make; a kind this program doesn't know too. */
export function decodeOp(bytes: Uint8Array): Op {
  let value: unknown;
  try {
    value = decode(bytes, { strict: true, rejectDuplicateMapKeys: true });
  } catch (cause) {
    throw new RangeError("op is not CBOR", { cause });
  }
  const fields = new Fields(value);
  const kind = KINDS.get(fields.integer());
  if (!kind) throw new RangeError("op of an unknown kind");
  const op = readOp(kind, fields);
  fields.end();
  return op;
}

function readOp(kind: OpKind, fields: Fields): Op {
  switch (kind) {
    case "begin":
      return {
        kind,
        seconds: fields.integer(),
        folders: fields.list((folder) =>
          seed(
            folder.text(),
            folder.optional((f) => f.text() as SpecialUse),
          ),
        ),
      };
    case "create": {
      const path = fields.text();
      const seconds = fields.integer();
      const specialUse = fields.optional((f) => f.text() as SpecialUse);
      return { kind, path, seconds, ...(specialUse === undefined ? {} : { specialUse }) };
    }
    case "rename":
      return { kind, paths: fields.list((item) => ({ mailbox: item.text() as MailboxId, path: item.text() })) };
    case "rename-inbox":
      return { kind, path: fields.text(), seconds: fields.integer() };
    case "delete":
      return { kind, mailbox: fields.text() as MailboxId };
    case "subscribe":
      return { kind, path: fields.text(), on: fields.boolean() };
    case "append":
      return {
        kind,
        mailbox: fields.text() as MailboxId,
        emails: fields.list(readEmail),
        since: fields.integer(),
        seconds: fields.integer(),
      };
    case "take-in":
      return { kind, notes: fields.list(readNote), listed: fields.integer(), seconds: fields.integer() };
    case "flags": {
      const mailbox = fields.text() as MailboxId;
      const targets = decodeRuns(fields.bytes());
      const mode = CHANGE_MODES[fields.integer()];
      if (!mode) throw new RangeError("unknown flag change");
      const change = { mode, flags: fields.texts() };
      const unchangedSince = fields.optional((f) => f.integer());
      return { kind, mailbox, targets, change, ...(unchangedSince === undefined ? {} : { unchangedSince }) };
    }
    case "copy":
    case "move":
      return {
        kind,
        mailbox: fields.text() as MailboxId,
        targets: decodeRuns(fields.bytes()),
        to: fields.text() as MailboxId,
        seconds: fields.integer(),
      };
    case "expunge":
      return { kind, mailbox: fields.text() as MailboxId, targets: decodeRuns(fields.bytes()) };
    case "checkpoint":
      return {
        kind,
        covers: fields.integer(),
        manifest: fields.bytes(),
        emailRows: fields.integer(),
        startedAt: fields.integer(),
      };
    case "condemn":
      return { kind, names: fields.texts(), listed: fields.integer() };
    case "forget":
      return { kind, names: fields.texts(), notes: fields.texts(), trimmed: fields.integer() };
    case "slots":
      return { kind, names: fields.texts(), upon: fields.integer() };
    case "raise":
      return { kind, seconds: fields.integer() };
    case "nop":
      return { kind };
  }
}

function seed(path: string, specialUse: SpecialUse | undefined): FolderSeed {
  return specialUse === undefined ? { path } : { path, specialUse };
}

function readEmail(fields: Fields): NewEmail {
  return {
    id: fields.bytes(16),
    key: fields.bytes(32),
    size: fields.integer(),
    place: readPlace(fields.nested()),
    receivedMs: fields.number(),
    receivedZone: fields.number(),
    sentMs: fields.number(),
    sentZone: fields.number(),
    thread: fields.bytes(8),
    ids: fields.bytes(),
    summary: fields.bytes(),
    header: fields.bytes(),
    flags: fields.texts(),
  };
}

function readPlace(fields: Fields): BodyPlace {
  const where = fields.integer();
  const place: BodyPlace | undefined =
    where === 0
      ? { in: "entry", attachment: fields.integer() }
      : where === 1
        ? { in: "note", name: fields.text(), offset: fields.integer(), length: fields.integer() }
        : where === 2
          ? { in: "object", length: fields.integer() }
          : undefined;
  if (!place) throw new RangeError("body in an unknown place");
  fields.end();
  return place;
}

function readNote(fields: Fields): TakenNote {
  return {
    note: fields.text(),
    mailbox: fields.text() as MailboxId,
    email: (() => {
      const nested = fields.nested();
      const email = readEmail(nested);
      nested.end();
      return email;
    })(),
    stream: fields.text(),
    counter: fields.integer(),
    givenUp: fields.list((item) => item.integer(), false),
  };
}
