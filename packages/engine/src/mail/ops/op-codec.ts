import { decode, encode } from "cborg";
import { Fields } from "../../bay/fields.ts";
import { EngineError } from "../../errors.ts";
import { readModSeq } from "../numbers.ts";
import { encodeEmail, type NewEmail, readEmail, readFirstEmail } from "./email.ts";
import type { MailboxId } from "./names.ts";
import {
  type ChangeItem,
  type FolderSeed,
  type FolderStep,
  LOG_VERSION,
  type MailboxType,
  type Op,
  type OpKind,
  type Placement,
  type SpecialUse,
  type StateClaim,
  type TakenNote,
} from "./op.ts";
import { decodeRuns, encodeRuns } from "./targets.ts";

/**
 * Ops as bytes: canonical CBOR, `[kind number, …fields in the order of the type]` (docs/formats/log.md). Bytes that were
 * written once are read for ever.
 */

/** A newer program wrote to the account: this one may not go on, since it would not know what it leaves out. */
export class NewerLog extends EngineError {
  constructor() {
    super(
      "unavailable",
      "the account was written to by a newer version of this server: this one must be upgraded first",
    );
    this.name = "NewerLog";
  }
}

/** A kind's number is never used again. 7 was `append` and 8 `take-in` of the first releases: they are read, as what is
 * written in their place. */
