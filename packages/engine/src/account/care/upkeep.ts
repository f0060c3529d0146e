import { entryName, entryNumber } from "../../bay/entry.ts";
import { type ListedObject, listObjects } from "../../bay/list-objects.ts";
import { ReadingEnded } from "../../bay/log-end.ts";
import { MANIFESTS, manifestNumber } from "../../bay/manifest.ts";
import type { Position } from "../../bay/position.ts";
import type { CaptureSource, Thorough } from "../../bay/snapshots.ts";
import { asEngineError, asStoreFailure } from "../../bay/store-failure.ts";
import { equalBytes } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { hasDeadWeight } from "../../mail/checkpoint/shrink.ts";
import { captureMail, pagesOf } from "../../mail/checkpoint/snapshot.ts";
import type { Contents } from "../../mail/contents/contents.ts";
import { bodyId } from "../../mail/ops/names.ts";
import { LOG_VERSION } from "../../mail/ops/op.ts";
import { hasSilent, newestNoteMs, STREAM_SILENT_MS } from "../../mail/state/note-streams.ts";
import { namesIn } from "../../mail/state/pages.ts";
import type { MailState } from "../../mail/state/state.ts";
import { folderOf, kindIn, kindsOf } from "../../storage/object-kinds.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { adoptCheckpoint, type MailLog } from "../open-log.ts";
import type { Platform } from "../platform.ts";

/** Entries and bytes after a checkpoint at which the next is due; an opening reads all of them. */
interface TailLimits {
  readonly entries: number;
  readonly bytes: number;
}
const LOCAL_TAIL: TailLimits = { entries: 1000, bytes: 8 * 2 ** 20 };
/** For a store that is asked over a network, one request an entry. */
const REMOTE_TAIL: TailLimits = { entries: 64, bytes: 2 ** 20 };
/** Checkpoints take at most this share of the time while changes come in fast. */
const CHECKPOINT_SHARE = 0.1;

/** Covered log entries are kept this long after their checkpoint was announced, and condemned objects after that was
 * decided, by the store's dates: whoever still reads them has that long. */
const KEEP_MS: number = 24 * 60 * 60_000;
/** So long after it was condemned an object may be needed again: half a day before anybody deletes it. */
const NEEDED_MS: number = 12 * 60 * 60_000;
/** Objects that nothing names for as long as this may be garbage: a delivery writes its note within two hours of its body. */
const UNNAMED_MS: number = 3 * 60 * 60_000;
/** How often garbage is looked for, and whether there is anything to do at all. */
const COLLECT_MS: number = 20 * 60 * 60_000;
const RUN_MS: number = 60 * 60_000;
const TICK_MS = 60_000;
/** Removals are left out of pages and packs after this long, and rows get new numbers no more often. */
const SWEEP_MS: number = 11 * 60 * 60_000;
const SHRINK_MS: number = 23 * 60 * 60_000;
/** Names of one request or op. */
const NAMES_MAX = 1000;
/** Checkpoints that may stand above the current one, their makers having died before they could announce them. */
const MANIFESTS_MAX = 64;
/** Manifests below the current one that are read for what they name: the newest. */
const OLDER_MANIFESTS_MAX = 8;
/** When an object's age by the store's dates alone says that no upload of it is under way. */
const OLD_MS: number = 24 * 60 * 60_000;

export interface UpkeepOptions {
  readonly bay: MailLog;
  readonly contents: Contents;
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly platform: Platform;
  /** Does what else is due when what is no longer needed is gone. */
  readonly also: () => Promise<void>;
  /** True if notes may wait. */
  readonly hasNotes: () => boolean;
}

/**
 * Keeps an open account's log short and its part of the store free of what nobody names: checkpoints, trimming,
 * collection (docs/rules.md §3 to §5). It decides nothing by itself that another process could contradict: what is to be
 * deleted is decided in the log, and deleted a day later.
 */
export class Upkeep {
  readonly #bay: MailLog;
  readonly #contents: Contents;
  readonly #store: ObjectStore;
  readonly #prefix: string;
  readonly #platform: Platform;
  readonly #also: () => Promise<void>;
  readonly #hasNotes: () => boolean;
  readonly #stop: (() => void)[] = [];
  #checkpointing: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  #lastRun = Number.NEGATIVE_INFINITY;
  #nextCheckpoint = Number.NEGATIVE_INFINITY;
  /** One that is due waits for its time. */
  #isLater = false;
  #disposed = false;
  /** True if the current checkpoint can be read, as far as this run has asked. */
  #readable: Promise<boolean> | undefined;
  /** Unnamed objects of the last listing, with the time at which a listing showed them first, on the monotonic clock. */
  #unnamed = new Map<string, number>();
  /** When what the last look found too young may be condemned, on that clock. */
  #collectAgain = Number.POSITIVE_INFINITY;

