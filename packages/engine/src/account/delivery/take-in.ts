import { findHeader, isReport as isStatusMail, parseHeaders } from "@restante/mime";
import { hexText } from "../../bay/entry.ts";
import type { Position } from "../../bay/position.ts";
import { limited, serial } from "../../bay/serial.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import { CryptoError, type OpenedNote, openNote, type Ring } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { decodeDelivered } from "../../mail/contents/delivered.ts";
import { conversationOf } from "../../mail/contents/digest.ts";
import { decodeHeader } from "../../mail/contents/header.ts";
import type { Threads } from "../../mail/contents/threads.ts";
import type { Mail } from "../../mail/mail.ts";
import type { NewEmail } from "../../mail/ops/email.ts";
import { INBOX_ID } from "../../mail/ops/names.ts";
import { notesFrom, timeOfNote } from "../../mail/ops/note-name.ts";
import type { TakenNote } from "../../mail/ops/op.ts";
import { isOfForgotten } from "../../mail/state/note-streams.ts";
import { folderOf } from "../../storage/object-kinds.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { MailLog } from "../open-log.ts";
import { decodeReport, isReport, type Report } from "../outbound/report.ts";
import type { Platform } from "../platform.ts";
import type { MessageWriter } from "./message-writer.ts";
import type { Notices } from "./notices.ts";

/** Notes of one take-in op, and bytes of them in memory at once. */
const NOTES_MAX = 256;
/** Notes whose signatures and secrets are looked at at once: other work of those threads, reads of files, has its turn. */
const OPENED_AT_ONCE = 16;
/** Ids that the mails of one take-in op bear and refer to, together: to apply more would keep all others waiting. */
export const IDS_AT_ONCE = 1024;
const ID_BYTES = 8;
/** Names of notes that are kept until somebody is there to take them in; where more came the store is asked for all. */
const TOLD_MAX = 4096;
/** An op that is refused is made again upon a newer view, so often. More is a mistake of ours, which must not run for ever. */
const REFUSALS_MAX = 20;
/** How long none comes until those that nobody waits for are taken in. */
const QUIET_MS = 2000;
/** How much later than its name says a note may come: deliveries end within two hours, and hosts' clocks differ. Each
 * opening of an account looks at all. */
const NOTE_DELAY_MAX_MS: number = 3 * 60 * 60_000;
/** How old a note may be whose copy will do: its name came from a list, or from who put it. Much less than the day after
 * which a note that was taken in may be gone and forgotten: one that is read still would be taken in twice. */
const NOTE_COPY_AGE_MAX_MS: number = 60 * 60_000;
/** A note that does not open is tried so often, so long apart, before its owner is told. */
const UNREADABLE_TRIES = 3;
const UNREADABLE_RETRY_MS: number = 30 * 60_000;
/** A number that is missing in a stream of deliveries is told to the owner after so long. */
const GAP_TOLD_MS: number = 24 * 60 * 60_000;

/** Where mail without a good signature goes. */
export const UNVERIFIED = "Unverified";
/** Where the owner is told of mail that can't be opened. */
export const UNREADABLE = "Unreadable";

export interface TakeInOptions {
  readonly bay: MailLog;
  readonly mail: Mail;
  readonly threads: Threads;
  readonly messages: MessageWriter;
  readonly notices: Notices;
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly platform: Platform;
  readonly ring: Ring;
  /** Takes what became of mail that the owner sent; again is no error. Errors: `unavailable`. */
  readonly onReport: (report: Report) => Promise<void>;
  /** Looks at a mail that may say what became of another; again is no error. Errors: `unavailable`. */
  readonly onStatusMail: (email: NewEmail) => Promise<void>;
}

/** A note that was opened, and what its conversation is known by, if it begins one; or a report, which is no mail. */
type ReadNote = TakenNote & { readonly root: Uint8Array; readonly report?: Report; readonly isStatus?: boolean };

interface Failure {
  readonly tries: number;
  readonly lastTry: number;
}

/**
 * Takes delivered mail in, exactly once, in order of delivery (docs/rules.md §6). A note that can't be opened stays where it
 * is, blocks nothing, is tried again and told to its owner.
 */
