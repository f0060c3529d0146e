import { composed } from "@restante/mime";
import type { Bay, Push } from "../bay/bay.ts";
import type { Machine } from "../bay/machine.ts";
import type { Position } from "../bay/position.ts";
import { utf8 } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { applyOp } from "./apply/apply.ts";
import type { Uid } from "./numbers.ts";
import type { NewEmail } from "./ops/email.ts";
import { type MailboxId, PATH_DELIMITER } from "./ops/names.ts";
import {
  type AddedEmail,
  CHANGED_AT_ONCE,
  type ChangeItem,
  type FolderStep,
  isEssential,
  LOG_VERSION,
  type NewRecord,
  type Op,
  type SpecialUse,
  type StateClaim,
  type Targets,
} from "./ops/op.ts";
import { decodeOp, encodeOp } from "./ops/op-codec.ts";
import type { Outcome } from "./ops/outcome.ts";
import type { ReadMailbox, ReadState } from "./state/read-state.ts";
import { RECORD_NAME_BYTES_MAX, RECORDS_MAX, VALUE_BYTES_MAX } from "./state/records.ts";
import { MailState, normalizeInbox } from "./state/state.ts";

/** Octets of a path, levels in it, and mailboxes and subscriptions of an account. */
export const PATH_BYTES_MAX = 1000;
export const PATH_DEPTH_MAX = 50;
export const MAILBOXES_MAX = 10_000;
export const SUBSCRIPTIONS_MAX = 10_000;
/** How often an op is authored again because others changed what it was made upon. */
const AUTHOR_TRIES = 10;

/** The functions by which Bay works on mail. */
export const mailMachine: Machine<MailState, Op, Outcome> = {
  initial: () => new MailState(),
  encodeOp,
  decodeOp,
  isEssential,
  apply: applyOp,
};

/** Where copied messages came from and went to: COPYUID, RFC 4315 §3. Uids pair up in order. */
export interface Copied {
  readonly uidValidity: number;
  readonly sourceUids: readonly Uid[];
  readonly uids: readonly Uid[];
}
export interface Appended {
  readonly uidValidity: number;
  readonly uids: readonly Uid[];
}
/** Steps made of the present state, and what they rely on. */
export type FoldersAuthor = () => { readonly steps: readonly FolderStep[]; readonly ifState?: StateClaim | undefined };
/** The part of a log that commands need. */
type MailLog = Pick<Bay<ReadState, Op, Outcome>, "state" | "push">;
/** The bytes of small bodies, which ride in the op's entry, and larger ones that are stored along with it. */
export type Carried = Omit<Push<Op>, "op">;

/**
 * The commands on an account's mail, as protocols know them: each is one op. Answers are made from outcomes; a refused
 * op becomes an EngineError.
 */
export class Mail {
  readonly #log: MailLog;
  readonly #clock: () => number;

  /** `clock` gives milliseconds since 1970. */
  constructor(log: MailLog, clock: () => number) {
    this.#log = log;
    this.#clock = clock;
  }

  /** The same commands for one who may lose the right to them: each look and each change comes after `check`, which
   * throws once they have. */
  guarded(check: () => void): Mail {
    const log = this.#log;
    return new Mail(
      {
        get state() {
          check();
          return log.state;
        },
        async push(push) {
          check();
          return log.push(push);
        },
      },
      this.#clock,
    );
  }

  get state(): ReadState {
    return this.#log.state;
  }

  /** Seconds since 1970: shown in SAVEDATE, and what a UIDVALIDITY starts from. */
  #seconds(): number {
    return Math.floor(this.#clock() / 1000);
  }

  /** Pushes an op; a refusal is thrown as the EngineError it stands for. */
  async push(op: Op, carried: Carried = {}): Promise<Outcome> {
    const outcome = await this.#log.push({ op, ...carried });
    if (outcome.refusal) throw refusalError(outcome.refusal);
    return outcome;
  }

  /** Throws EngineError `not-found`. */
  getMailbox(path: string): ReadMailbox {
    const mailbox = this.state.findPath(path);
    if (!mailbox) throw new EngineError("not-found", "no such mailbox");
    return mailbox;
  }

  /** Throws EngineError `not-found`. */
  mailboxOf(id: MailboxId): ReadMailbox {
    const mailbox = this.state.findMailbox(id);
    if (!mailbox) throw new EngineError("not-found", "no such mailbox");
    return mailbox;
  }