  constructor({ bay, contents, store, prefix, platform, also, hasNotes }: UpkeepOptions) {
    this.#also = also;
    this.#hasNotes = hasNotes;
    this.#bay = bay;
    this.#contents = contents;
    this.#store = store;
    this.#prefix = prefix;
    this.#platform = platform;
    this.#stop.push(
      bay.onApplied(() => {
        this.#adoptIfDue();
        this.#checkpointIfDue();
      }),
    );
    const stopTicking = platform.every?.(TICK_MS, () => {
      if (platform.monotonic() - this.#lastRun >= RUN_MS) void this.#runQuietly();
    });
    if (stopTicking) this.#stop.push(stopTicking);
    this.#checkpointIfDue();
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const stop of this.#stop) stop();
    // A failure was told to the caller that began the work.
    await this.#checkpointing?.catch(() => undefined);
    await this.#running?.catch(() => undefined);
  }

  get #state(): MailState {
    return this.#bay.state;
  }

  #adoptIfDue(): void {
    const { checkpoint, pages } = this.#state;
    if (checkpoint && checkpoint.covers > pages.covers && this.#checkpointing === undefined)
      adoptCheckpoint(this.#bay).catch((error: unknown) => this.#warn("checkpoint can't be read", error));
  }

  #checkpointIfDue(): void {
    const { entries, bytes } = this.#bay.tail;
    const limits = this.#store.freshen ? LOCAL_TAIL : REMOTE_TAIL;
    const isDue = entries >= limits.entries || bytes >= limits.bytes || this.#isCurrentLost();
    if (!isDue || this.#mustHoldStill || this.#disposed) return;
    const waitMs = this.#nextCheckpoint - this.#platform.monotonic();
    if (waitMs > 0) void this.#checkpointLater(waitMs);
    else this.checkpoint().catch((error: unknown) => this.#warn("checkpoint failed", error));
  }

  /** Nothing may be written, or what is there is not yet all that can be recovered: what is made of it would be for ever. */
  get #mustHoldStill(): boolean {
    return this.#bay.barred !== undefined || this.#bay.isRecovering;
  }

  /** The checkpoint that others open by is damaged. Entries that it covers leave the log in a day. */
  #isCurrentLost(): boolean {
    const { lostCheckpoint } = this.#bay;
    return lostCheckpoint !== undefined && lostCheckpoint === this.#state.checkpoint?.covers;
  }

  /** When it may be made again, whether anything is written then or not: who comes next should not have to wait for it. */
  async #checkpointLater(waitMs: number): Promise<void> {
    if (this.#isLater) return;
    this.#isLater = true;
    await this.#platform.delay(waitMs);
    this.#isLater = false;
    this.#checkpointIfDue();
  }

  /** Writes a checkpoint; sessions go on meanwhile. A failure costs nothing but the next try. */
  checkpoint(thorough: Thorough = "changes"): Promise<void> {
    const begun = this.#platform.monotonic();
    this.#checkpointing ??= this.#checkpoint(thorough).finally(() => {
      this.#checkpointing = undefined;
      const now = this.#platform.monotonic();
      this.#nextCheckpoint = now + (now - begun) / CHECKPOINT_SHARE;
    });
    return this.#checkpointing;
  }

  async #checkpoint(thorough: Thorough): Promise<void> {
    await this.#bay.sync();
    await this.#adoptUnlessLost();
    // A program that can't read the coming entries stops at `requires`.
    if (this.#state.requires < LOG_VERSION) await this.#bay.push({ op: { kind: "requires", version: LOG_VERSION } });
    const startedAt = this.#bay.position;
    const upon = this.#state.checkpoint?.covers ?? 0;
    try {
      await this.#capture(thorough, startedAt);
      if (thorough === "anew") await adoptCheckpoint(this.#bay);
    } catch (error) {
      if (!(error instanceof EngineError && error.code === "corrupt")) throw error;
      // Objects that the checkpoint needs may be gone because another checkpoint holds their content.
      await this.#bay.sync();
      if ((this.#state.checkpoint?.covers ?? 0) <= upon) throw error;
      throw new EngineError("conflict", "another checkpoint was made meanwhile", { cause: error });
    }
  }

  /** Writes what the state is now and announces it; sessions go on meanwhile. `startedAt` is where the log stood before. */
  async #capture(thorough: Thorough, startedAt: Position): Promise<void> {
    const { breathe } = this.#platform;
    const source: CaptureSource<MailState> = (state, covers, how) =>
      captureMail(state, this.#contents, { covers, thorough: how, breathe });
    const captured = await this.#bay.capture(source, thorough);
    try {
      const { covers, manifest, emails, numbering, sweeps } = await captured.write();
      const silentBefore = await this.#silentBefore();
      const outcome = await this.#bay.push({
        op: {
          kind: "checkpoint",
          covers,
          manifest,
          emailRows: emails,
          startedAt,
          numbering,
          sweeps,
          ...(silentBefore !== undefined && { silentBefore }),
        },
      });
      // Its manifest stays where it is: another may come to be of that name, and a deletion may come late.
      if (outcome.refusal)
        throw new EngineError("conflict", "another checkpoint was made, or objects were condemned, meanwhile");
      captured.commit();
    } catch (error) {
      captured.abandon();
      throw asEngineError(error);
    }
  }

  /** Before when a stream of notes must have ended to be forgotten now; undefined if none is. By the earlier of two clocks, and
   * by the newest note: a clock that is ahead would make strangers of hosts. */
  async #silentBefore(): Promise<number | undefined> {
    const before = Math.min(this.#platform.now(), newestNoteMs(this.#state)) - STREAM_SILENT_MS;
    if (this.#hasNotes() || !hasSilent(this.#state, before)) return undefined;
    const { now } = await asStoreFailure(this.#store.list(this.#prefix + folderOf("checkpoint"), { limit: 1 }));
    return Math.floor(Math.min(before, now - STREAM_SILENT_MS));
  }

  /** A current checkpoint that is damaged is left behind: the next one is made of the pages before it. Some of these may be
   * condemned, since the damaged one replaced them: they are needed again, unless somebody may be about to delete them. */
  async #adoptUnlessLost(): Promise<void> {
    try {
      await adoptCheckpoint(this.#bay);
    } catch (error) {
      if (!(this.#isCurrentLost() && isUnreadable(error))) throw error;
      const { pages, condemned, trimmed } = this.#state;
      const needed = [...namesIn(pages)].filter((name) => condemned.has(name));
      for (const entry of new Set(needed.map((name) => condemned.get(name)!)))
        if (await this.#isEntryOld(entry, NEEDED_MS)) throw error;
      for (let at = 0; at < needed.length; at += NAMES_MAX) {
        const names = needed.slice(at, at + NAMES_MAX);
        await this.#bay.push({ op: { kind: "forget", names, notes: [], trimmed } });
      }
      this.#platform.log({ level: "error", event: "a checkpoint is damaged; another is made without it", error });
    }
  }

  async #runQuietly(): Promise<void> {
    await this.run().catch((error: unknown) => this.#warn("upkeep failed", error));
  }

  /** Deletes what may be deleted by now, and decides what may be later. Safe at any time, in any number of processes. */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    if (this.#mustHoldStill) return;
    this.#lastRun = this.#platform.monotonic();
    await this.#bay.sync();
    await adoptCheckpoint(this.#bay);
    this.#readable = undefined;
    const notes = await this.#deleteNotes();
    const trimmed = await this.#trim();
    const names = await this.#deleteCondemned();
    // A note is forgotten once the entry that took it in is gone: that is a day and more ago.
    const forgotten = notes.filter((note) => this.#state.takenNotes.get(note)! <= trimmed);
    if (forgotten.length > 0 || names.length > 0 || trimmed > this.#state.trimmed)
      await this.#bay.push({ op: { kind: "forget", names, notes: forgotten, trimmed } });
    await this.#sweepIfDue();
    await this.#collect();
    if ((await this.#readable) === false) {
      this.#platform.log({ level: "error", event: "the current checkpoint is damaged; another is made" });
      await this.checkpoint();
    }
    await this.#also();
  }

  /** True if others can open by the current checkpoint, asked once a run: else nothing that it made unneeded may go. */
  #mayDelete(): Promise<boolean> {
    this.#readable ??= this.#isCurrentReadable();
    return this.#readable;
  }

  async #isCurrentReadable(): Promise<boolean> {
    const mark = this.#state.checkpoint;
    if (!mark) return true;
    try {
      const read = await this.#bay.readManifest(mark.covers);
      return read !== undefined && equalBytes(read.hash, mark.manifest);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return false;
    }
  }

  /** Some hours after something was removed a checkpoint is made without it, however short the log is: what that replaces
   * is then collected. Once a day at most rows get new numbers. */
  async #sweepIfDue(): Promise<void> {
    const { sweep, numbering } = this.#state;
    if (sweep.due === undefined || !(await this.#isEntryOld(sweep.due, SWEEP_MS))) return;
    const isShrinkDue =
      hasDeadWeight(this.#state) && (numbering === 0 || (await this.#isEntryOld(numbering, SHRINK_MS)));
    await this.checkpoint(isShrinkDue ? "anew" : "sweep");
  }

  /** Deletes notes that the current checkpoint makes unneeded. Returns all taken-in ones that are gone. */
  async #deleteNotes(): Promise<string[]> {
    const { takenNotes, pages, checkpoint } = this.#state;
    // An opening may have found a checkpoint that was never announced: nothing is deleted upon that.
    const covers = Math.min(pages.covers, checkpoint?.covers ?? 0);
    const covered = [...takenNotes].filter(([, entry]) => entry <= covers).map(([note]) => note);
    if (covered.length === 0) return [];
    const there = new Set<string>();
    for await (const { name } of this.#list(folderOf("note"))) there.add(name);
    const gone = covered.filter((note) => there.has(note));
    if (gone.length > 0 && !(await this.#mayDelete())) return [];
    await this.#delete(gone);
    return covered.slice(0, NAMES_MAX);
  }

  /** Deletes log entries and manifests that a checkpoint has covered for a day. Returns the last entry that is gone. */
  async #trim(): Promise<Position> {
    const { checkpoints, trimmed, pages } = this.#state;
    for (const { covers, announced } of checkpoints.toReversed()) {
      if (covers <= trimmed) break;
      // Only what this process knows the pages of: else it could not read on.
      if (covers > pages.covers || !(await this.#isEntryOld(announced, KEEP_MS))) continue;
      if (!(await this.#mayDelete())) break;
      await this.#deleteEntries(covers);
      const manifests: string[] = [];
      for await (const { name } of this.#list(MANIFESTS)) if (manifestNumber(name) < covers) manifests.push(name);
      await this.#delete(manifests);
      return covers;
    }
    return trimmed;
  }

  /** Oldest first, so that a log never has a gap. */
  async #deleteEntries(last: number): Promise<void> {
    for (;;) {
      const { objects } = await asStoreFailure(this.#store.list(this.#prefix + folderOf("log"), { limit: NAMES_MAX }));
      const names = objects.map(({ name }) => name).filter((name) => entryNumber(name) <= last);
      if (names.length === 0) return;
      await asStoreFailure(this.#store.delete(names, { priority: "bulk", essential: true }));
      if (names.length < objects.length) return;
    }
  }

  async #deleteCondemned(): Promise<string[]> {
    const { condemned } = this.#state;
    const gone: string[] = [];
    for (const entry of new Set(condemned.values())) {
      if (!(await this.#isEntryOld(entry, KEEP_MS))) continue;
      if (!(await this.#mayDelete())) break;
      const names = [...condemned].filter(([, decided]) => decided === entry).map(([name]) => name);
      await this.#delete(names);
      gone.push(...names);
    }
    return gone.slice(0, NAMES_MAX);
  }

  /** True for an entry that was stored so long ago, or is gone. */
  async #isEntryOld(entry: Position, age: number): Promise<boolean> {
    if (entry <= this.#state.trimmed) return true;
    const got = await asStoreFailure(this.#store.get(this.#prefix + entryName(entry), { start: 0, end: 1 }));
    return !got.found || got.now - got.created >= age;
  }

  /** Condemns what nobody names. */
  async #collect(): Promise<void> {
    if (!(await this.#isCollectDue())) return;
    const listed = this.#bay.position;
    const unnamed = this.#unnamed;
    this.#unnamed = new Map();
    const objects: ListedObject[] = [];
    for (const kind of kindsOf(({ ends }) => ends === "unnamed"))
      for await (const object of this.#list(folderOf(kind))) {
        const since = unnamed.get(object.name) ?? this.#platform.monotonic();
        this.#unnamed.set(object.name, since);
        objects.push(object);
      }
    const names = await this.#namesInManifests();
    if (!names) return;
    // A note that waits may name a body that no email has yet.
    await this.#bay.sync();
    let isWaiting = false;
    for await (const { name } of this.#list(folderOf("note"))) isWaiting ||= !this.#state.takenNotes.has(name);
    const isFree = (name: string): boolean => {
      if (names.current.has(name) || this.#state.condemned.has(name)) return false;
      if (kindIn(name) !== "body") return true;
      const email = this.#state.findEmail(bodyId(name));
      return email === undefined ? !isWaiting : !this.#state.isHeld(email);
    };
    // An object that an older checkpoint or the log names was stored wholly, and nobody will name it again: a checkpoint that
    // began before this is void by `judge`, and no op reaches an email that no live membership holds (docs/rules.md §5).
    const isWhole = (object: ListedObject): boolean =>
      names.older.has(object.name) ||
      (kindIn(object.name) === "body" && this.#state.findEmail(bodyId(object.name)) !== undefined) ||
      isLongThere(object, this.#platform.monotonic() - this.#unnamed.get(object.name)!);
    const free = objects.filter(({ name }) => isFree(name));
    const whole = free.filter(isWhole).map(({ name }) => name);
    this.#collectAgain =
      whole.length < free.length ? this.#platform.monotonic() + UNNAMED_MS : Number.POSITIVE_INFINITY;
    // One without names says that it was looked.
    const isNews = listed > this.#state.lastCondemn;
    for (let at = 0; at < whole.length || (at === 0 && isNews); at += NAMES_MAX)
      await this.#bay.push({ op: { kind: "condemn", names: whole.slice(at, at + NAMES_MAX), listed } });
  }

  /** Once a day, if there is news; as soon as a checkpoint has swept, since what it replaced holds what was removed; and when
   * what was too young no longer is. */
  async #isCollectDue(): Promise<boolean> {
    const { lastCondemn, checkpoints, sweep } = this.#state;
    if (this.#platform.monotonic() >= this.#collectAgain) return true;
    if (this.#bay.position <= lastCondemn) return false;
    const swept = checkpoints.find(({ covers }) => covers === sweep.covers);
    if (lastCondemn === 0 || (swept?.announced ?? 0) > lastCondemn) return true;
    return this.#isEntryOld(lastCondemn, COLLECT_MS);
  }

  /** Names in the current manifest and in all above it, and in those below; undefined if one of the former can't be read now. */
  async #namesInManifests(): Promise<{ readonly current: Set<string>; readonly older: Set<string> } | undefined> {
    const { objects } = await asStoreFailure(this.#store.list(this.#prefix + MANIFESTS, { limit: MANIFESTS_MAX }));
    const currentCovers = this.#state.checkpoint?.covers ?? 0;
    const [current, older] = [new Set<string>(), new Set<string>()];
    let olderCount = 0;
    for (const covers of objects.map(({ name }) => manifestNumber(name))) {
      if (covers < currentCovers && ++olderCount > OLDER_MANIFESTS_MAX) break;
      const names = await this.#namesInManifest(covers);
      if (!names && covers >= currentCovers) return undefined;
      for (const name of names ?? []) (covers < currentCovers ? older : current).add(name);
    }
    return { current, older };
  }

  async #namesInManifest(covers: Position): Promise<readonly string[] | undefined> {
    const read = await this.#bay.readManifest(covers).catch((error: unknown) => {
      if (!isUnreadable(error)) throw error;
      return undefined;
    });
    return read && [...namesIn(pagesOf(read.manifest.body, covers)), ...read.manifest.hashes.pages];
  }

  /** The account's objects of one kind, by their names in it. */
  async *#list(kind: string): AsyncGenerator<ListedObject> {
    for await (const object of listObjects(this.#store, this.#prefix + kind, { priority: "bulk" }))
      yield { ...object, name: object.name.slice(this.#prefix.length) };
  }

  async #delete(names: readonly string[]): Promise<void> {
    for (let at = 0; at < names.length; at += NAMES_MAX) {
      const part = names.slice(at, at + NAMES_MAX).map((name) => this.#prefix + name);
      await asStoreFailure(this.#store.delete(part, { priority: "bulk", essential: true }));
    }
  }

  #warn(event: string, error: unknown): void {
    this.#platform.log({ level: "warn", event, error });
  }
}

/** True for damage, which may also look like keys that the log does not tell of. */
function isUnreadable(error: unknown): boolean {
  return error instanceof ReadingEnded || (error instanceof EngineError && error.code === "corrupt");
}

/** `watched`: how long this process has seen it unnamed. */
function isLongThere({ created, now }: ListedObject, watched: number): boolean {
  return watched >= UNNAMED_MS || now - created >= OLD_MS;
}