export class TakeIn {
  readonly #options: TakeInOptions;
  readonly #failures = new Map<string, Failure>();
  /** Notes that came, by name, since they were last looked for. */
  readonly #told = new Set<string>();
  /** Some may have come of which nobody told a name. */
  #mustList = true;
  #lastNote = "";
  #running: Promise<void> | undefined;
  /** Notes that came while nobody waited for them. */
  #arrivals = 0;
  /** Ops that were refused one after the other. */
  #refusals = 0;
  /** Notes of the taking-in under way that are not done. */
  #underWay = 0;
  #waitsForQuiet = false;
  #ended = false;

  constructor(options: TakeInOptions) {
    this.#options = options;
  }

  /** A note came, of this name if it is known. */
  tell(name?: string): void {
    if (name === undefined || this.#told.size >= TOLD_MAX) this.#mustList = true;
    else this.#told.add(name.slice(this.#options.prefix.length));
  }

  /** Notes that could not be opened when they were last tried. */
  get unreadable(): readonly string[] {
    return [...this.#failures.keys()].sort();
  }

  /** Takes in all that is there; what could not be opened is tried again now. */
  async retry(): Promise<void> {
    await this.settled();
    for (const [name, { tries }] of this.#failures)
      this.#failures.set(name, { tries, lastTry: Number.NEGATIVE_INFINITY });
    this.#mustList = true;
    this.#lastNote = "";
    await this.run();
  }

  /** How many came that are not taken in yet, as far as is known. */
  get waitingCount(): number {
    return this.#told.size + this.#failures.size + this.#underWay;
  }

  /** True if there may be anything to take in. */
  get isWanted(): boolean {
    return this.#mustList || this.#told.size > 0 || this.#running !== undefined || this.#failures.size > 0;
  }

  /** Takes in what came, as far as it was told. */
  async run(): Promise<void> {
    // One under way may have listed before the newest note came: wait for it, then look again.
    while (this.#running !== undefined) await this.settled();
    this.#running = this.#takeInAll().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  /** Takes in what came when no more has come for a while: all at once it costs less, and nobody waits for it. */
  async runWhenQuiet(): Promise<void> {
    this.#arrivals++;
    if (this.#waitsForQuiet) return;
    this.#waitsForQuiet = true;
    let seen: number;
    do {
      seen = this.#arrivals;
      await this.#options.platform.delay(QUIET_MS);
    } while (seen !== this.#arrivals);
    this.#waitsForQuiet = false;
    if (!this.#ended) await this.run();
  }

  /** Begins no more. Waits for the one under way. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.settled();
  }

  /** Waits for the take-in under way; its failure was told to the caller that began it. */
  async settled(): Promise<void> {
    await this.#running?.catch(() => undefined);
  }

  async #takeInAll(): Promise<void> {
    if (this.#options.bay.barred) return;
    if (this.#mustList) await this.#takeListed();
    // The list does not reach back to all of these.
    for (const name of this.#failures.keys()) if (this.#isDue(name)) this.#told.add(name);
    await this.#takeTold();
    await this.#tellOfGaps();
  }

  async #takeListed(): Promise<void> {
    const { bay, store, prefix } = this.#options;
    this.#mustList = false;
    this.#told.clear();
    try {
      // A note may be stored after one of a later name: its name is given before its bytes are there.
      let after = this.#lastNote === "" ? "" : `${prefix}${notesFrom(timeOfNote(this.#lastNote) - NOTE_DELAY_MAX_MS)}`;
      for (;;) {
        const listed = bay.position;
        const { objects } = await asStoreFailure(store.list(prefix + folderOf("note"), { after, limit: NOTES_MAX }));
        if (objects.length === 0) return;
        const names = objects.map(({ name }) => name.slice(prefix.length));
        // A list that is too old by now is made again.
        if (!(await this.#take(names, listed))) continue;
        after = objects.at(-1)!.name;
        if (names.at(-1)! > this.#lastNote) this.#lastNote = names.at(-1)!;
        // A list that was not full has shown all.
        if (objects.length < NOTES_MAX) return;
      }
    } catch (error) {
      this.#mustList = true;
      throw error;
    }
  }

  async #takeTold(): Promise<void> {
    while (this.#told.size > 0) {
      const listed = this.#options.bay.position;
      const names = [...this.#told].sort().slice(0, NOTES_MAX);
      for (const name of names) this.#told.delete(name);
      const isTaken = await this.#take(names, listed).catch((error: unknown) => {
        this.#mustList = true;
        throw error;
      });
      if (!isTaken) for (const name of names) this.#told.add(name);
    }
  }

  /** Takes these notes in, those that were not. Resolves with false if that must be made upon a newer view. */
  async #take(names: readonly string[], listed: Position): Promise<boolean> {
    const fresh = names.filter((name) => !this.#options.bay.state.takenNotes.has(name) && this.#isDue(name));
    this.#underWay = fresh.length;
    try {
      // Asked for at once, and opened by some at once, but each with a turn of the event loop of its own.
      const inTurn = serial();
      const opened = limited(OPENED_AT_ONCE);
      const notes = await Promise.all(
        fresh.map(async (name) => {
          const bytes = await this.#getNote(name);
          return bytes && opened(() => this.#openNote(name, bytes, inTurn));
        }),
      );
      const good = notes.filter((note) => note !== undefined);
      // Killed in between it is written again: what it says is the same.
      await Promise.all(good.map(async ({ report }) => report && this.#options.onReport(report)));
      for (const { isStatus, email } of good) if (isStatus) await this.#options.onStatusMail(email);
      for (const some of inParts(good)) if (!(await this.#push(some, listed))) return false;
      return true;
    } finally {
      this.#underWay = 0;
    }
  }

  /** Resolves with false if the op was refused: it must be made upon a newer view. Errors: `unavailable` when that was so too
   * often. */
  async #push(notes: readonly ReadNote[], listed: Position): Promise<boolean> {
    const { bay, messages, platform } = this.#options;
    const seconds = Math.floor(platform.now() / 1000);
    const push = async (some: readonly ReadNote[], upon: Position) =>
      bay.push({ op: { kind: "take-in", notes: await this.#threaded(some), listed: upon, seconds } });
    const outcome = await push(notes, listed);
    this.#refusals = outcome.refusal ? this.#refusals + 1 : 0;
    if (this.#refusals > REFUSALS_MAX) {
      this.#refusals = 0;
      throw new EngineError("unavailable", "delivered mail can't be taken in now");
    }
    if (outcome.refusal) return false;
    // Their bodies are about to be deleted: they came so late that nobody knew whose they were.
    const condemned = notes.filter(({ note }) => outcome.condemned.includes(note));
    if (condemned.length === 0) return true;
    const again: ReadNote[] = [];
    for (const note of condemned) {
      const { email } = await messages.again({ email: note.email, flags: [], root: note.root }, "");
      again.push({ ...note, email: { ...email, thread: note.email.thread } });
    }
    return (await push(again, bay.position)).refusal === undefined;
  }

  async #threaded(notes: readonly ReadNote[]): Promise<TakenNote[]> {
    const threads = await this.#options.threads.assign(notes.map(({ email, root }) => ({ ...email, root })));
    return notes.map(({ root, report, isStatus, ...note }, at) => ({
      ...note,
      email: { ...note.email, thread: threads[at]! },
    }));
  }

  async #getNote(name: string): Promise<Uint8Array | undefined> {
    const { store, prefix } = this.#options;
    // A note that did not open may have been damaged on its way here.
    const copyAgeMaxMs = this.#failures.has(name) ? undefined : NOTE_COPY_AGE_MAX_MS;
    const got = await asStoreFailure(store.get(prefix + name, undefined, { copyAgeMaxMs }));
    return got.found ? got.bytes : undefined;
  }

  /** Signature and secret are looked at in other threads; what the note says is read in a turn of its own. */
  async #openNote(name: string, bytes: Uint8Array, inTurn: ReturnType<typeof serial>): Promise<ReadNote | undefined> {
    const { platform, ring } = this.#options;
    try {
      const note = await openNote(platform.crypto, ring, name, bytes, platform.trustedHosts);
      return await inTurn(async () => {
        await platform.breathe?.();
        return this.#readNote(name, bytes, this.#vouch(name, note));
      });
    } catch (error) {
      if (!(error instanceof CryptoError || error instanceof RangeError)) throw error;
      await this.#noteFailure(name, bytes.length, error);
      return undefined;
    }
  }

  async #readNote(name: string, bytes: Uint8Array, note: OpenedNote): Promise<ReadNote> {
    if (isReport(note.summary)) return this.#readReport(name, note, decodeReport(note.summary));
    const { bodyId, objectLength, ...mail } = decodeDelivered(note.summary);
    const fields = parseHeaders(decodeHeader(mail.header));
    const { ids, subject, root } = conversationOf(fields);
    const email: NewEmail = {
      ...mail,
      ids,
      subject,
      id: bodyId,
      place:
        objectLength === 0
          ? { in: "note", name, offset: note.bodyOffset, length: bytes.length - note.bodyOffset }
          : { in: "object", length: objectLength },
      thread: new Uint8Array(8),
    };
    this.#failures.delete(name);
    return {
      note: name,
      email,
      root,
      places: [{ mailbox: note.verified ? INBOX_ID : await this.#options.mail.ensure(UNVERIFIED), flags: [] }],
      stream: note.verified ? streamOf(note) : "",
      counter: note.origin.counter,
      givenUp: note.origin.givenUp,
      isStatus: note.verified && isStatusMail(findHeader(fields, "content-type") ?? ""),
    };
  }

  /** A note of a stream that is forgotten may have been taken in long ago: it counts as one that nobody signed. */
  #vouch(name: string, note: OpenedNote): OpenedNote {
    const { bay, platform } = this.#options;
    const isForgotten = isOfForgotten(bay.state, { note: name, stream: streamOf(note), nowMs: platform.now() });
    return isForgotten ? { ...note, verified: false } : note;
  }

  /** Reads a report: it counts in its stream as notes do, and goes into no mailbox. One that no trusted host signed has no
   * effect. */
  #readReport(note: string, { origin, verified }: OpenedNote, report: Report): ReadNote {
    this.#failures.delete(note);
    return {
      note,
      email: NO_EMAIL,
      root: NO_EMAIL.thread,
      places: [],
      stream: verified ? streamOf({ origin }) : "",
      counter: origin.counter,
      givenUp: origin.givenUp,
      ...(verified && { report }),
    };
  }

  #isDue(name: string): boolean {
    const failure = this.#failures.get(name);
    return failure === undefined || this.#options.platform.monotonic() - failure.lastTry >= UNREADABLE_RETRY_MS;
  }

  async #noteFailure(name: string, size: number, error: Error): Promise<void> {
    const { platform, notices } = this.#options;
    const tries = (this.#failures.get(name)?.tries ?? 0) + 1;
    this.#failures.set(name, { tries, lastTry: platform.monotonic() });
    platform.log({ level: "warn", event: "note can't be opened", note: name, tries, error });
    if (tries < UNREADABLE_TRIES) return;
    const came = new Date(Number.parseInt(name.slice(5, 17), 16));
    await notices.tell(UNREADABLE, `unreadable ${name}`, "A message can't be opened", [
      `A message of about ${size} bytes came at ${Number.isNaN(came.getTime()) ? "an unknown time" : came.toUTCString()}`,
      "and can't be opened: it was damaged, or sealed to a key that this account does not have.",
      "It is kept as it is, and tried again each time the account is opened.",
      `Your provider knows it as ${name}.`,
    ]);
  }

  /** Deliveries that were numbered by their host and never came: somebody may keep them back. */
  async #tellOfGaps(): Promise<void> {
    const { bay, notices, platform } = this.#options;
    const before = Math.floor((platform.now() - GAP_TOLD_MS) / 1000);
    for (const [stream, { missing }] of bay.state.streams)
      for (const [number, seconds] of missing)
        if (seconds <= before)
          await notices.tell("INBOX", `missing ${stream} ${number}`, "A delivery is missing", [
            `Your mail server took a message for you before ${new Date(seconds * 1000).toUTCString()},`,
            `and the store does not show it: delivery ${number} of ${stream.slice(0, 16)}.`,
            "It was lost in the store, or somebody keeps it back. Tell your provider.",
          ]);
  }
}

/** Stands in an op where no mail is. */
const NO_EMAIL: NewEmail = {
  id: new Uint8Array(16),
  key: new Uint8Array(32),
  size: 0,
  place: { in: "object", length: 0 },
  receivedMs: 0,
  receivedZone: 0,
  sentMs: 0,
  sentZone: 0,
  thread: new Uint8Array(8),
  ids: new Uint8Array(0),
  subject: new Uint8Array(0),
  summary: new Uint8Array(0),
  header: new Uint8Array(0),
};

/** Notes in their order, as many at once as one op may refer to. */
function inParts(notes: readonly ReadNote[]): ReadNote[][] {
  const parts: ReadNote[][] = [];
  let ids = Number.POSITIVE_INFINITY;
  for (const note of notes) {
    ids += note.email.ids.length / ID_BYTES;
    if (ids > IDS_AT_ONCE) {
      ids = note.email.ids.length / ID_BYTES;
      parts.push([]);
    }
    parts.at(-1)!.push(note);
  }
  return parts;
}

function streamOf({ origin }: Pick<OpenedNote, "origin">): string {
  return hexText(origin.host) + hexText(origin.stream);
}