  /** CREATE: RFC 9051 §6.3.4, with the levels above that are missing. Errors: `already-exists`, `invalid`, `over-quota`. */
  async create(path: string, specialUse?: SpecialUse): Promise<MailboxId> {
    const wanted = checkPath(path);
    if (this.state.liveMailboxes().length >= MAILBOXES_MAX) throw new EngineError("over-quota", "too many mailboxes");
    await this.#makeLevelsAbove(wanted);
    const op = { kind: "create", path: wanted, seconds: this.#seconds() } as const;
    const outcome = await this.push(specialUse === undefined ? op : { ...op, specialUse });
    return outcome.mailbox!;
  }

  async #makeLevelsAbove(path: string): Promise<void> {
    const levels = path.split(PATH_DELIMITER);
    for (let depth = 1; depth < levels.length; depth++) {
      const parent = levels.slice(0, depth).join(PATH_DELIMITER);
      if (this.state.findPath(parent)) continue;
      if (this.state.liveMailboxes().length >= MAILBOXES_MAX) throw new EngineError("over-quota", "too many mailboxes");
      await this.push({ kind: "create", path: parent, seconds: this.#seconds() }).catch(unlessExists);
    }
  }

  /** The mailbox at `path`, made if there is none, by us or by another meanwhile. */
  async ensure(path: string): Promise<MailboxId> {
    if (!this.state.findPath(path)) await this.create(path).catch(unlessExists);
    return this.getMailbox(path).id;
  }

  /** DELETE: RFC 9051 §6.3.5. Mailboxes below stay. Errors: `not-found`, `not-permitted` for INBOX. */
  async delete(mailbox: MailboxId): Promise<void> {
    await this.push({ kind: "delete", mailbox });
  }

  /** RENAME: RFC 9051 §6.3.6, with all mailboxes below, and the levels above that are missing; INBOX's mail moves and INBOX
   * stays. A level that only names below it have is renamed too. Errors: `not-found`, `already-exists`, `invalid`,
   * `over-quota`. */
  async rename(from: string, to: string): Promise<void> {
    const wanted = checkPath(to);
    const old = normalizeInbox(composed(from));
    if (this.#renamed(old, wanted).length === 0) throw new EngineError("not-found", "no such mailbox");
    if (this.state.holderOf(wanted)) throw new EngineError("already-exists", "a mailbox of that name exists");
    if (old !== "INBOX" && wanted.startsWith(old + PATH_DELIMITER))
      throw new EngineError("invalid", "a mailbox can't be moved below itself");
    await this.#makeLevelsAbove(wanted);
    if (old === "INBOX") {
      await this.push({ kind: "rename-inbox", path: wanted, seconds: this.#seconds() });
      return;
    }
    await this.#authored(() => ({ op: { kind: "rename", paths: this.#renamed(old, wanted) } }));
  }

  /** The mailbox at the path `old`, if there is one, then those below it, with the paths that they get. */
  #renamed(old: string, wanted: string): { readonly mailbox: MailboxId; readonly path: string }[] {
    const own = this.state.findPath(old);
    const items = [...(own ? [own] : []), ...this.state.below(old)];
    return items.map(({ id, path }) => ({ mailbox: id, path: checkPath(wanted + path.slice(old.length)) }));
  }

  /** SUBSCRIBE and UNSUBSCRIBE: RFC 9051 §6.3.7; the mailbox need not exist. Errors: `invalid`, `over-quota`. */
  async subscribe(path: string, on: boolean): Promise<void> {
    const { subscriptions } = this.state;
    const wanted = checkPath(path);
    if (on && subscriptions.size >= SUBSCRIPTIONS_MAX && !subscriptions.has(wanted))
      throw new EngineError("over-quota", "too many subscriptions");
    await this.push({ kind: "subscribe", path: wanted, on });
  }

  /** Emails whose bodies are sealed are put into their mailboxes. `since` is the position that was applied before the
   * first body's first byte was stored. Errors: `not-found` where all of the mailboxes are gone. */
  async add(emails: readonly AddedEmail[], since: Position, carried: Carried): Promise<Appended> {
    const outcome = await this.push({ kind: "add", emails, since, seconds: this.#seconds() }, carried);
    return { uidValidity: outcome.uidValidity ?? 0, uids: outcome.addedUids };
  }

  /** Changes emails for JMAP and phones, each item wholly or not at all: the outcome tells of each. Errors: `conflict` where
   * `ifState` doesn't hold. */
  async change(items: readonly ChangeItem[], ifState?: StateClaim): Promise<Outcome> {
    return this.push({ kind: "change", items, seconds: this.#seconds(), ...(ifState && { ifState }) });
  }

  /** Mailboxes made, changed and destroyed by one op, all or none: `author` makes the steps of the present state. Resolves
   * with the outcome, which names the step that was refused, if one was. Errors: `conflict` where the claim doesn't hold. */
  async changeFolders(author: FoldersAuthor): Promise<Outcome> {
    for (let tries = 1; ; tries++) {
      const { steps, ifState } = author();
      const op: Op = { kind: "folders", steps, seconds: this.#seconds(), ...(ifState && { ifState }) };
      const outcome = await this.#log.push({ op });
      if (outcome.refusal !== undefined && outcome.step === undefined) throw refusalError(outcome.refusal);
      if (outcome.refusal !== "stale" || tries === AUTHOR_TRIES) return outcome;
    }
  }

  /** A message takes the place of another, in its mailbox, by one op; it has these flags. `since`: as for {@link add}. Errors:
   * `expunged` where that is gone, `not-found` where the mailbox is. */
  async replace(
    { mailbox, targets }: Targets,
    email: NewEmail,
    flags: { readonly add: readonly string[]; readonly remove: readonly string[] },
    since: Position,
    carried: Carried,
  ): Promise<Appended> {
    const op = { kind: "replace", mailbox, target: targets, email, ...flags, since, seconds: this.#seconds() } as const;
    const outcome = await this.push(op, carried);
    return { uidValidity: outcome.uidValidity ?? 0, uids: outcome.addedUids };
  }

  /** Writes records, all or none. Errors: `too-large`, `invalid` for a type or id that is too long, `over-quota`; `conflict`
   * where `ifState` doesn't hold. */
  async writeRecords(records: readonly NewRecord[], ifState?: StateClaim): Promise<void> {
    const tooLong = (text: string): boolean => utf8(text).length > RECORD_NAME_BYTES_MAX;
    if (records.some(({ type, id }) => tooLong(type) || tooLong(id)))
      throw new EngineError("invalid", "the name of a record is too long");
    if (records.some(({ value }) => (value?.length ?? 0) > VALUE_BYTES_MAX))
      throw new EngineError("too-large", "the value of a record is too large");
    if (this.state.records.live + records.length > RECORDS_MAX) throw new EngineError("over-quota", "too many records");
    await this.push({ kind: "record", records, ...(ifState && { ifState }) });
  }

  /** COPY and MOVE, wholly or not at all. `messages`: how many at most. Errors: `not-found`, `over-quota`. */
  async transfer(kind: "copy" | "move", targets: Targets, to: MailboxId, messages: number): Promise<Copied> {
    const { uidValidity } = this.mailboxOf(to);
    if (targets.targets.length === 0) return { uidValidity, sourceUids: [], uids: [] };
    const inParts = kind === "copy" && messages > CHANGED_AT_ONCE;
    // A program that can't read copies in parts stops at `requires`.
    if (inParts && this.state.requires < LOG_VERSION) await this.push({ kind: "requires", version: LOG_VERSION });
    const op = { ...targets, to, seconds: this.#seconds() };
    const outcome = await this.push(kind === "copy" ? { kind, ...op, ...(inParts && { inParts }) } : { kind, ...op });
    return {
      uidValidity: outcome.uidValidity ?? uidValidity,
      sourceUids: outcome.sourceUids,
      uids: outcome.addedUids,
    };
  }

  /** Pushes what `author` makes of the present state, again if it turns out to be made upon a stale one. */
  async #authored(author: () => Push<Op>): Promise<Outcome> {
    for (let tries = 1; ; tries++) {
      const outcome = await this.#log.push(author());
      if (outcome.refusal !== "stale" || tries === AUTHOR_TRIES) {
        if (outcome.refusal) throw refusalError(outcome.refusal);
        return outcome;
      }
    }
  }
}

/** A path in the form that is stored. Throws EngineError `invalid`: empty levels, control characters, too long. */
function checkPath(path: string): string {
  const levels = path.split(PATH_DELIMITER);
  const bytes = new TextEncoder().encode(path).length;
  const bad = levels.some((level) => level === "") || /[\u0000-\u001f\u007f-\u009f]/.test(path) || !path.isWellFormed();
  if (bad || bytes > PATH_BYTES_MAX || levels.length > PATH_DEPTH_MAX)
    throw new EngineError("invalid", "invalid mailbox name");
  return normalizeInbox(composed(path));
}

function unlessExists(error: unknown): void {
  if (!(error instanceof EngineError && error.code === "already-exists")) throw error;
}

/** A refusal as the error that it stands for. */
export function refusalError(refusal: NonNullable<Outcome["refusal"]>): EngineError {
  switch (refusal) {
    case "no-mailbox":
      return new EngineError("not-found", "no such mailbox");
    case "path-taken":
      return new EngineError("already-exists", "a mailbox of that name exists");
    case "inbox":
      return new EngineError("not-permitted", "INBOX can't be deleted");
    case "not-empty":
      return new EngineError("not-permitted", "the mailbox is not empty");
    case "has-child":
      return new EngineError("not-permitted", "there are mailboxes below it");
    case "gone":
      return new EngineError("expunged", "the message is gone");
    case "changed":
    case "stale":
    case "condemned":
      return new EngineError("conflict", "changed meanwhile, try again");
    case "messages":
      return new EngineError("over-quota", "the account would have too many messages");
    case "keywords":
      return new EngineError("over-quota", "there would be too many keywords");
  }
}
