import type { Position } from "../../bay/position.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import { EngineError } from "../../errors.ts";
import type { Threads } from "../../mail/contents/threads.ts";
import type { NewEmail } from "../../mail/ops/email.ts";
import { notesFrom, timeOfNote } from "../../mail/ops/note-name.ts";
import type { TakenNote } from "../../mail/ops/op.ts";
import { folderOf } from "../../storage/object-kinds.ts";
import type { Report } from "../outbound/report.ts";
import type { MessageWriter } from "./message-writer.ts";
import { NoteReader, type NoteReaderOptions, type ReadNote } from "./note-reader.ts";

/** Notes of one take-in op, and bytes of them in memory at once. */
const NOTES_MAX = 256;
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
/** A number that is missing in a stream of deliveries is told to the owner after so long. */
const GAP_TOLD_MS: number = 24 * 60 * 60_000;

export interface TakeInOptions extends NoteReaderOptions {
  readonly threads: Threads;
  readonly messages: MessageWriter;
  /** Takes what became of mail that the owner sent; again is no error. Errors: `unavailable`. */
  readonly onReport: (report: Report) => Promise<void>;
  /** Looks at a mail that may say what became of another; again is no error. Errors: `unavailable`. */
  readonly onStatusMail: (email: NewEmail) => Promise<void>;
}

/**
 * Takes delivered mail in, exactly once, in order of delivery (docs/rules.md §6). A note that can't be opened stays where it
 * is, blocks nothing, is tried again and told to its owner.
 */
export class TakeIn {
  readonly #options: TakeInOptions;
  readonly #reader: NoteReader;
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
    this.#reader = new NoteReader(options);
  }

  /** A note came, of this name if it is known. */
  tell(name?: string): void {
    if (name === undefined || this.#told.size >= TOLD_MAX) this.#mustList = true;
    else this.#told.add(name.slice(this.#options.prefix.length));
  }

  /** Notes that could not be opened when they were last tried. */
  get unreadable(): readonly string[] {
    return this.#reader.unreadable;
  }

  /** Takes in all that is there; what could not be opened is tried again now. */
  async retry(): Promise<void> {
    await this.settled();
    this.#reader.retry();
    this.#mustList = true;
    this.#lastNote = "";
    await this.run();
  }

  /** How many came that are not taken in yet, as far as is known. */
  get waitingCount(): number {
    return this.#told.size + this.#reader.unreadable.length + this.#underWay;
  }

  /** True if there may be anything to take in. */
  get isWanted(): boolean {
    return this.#mustList || this.#told.size > 0 || this.#running !== undefined || this.#reader.unreadable.length > 0;
  }

  /** Takes in what came, as far as it was told; nothing once that is ended. */
  async run(): Promise<void> {
    // One under way may have listed before the newest note came: wait for it, then look again.
    while (this.#running !== undefined) await this.settled();
    if (this.#ended) return;
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
    await this.run();
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
    for (const name of this.#reader.unreadable) if (this.#reader.isDue(name)) this.#told.add(name);
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
    const fresh = names.filter((name) => !this.#options.bay.state.takenNotes.has(name) && this.#reader.isDue(name));
    this.#underWay = fresh.length;
    try {
      const notes = await this.#reader.read(fresh);
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
    if (outcome.refusal) return this.#noteRefusal();
    // Their bodies are about to be deleted: they came so late that nobody knew whose they were.
    const condemned = notes.filter(({ note }) => outcome.condemned.includes(note));
    const again: ReadNote[] = [];
    for (const note of condemned) {
      const { email } = await messages.again({ email: note.email, flags: [], root: note.root }, "");
      again.push({ ...note, email: { ...email, thread: note.email.thread } });
    }
    if (again.length > 0 && (await push(again, bay.position)).refusal) return this.#noteRefusal();
    this.#refusals = 0;
    return true;
  }

  #noteRefusal(): false {
    if (++this.#refusals <= REFUSALS_MAX) return false;
    this.#refusals = 0;
    throw new EngineError("unavailable", "delivered mail can't be taken in now");
  }

  async #threaded(notes: readonly ReadNote[]): Promise<TakenNote[]> {
    const threads = await this.#options.threads.assign(notes.map(({ email, root }) => ({ ...email, root })));
    return notes.map(({ root, report, isStatus, ...note }, at) => ({
      ...note,
      email: { ...note.email, thread: threads[at]! },
    }));
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