const FIRST_APPEND = 7;
const FIRST_TAKE_IN = 8;
const KIND_NUMBERS: Record<OpKind, number> = {
  begin: 1,
  create: 2,
  rename: 3,
  "rename-inbox": 4,
  delete: 5,
  subscribe: 6,
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
  add: 19,
  change: 20,
  folders: 21,
  replace: 22,
  record: 23,
  requires: 24,
  "take-in": 25,
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
    case "add":
      return [
        op.emails.map(({ email, places }) => [encodeEmail(email), places.map(encodePlacement)]),
        op.since,
        op.seconds,
      ];
    case "take-in":
      return [
        op.notes.map(({ note, email, places, stream, counter, givenUp }) => [
          note,
          encodeEmail(email),
          places.map(encodePlacement),
          stream,
          counter,
          givenUp,
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
      return [op.mailbox, encodeRuns(op.targets), op.to, op.seconds, ...(op.inParts ? [true] : [])];
    case "move":
      return [op.mailbox, encodeRuns(op.targets), op.to, op.seconds];
    case "expunge":
      return [op.mailbox, encodeRuns(op.targets)];
    case "checkpoint":
      return [
        ...[op.covers, op.manifest, op.emailRows, op.startedAt],
        // As older programs know it, where they would not miss anything.
        ...(op.numbering || op.sweeps || op.silentBefore ? [op.numbering ?? 0, op.sweeps ?? false] : []),
        ...(op.silentBefore ? [op.silentBefore] : []),
      ];
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
    case "change":
      return [op.items.map(encodeItem), op.seconds, encodeClaim(op.ifState)];
    case "folders":
      return [op.steps.map(encodeStep), op.seconds, encodeClaim(op.ifState)];
    case "replace":
      return [
        op.mailbox,
        encodeRuns(op.target),
        encodeEmail(op.email),
        op.add,
        op.remove,
        op.since,
        op.seconds,
        op.ifEmail ?? null,
      ];
    case "record":
      return [op.records.map(({ type, id, value }) => [type, id, value ?? null]), encodeClaim(op.ifState)];
    case "requires":
      return [op.version];
  }
}

function encodePlacement({ mailbox, flags }: Placement): unknown[] {
  return [mailbox, flags];
}

function encodeClaim(claim: StateClaim | undefined): unknown {
  return claim ? [claim.type, claim.epoch, claim.modSeq] : null;
}

function encodeItem({ targets, add, remove, join, leave, ifEmail }: ChangeItem): unknown[] {
  return [
    targets.map(({ mailbox, targets: runs }) => [mailbox, encodeRuns(runs)]),
    add,
    remove,
    join,
    leave === "all" ? null : leave,
    ifEmail ?? null,
  ];
}

/** Roles as numbers, 0 for none. */
const ROLES: readonly (SpecialUse | "none")[] = ["none", "\\Drafts", "\\Sent", "\\Trash", "\\Junk", "\\Archive"];
const TYPES: readonly MailboxType[] = ["mail", "calendar", "contacts", "tasks", "notes"];

function encodeStep(step: FolderStep): unknown[] {
  switch (step.do) {
    case "create":
      return [
        0,
        step.path,
        TYPES.indexOf(step.type),
        ROLES.indexOf(step.role ?? "none"),
        step.sortOrder,
        step.subscribed,
      ];
    case "set":
      return [
        1,
        step.mailbox,
        step.path ?? null,
        step.role === undefined ? null : ROLES.indexOf(step.role),
        step.sortOrder ?? null,
        step.subscribed ?? null,
      ];
    case "destroy":
      return [2, step.mailbox, step.ifEmpty];
  }
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
  const number = fields.integer();
  const kind = KINDS.get(number);
  const op = kind ? readOp(kind, fields) : readFirst(number, fields);
  fields.end();
  return op;
}

/** Ops that only the first releases wrote. */
function readFirst(number: number, fields: Fields): Op {
  switch (number) {
    case FIRST_APPEND: {
      const mailbox = fields.text() as MailboxId;
      const emails = fields.list((item) => {
        const { email, flags } = readFirstEmail(item);
        return { email, places: [{ mailbox, flags }] };
      });
      return { kind: "add", emails, since: fields.position(), seconds: fields.integer() };
    }
    case FIRST_TAKE_IN: {
      const notes = fields.list((item) => {
        const [note, mailbox] = [item.text(), item.text() as MailboxId];
        const nested = item.nested();
        const { email, flags } = readFirstEmail(nested);
        nested.end();
        return { note, email, places: [{ mailbox, flags }], ...readNumbers(item) };
      });
      return { kind: "take-in", notes, listed: fields.position(), seconds: fields.integer() };
    }
    default:
      throw new RangeError("op of an unknown kind");
  }
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
    case "add":
      return {
        kind,
        emails: fields.list((item) => ({ email: nestedEmail(item), places: item.list(readPlacement) })),
        since: fields.position(),
        seconds: fields.integer(),
      };
    case "take-in":
      return {
        kind,
        notes: fields.list((item) => ({
          note: item.text(),
          email: nestedEmail(item),
          places: item.list(readPlacement),
          ...readNumbers(item),
        })),
        listed: fields.position(),
        seconds: fields.integer(),
      };
    case "flags": {
      const mailbox = fields.text() as MailboxId;
      const targets = decodeRuns(fields.bytes());
      const mode = CHANGE_MODES[fields.integer()];
      if (!mode) throw new RangeError("unknown flag change");
      const change = { mode, flags: fields.texts() };
      const unchangedSince = fields.optional(readModSeq);
      return { kind, mailbox, targets, change, ...(unchangedSince === undefined ? {} : { unchangedSince }) };
    }
    case "copy":
    case "move": {
      const op = {
        mailbox: fields.text() as MailboxId,
        targets: decodeRuns(fields.bytes()),
        to: fields.text() as MailboxId,
        seconds: fields.integer(),
      };
      if (kind === "move" || fields.isAtEnd) return { kind, ...op };
      if (!fields.boolean()) throw new RangeError("a copy that is in parts, and is not");
      return { kind, ...op, inParts: true };
    }
    case "expunge":
      return { kind, mailbox: fields.text() as MailboxId, targets: decodeRuns(fields.bytes()) };
    case "checkpoint":
      return {
        kind,
        covers: fields.position(),
        manifest: fields.bytes(),
        emailRows: fields.integer(),
        startedAt: fields.position(),
        ...(fields.isAtEnd ? {} : { numbering: fields.position(), sweeps: fields.boolean() }),
        ...(fields.isAtEnd ? {} : { silentBefore: fields.integer() }),
      };
    case "condemn":
      return { kind, names: fields.texts(), listed: fields.position() };
    case "forget":
      return { kind, names: fields.texts(), notes: fields.texts(), trimmed: fields.position() };
    case "slots":
      return { kind, names: fields.texts(), upon: fields.position() };
    case "raise":
      return { kind, seconds: fields.integer() };
    case "nop":
      return { kind };
    case "change":
      return { kind, items: fields.list(readItem), seconds: fields.integer(), ...readClaim(fields) };
    case "folders":
      return { kind, steps: fields.list(readStep), seconds: fields.integer(), ...readClaim(fields) };
    case "replace":
      return {
        kind,
        mailbox: fields.text() as MailboxId,
        target: decodeRuns(fields.bytes()),
        email: nestedEmail(fields),
        add: fields.texts(),
        remove: fields.texts(),
        since: fields.position(),
        seconds: fields.integer(),
        ...readIfEmail(fields),
      };
    case "record":
      return {
        kind,
        records: fields.list((item) => ({
          type: item.text(),
          id: item.text(),
          value: item.optional((value) => value.bytes()),
        })),
        ...readClaim(fields),
      };
    case "requires": {
      const version = fields.integer();
      if (version > LOG_VERSION) throw new NewerLog();
      return { kind, version };
    }
  }
}

function seed(path: string, specialUse: SpecialUse | undefined): FolderSeed {
  return specialUse === undefined ? { path } : { path, specialUse };
}

function nestedEmail(fields: Fields): NewEmail {
  const nested = fields.nested();
  const email = readEmail(nested);
  nested.end();
  return email;
}

function readPlacement(fields: Fields): Placement {
  return { mailbox: fields.text() as MailboxId, flags: fields.texts() };
}

function readNumbers(fields: Fields): Pick<TakenNote, "stream" | "counter" | "givenUp"> {
  return {
    stream: fields.text(),
    counter: fields.integer(),
    givenUp: fields.list((item) => item.integer(), false),
  };
}

function readClaim(fields: Fields): { readonly ifState?: StateClaim } {
  const nested = fields.optional((item) => item.nested());
  if (!nested) return {};
  const ifState = { type: nested.text(), epoch: nested.integer(), modSeq: readModSeq(nested) };
  nested.end();
  return { ifState };
}

function readIfEmail(fields: Fields): { readonly ifEmail?: Uint8Array } {
  const ifEmail = fields.optional((item) => item.bytes(16));
  return ifEmail === undefined ? {} : { ifEmail };
}

function readItem(fields: Fields): ChangeItem {
  return {
    targets: fields.list((item) => ({ mailbox: item.text() as MailboxId, targets: decodeRuns(item.bytes()) })),
    add: fields.texts(),
    remove: fields.texts(),
    join: fields.texts() as MailboxId[],
    leave: fields.optional((item) => item.texts() as MailboxId[]) ?? "all",
    ...readIfEmail(fields),
  };
}

function readStep(fields: Fields): FolderStep {
  switch (fields.integer()) {
    case 0: {
      const [path, type, role] = [fields.text(), pick(TYPES, fields), pick(ROLES, fields)];
      const rest = { sortOrder: fields.integer(), subscribed: fields.boolean() };
      return { do: "create", path, type, ...(role === "none" ? {} : { role }), ...rest };
    }
    case 1: {
      const mailbox = fields.text() as MailboxId;
      const path = fields.optional((item) => item.text());
      const role = fields.optional((item) => pick(ROLES, item));
      const sortOrder = fields.optional((item) => item.integer());
      const subscribed = fields.optional((item) => item.boolean());
      return {
        do: "set",
        mailbox,
        ...(path === undefined ? {} : { path }),
        ...(role === undefined ? {} : { role }),
        ...(sortOrder === undefined ? {} : { sortOrder }),
        ...(subscribed === undefined ? {} : { subscribed }),
      };
    }
    case 2:
      return { do: "destroy", mailbox: fields.text() as MailboxId, ifEmpty: fields.boolean() };
    default:
      throw new RangeError("unknown step");
  }
}

function pick<T>(of: readonly T[], fields: Fields): T {
  const found = of[fields.integer()];
  if (found === undefined) throw new RangeError("unknown number");
  return found;
}
