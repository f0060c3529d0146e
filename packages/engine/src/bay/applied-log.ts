import { equalBytes } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import type { EntryHead } from "./entry.ts";
import { EntryHashes, NO_HASHES } from "./entry-hashes.ts";
import { ANY_ENTRY, END_CHECKPOINT, isEnd, type LogEnd, LogEnded, ReadingEnded } from "./log-end.ts";
import {
  corrupt,
  getManifest,
  LIST_ENTRIES_MAX,
  LogObjects,
  type LogPlace,
  listCheckpoints,
  listEntries,
  type Prefetched,
  prefetchLog,
} from "./log-objects.ts";
import type { Machine, Placed } from "./machine.ts";
import type { Manifest } from "./manifest.ts";
import { after, NOWHERE, type Position } from "./position.ts";
import type { LoadState, PageStore } from "./snapshots.ts";
import { asStoreFailure } from "./store-failure.ts";
import type { WriterId } from "./writer.ts";

/** Much less than the day that covered entries are kept for. */
export const PROOF_MS: number = 60 * 60_000;
/** Writers whose last sequence is remembered, so that an op seen before is skipped. */
export const WRITERS_KEPT = 64;
/** Entries that an opening reads at once. */
const ENTRIES_AT_ONCE = 64;
/** Bytes of entries that are applied before others have their turn: some milliseconds' work. */
const APPLIED_AT_ONCE: number = 128 * 1024;
/** How often an opening begins anew because the log was trimmed under it. */
const OPEN_TRIES = 5;

const NOTHING_LEFT =
  "nothing of this account's log can be read: bring a backup of the store back, or take its mail out by restante export --salvage";

/** A point of the log: entry `entry` had this hash. A store that shows less, or another, was rolled back. */
export interface Witness {
  readonly entry: Position;
  readonly hash: Uint8Array;
}

export interface AppliedLogOptions<State, Op, Outcome> extends LogPlace {
  readonly machine: Machine<State, Op, Outcome>;
  readonly load: LoadState<State>;
  /** The same where some of its pages are lost: what the others tell. Throws EngineError `corrupt` if that is nothing. */
  readonly loadLeft?: LoadState<State>;
  readonly pages: PageStore;
  /** Reads an end of this log; undefined for one that is not believed. */
  readonly openEnd: (bytes: Uint8Array) => LogEnd | undefined;
  /** True if the reading may end at an end of the log, in this state; else the entry is damaged. Absent: it may always. */
  readonly mayEnd?: ((state: State) => boolean) | undefined;
  /** The witness: the last entry that this host saw, kept outside the store. */
  readonly witness?: Witness | undefined;
  /** Answers to requests that were made before the keys were there. */
  readonly prefetched?: Prefetched | undefined;
  /** Lets others have their turn during long work. */
  readonly breathe?: (() => Promise<void>) | undefined;
}

/**
 * The applied part of a log: the state, and the point that it stands at. Goes to checkpoints, and on from there entry by
 * entry. `linear-bay.ts` asks which entry is the next, and whether the log ends there.
 *
 * Invariant: `state` is the result of all entries up to `head`.
 */
export class AppliedLog<State, Op, Outcome> {
  readonly #options: AppliedLogOptions<State, Op, Outcome>;
  readonly log: LogObjects;
  #state: State;
  #head: Position = NOWHERE;
  #hash: Uint8Array = new Uint8Array(32);
  /** The last sequence of each writer, the longest silent first. */
  readonly #writers = new Map<WriterId, number>();
  #checkpointed: Position = NOWHERE;
  #tailBytes = 0;
  #proof = Number.NEGATIVE_INFINITY;
  #witness: Witness | undefined;
  #isRolledBack = false;
  #isCutOff = false;
  #damage: EngineError | undefined;
  #lostCheckpoint: Position | undefined;
  #hashes = new EntryHashes();
  #isUncompared = false;
  #isPartial = false;
  #isRecovering = false;

  constructor(options: AppliedLogOptions<State, Op, Outcome>) {
    this.#options = options;
    this.log = new LogObjects(options);
    this.#state = options.machine.initial();
    this.#witness = options.witness;
  }

  get state(): State {
    return this.#state;
  }

  /** The last entry that was applied, and its hash. */
  get head(): Position {
    return this.#head;
  }
  get hash(): Uint8Array {
    return this.#hash;
  }

  get writers(): ReadonlyMap<WriterId, number> {
    return this.#writers;
  }

  /** Entries that were applied since the checkpoint that this process knows to be the newest, and their bytes. */
  get tail(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#head - this.#checkpointed, bytes: this.#tailBytes };
  }

  /** The history that was applied is not the one that the witness saw, or was shorter when it was read to its end. */
  get isRolledBack(): boolean {
    return this.#isRolledBack;
  }

  /** An end stands in the log that no trusted host wrote: it is read up to there, and nothing is pushed upon that. */
  get isCutOff(): boolean {
    return this.#isCutOff;
  }

  /** True if the next entry can't be read, or is missing while later ones are there. All that was applied is whole. */
  get isDamaged(): boolean {
    return this.#damage !== undefined;
  }

  /** Pages of the checkpoint that was opened by are lost: the state is what the others tell, and nothing is pushed upon it. */
  get isPartial(): boolean {
    return this.#isPartial;
  }

  /** The owner goes on without the lost pages, once `recover` brought back what it can: until then no other state is made of
   * this one. Where it fails, nothing was accepted. */
  async acceptLoss<T>(recover: () => Promise<T>): Promise<T> {
    this.#isPartial = false;
    this.#isRecovering = true;
    try {
      return await recover();
    } catch (error) {
      this.#isPartial = true;
      throw error;
    } finally {
      this.#isRecovering = false;
    }
  }

  /** True while lost mail is being brought back. */
  get isRecovering(): boolean {
    return this.#isRecovering;
  }

  /** The entry up to which the newest checkpoint goes, if that could not be read: all was applied without it. */
  get lostCheckpoint(): Position | undefined {
    return this.#lostCheckpoint;
  }

  /** True if the witness is too old to be compared with this history. */
  get isUncompared(): boolean {
    return this.#isUncompared;
  }

  /** Hashes of the entries that were applied. */
  get hashes(): EntryHashes {
    return this.#hashes;
  }

  /** Less was applied than the witness saw. */
  get isShort(): boolean {
    return this.#head < (this.#witness?.entry ?? 0);
  }

  /** The log has been read to its end. */
  judgeLength(): void {
    // An entry that is damaged is there.
    this.#isRolledBack ||= this.isShort && !this.isDamaged;
  }

  /** The witness tells of a history that is gone. */
  acceptHistory(): void {
    this.#isRolledBack = false;
    this.#witness = undefined;
  }

  /** The newest checkpoint and all that was stored after it, in three round trips; where some of that is damaged, what comes
   * before. Throws EngineError `corrupt` if nothing does. */
  async open(): Promise<void> {
    for (let tries = 1; ; tries++) {
      const prefetched = (tries === 1 && this.#options.prefetched) || (await prefetchLog(this.#options));
      const missing = await this.#openFrom(prefetched);
      // The log may have been trimmed meanwhile: then there is a newer checkpoint.
      if (missing && tries < OPEN_TRIES) continue;
      this.#damage ??= missing;
      if (this.#damage && this.#head === 0 && !(await this.#openLeft(prefetched)))
        throw new EngineError("corrupt", NOTHING_LEFT, { cause: this.#damage });
      return;
    }
  }

  /** Where nothing else is left: what can still be read of the newest checkpoint, and the log from there on. Resolves with
   * whether there is any. */
  async #openLeft({ checkpoints, manifest, entries }: Prefetched): Promise<boolean> {
    const { loadLeft, pages } = this.#options;
    const [newest] = checkpoints.covers;
    if (newest === undefined || !manifest?.found || !loadLeft) return false;
    try {
      const { manifest: opened } = this.log.openManifest(newest, manifest.bytes);
      this.#adopt(opened, await loadLeft(opened.body, pages, newest));
    } catch (error) {
      if (isCorrupt(error) || error instanceof RangeError || error instanceof ReadingEnded) return false;
      throw error;
    }
    await this.#compareWitness();
    this.#isPartial = true;
    this.#damage = undefined;
    const missing = this.#missing(await this.#readTail(entries));
    this.#damage ??= missing;
    return true;
  }

  /** Resolves with what is missing, if anything is. */
  async #openFrom({ checkpoints, manifest, entries }: Prefetched): Promise<EngineError | undefined> {
    if (checkpoints.isEnded) await this.#readEndCheckpoint();
    // Entries that no checkpoint covers now are kept for a day at least.
    this.#proof = checkpoints.now;
    const [newest, before = NOWHERE] = checkpoints.covers;
    if (newest === undefined) return this.#missing(await this.#readTail(entries));
    if (!manifest?.found) return this.#missing(false);
    // Asked for side by side with the pages. Its failure is told where it is waited for.
    const tail = this.#getEntries(entries.slice(0, ENTRIES_AT_ONCE));
    tail.catch(() => undefined);
    try {
      const { manifest: opened } = this.log.openManifest(newest, manifest.bytes);
      await this.#enter(opened);
    } catch (error) {
      // The log tells whether there are new keys, as a spoilt manifest seems to say.
      if (!isCorrupt(error) && !(error instanceof ReadingEnded)) throw error;
      return this.#openBefore(newest, before, error).catch(unlessCorrupt);
    }
    return this.#missing(await this.#readTail(entries, await tail));
  }

  /** The same without the newest checkpoint, which can't be read: it was never announced and has lost its pages, or it is
   * damaged. Entries that it covers lie in the log for a day yet. */
  async #openBefore(newest: Position, before: Position, error: EngineError): Promise<EngineError | undefined> {
    const entries = await listEntries(this.#options, before);
    if (before > 0) await this.#load(before);
    else if (entries[0] === 1) this.#begin();
    else return error;
    if (!(await this.#readTail(entries))) return error;
    if (this.#head >= newest) this.#lostCheckpoint = newest;
    return this.#head >= newest || this.#damage || this.#isCutOff ? undefined : error;
  }

  #missing(isRead: boolean): EngineError | undefined {
    return isRead ? undefined : new EngineError("corrupt", `log entry ${this.#head + 1} is missing`);
  }

  /** Applies these entries, which a listing showed after the head; `first` were read already. */
  async #readTail(entries: readonly Position[], first: readonly Uint8Array[] = []): Promise<boolean> {
    const breath = this.breath();
    for (let at = 0; at < entries.length; at += ENTRIES_AT_ONCE) {
      const numbers = entries.slice(at, at + ENTRIES_AT_ONCE);
      const read = at === 0 && first.length > 0 ? first : await this.#getEntries(numbers);
      for (const [place, n] of numbers.entries()) {
        if (n !== this.#head + 1 || read[place] === undefined) return false;
        if (isEnd(read[place])) {
          this.meetEnd(n, read[place]);
          return true;
        }
        if (!(await this.tryApply(n, read[place]))) return true;
        await breath(read[place].length);
      }
    }
    // A listing that was full may have left some out; what came after it the next sync finds.
    return entries.length < LIST_ENTRIES_MAX || this.#readTail(await listEntries(this.#options, this.#head));
  }

  /** As many of these entries, from the first on, as are there. */
  async #getEntries(numbers: readonly Position[]): Promise<Uint8Array[]> {
    const read = await Promise.all(numbers.map((n) => this.log.getEntry(n)));
    const found: Uint8Array[] = [];
    for (const got of read) {
      if (!got.found) break;
      found.push(got.bytes);
    }
    return found;
  }

  /** Goes to the state of a checkpoint. */
  async #load(covers: Position): Promise<void> {
    const read = await this.readManifest(covers);
    if (!read) throw new EngineError("corrupt", `checkpoint ${covers} is missing`);
    await this.#enter(read.manifest);
  }

  async #enter(manifest: Manifest): Promise<void> {
    // This process has seen all that it applied.
    if (this.#head > (this.#witness?.entry ?? 0)) this.#witness = { entry: this.#head, hash: this.#hash };
    this.#adopt(manifest, await this.#loadState(manifest));
    await this.#compareWitness();
  }

  /** A history that was entered at a checkpoint, with what this host saw before that: docs/rules.md §8. */
  async #compareWitness(): Promise<void> {
    const { entry, hash } = this.#witness ?? { entry: 0, hash: this.#hash };
    if (entry === 0 || entry > this.#head) return;
    const isSame =
      entry === this.#head ? equalBytes(hash, this.#hash) : await this.#hashes.had(entry, hash, this.#options.pages);
    this.#isUncompared ||= isSame === undefined;
    this.#isRolledBack ||= isSame === false;
  }

  /** The same log applied anew up to the same entry, from a checkpoint that this one has passed. */
  async restart(covers: Position): Promise<AppliedLog<State, Op, Outcome>> {
    const other = new AppliedLog({ ...this.#options, witness: undefined, prefetched: undefined });
    await other.#load(covers);
    return other;
  }

  /** Goes over to the state of another, which applies what it lacks. Throws EngineError `corrupt` if it comes to stand
   * elsewhere, or can't follow. */
  async goOverTo(other: AppliedLog<State, Op, Outcome>): Promise<void> {
    const breath = this.breath();
    while (other.#head < this.#head) {
      const n = after(other.#head);
      const got = await this.log.getEntry(n);
      if (!got.found) throw new EngineError("corrupt", `log entry ${n} is missing`);
      await other.apply(n, got.bytes);
      await breath(got.bytes.length);
    }
    if (other.#head !== this.#head || !equalBytes(other.#hash, this.#hash))
      throw new EngineError("corrupt", "a checkpoint is of another history");
    this.#state = other.#state;
    this.#checkpointed = other.#checkpointed;
    this.#tailBytes = other.#tailBytes;
    this.#hashes = other.#hashes;
  }

  async #loadState({ covers, body }: Manifest): Promise<State> {
    const { load, pages } = this.#options;
    try {
      return await load(body, pages, covers);
    } catch (cause) {
      throw corrupt(`checkpoint ${covers}`, cause);
    }
  }

  /** Goes to where nothing was applied. */
  #begin(): void {
    this.#adopt(
      { covers: NOWHERE, hash: new Uint8Array(32), writers: [], hashes: NO_HASHES },
      this.#options.machine.initial(),
    );
  }

  #adopt({ covers, hash, writers, hashes }: Omit<Manifest, "body">, state: State): void {
    this.#state = state;
    this.#hashes = new EntryHashes(hashes, covers);
    this.#head = covers;
    this.#hash = hash;
    this.#checkpointed = covers;
    this.#tailBytes = 0;
    this.#writers.clear();
    for (const [writer, sequence] of writers) this.#writers.set(writer, sequence);
  }

  /**
   * Before anything is built upon what the store said at `now` of the entry after the head: where the last proof is too
   * old, the newest checkpoint tells whether the log was trimmed beyond it. Resolves with true if it was: the state is
   * that checkpoint's now.
   */
  async isTrimmedBeyond(now: number): Promise<boolean> {
    if (now - this.#proof < PROOF_MS) return false;
    if (await this.loadNewer()) return true;
    this.#proof = now;
    return false;
  }

  /** Goes to the newest checkpoint if it covers entries that were not applied here. */
  async loadNewer(): Promise<boolean> {
    const { covers, isEnded } = await listCheckpoints(this.#options, 1);
    if (isEnded) await this.#readEndCheckpoint();
    if (covers[0] === undefined || covers[0] <= this.#head) return false;
    await this.#load(covers[0]);
    return true;
  }

  /** Entry n, the next one, is an end. Throws {@link LogEnded} if it is believed. */
  meetEnd(n: Position, bytes: Uint8Array): void {
    const end = this.#options.openEnd(bytes);
    const follows = end && end.entry === n && (isZero(end.previous) || equalBytes(end.previous, this.#hash));
    this.#end(follows ? end : undefined);
  }

  /** Looks for an end that is far ahead: a process that has slept may find the entries before it gone. Throws {@link
   * LogEnded}. */
  async #readEndCheckpoint(): Promise<void> {
    const { store, prefix, openEnd } = this.#options;
    const got = await asStoreFailure(store.get(prefix + END_CHECKPOINT));
    const end = got.found ? openEnd(got.bytes) : undefined;
    this.#end(end?.entry === ANY_ENTRY ? end : undefined);
  }

  #end(end: LogEnd | undefined): void {
    if (end) throw new LogEnded(end.reason);
    this.#isCutOff = true;
  }

  /** When, by the store, the entry after the head was surely the next. */
  get proof(): number {
    return this.#proof;
  }
  prove(at: number): void {
    this.#proof = at;
  }

  /** Another process's checkpoint of entries up to `covers` is current; `tailBytes` of those that were applied. */
  noteCheckpoint(manifest: Pick<Manifest, "covers" | "hashes">, tailBytes: number = this.#tailBytes): void {
    const { covers } = manifest;
    this.#hashes = this.#hashes.upon(manifest);
    if (covers <= this.#checkpointed) return;
    this.#checkpointed = covers;
    this.#tailBytes -= tailBytes;
  }

  /** The manifest of a checkpoint and its hash; undefined if it is gone. Throws EngineError `corrupt`. */
  async readManifest(
    covers: Position,
  ): Promise<{ readonly manifest: Manifest; readonly hash: Uint8Array } | undefined> {
    const got = await getManifest(this.#options, covers);
    return got.found ? this.log.openManifest(covers, got.bytes) : undefined;
  }

  /** To be told of each entry that was applied: lets others have their turn after so many bytes. */
  breath(): (bytes: number) => Promise<void> | undefined {
    let applied = 0;
    return (bytes) => {
      applied += bytes;
      if (applied < APPLIED_AT_ONCE) return undefined;
      applied = 0;
      return this.#options.breathe?.();
    };
  }

  /** Throws EngineError `corrupt`. */
  decode(bytes: Uint8Array): Op {
    try {
      return this.#options.machine.decodeOp(bytes);
    } catch (cause) {
      throw corrupt("an op", cause);
    }
  }

  /** Applies entry n as it was read from the store. Returns undefined if it is not what was stored there: what was applied
   * stands, and no more can be told until the store shows another. */
  async tryApply(n: Position, bytes: Uint8Array): Promise<Outcome[] | undefined> {
    try {
      const outcomes = await this.apply(n, bytes);
      this.#damage = undefined;
      return outcomes;
    } catch (error) {
      const isFalseEnd = error instanceof ReadingEnded && this.#options.mayEnd?.(this.#state) === false;
      if (!isCorrupt(error) && !isFalseEnd) throw error;
      this.#damage = isFalseEnd ? corrupt(`log entry ${n}`, new Error(error.message)) : error;
      return undefined;
    }
  }

  /** Applies entry n, each op by itself: all that is lower is known to it. Nothing else may be done with the log meanwhile. */
  async apply(
    n: Position,
    bytes: Uint8Array,
    head: EntryHead = this.log.openEntry(n, bytes).head,
    ops: readonly Op[] = head.ops.map((op) => this.decode(op.bytes)),
  ): Promise<Outcome[]> {
    if (!equalBytes(head.previous, this.#hash))
      throw new EngineError("corrupt", `log entry ${n} does not follow its predecessor`);
    const outcomes: Outcome[] = [];
    const last = this.#writers.get(head.writer) ?? 0;
    for (const [place, op] of ops.entries()) {
      const placed: Placed<Op> = {
        op,
        writer: head.writer,
        sequence: head.sequence + place,
        entry: n,
        place,
        knows: () => true,
        judged: false,
      };
      if (placed.sequence > last) outcomes.push(await this.#applyInSteps(placed));
    }
    this.#remember(head.writer, Math.max(last, head.sequence + ops.length - 1));
    this.#head = n;
    this.#tailBytes += bytes.length;
    this.#hash = this.#options.sealer.hash(bytes);
    this.#hashes.add(this.#hash);
    if (this.#witness?.entry === n && !equalBytes(this.#witness.hash, this.#hash)) this.#isRolledBack = true;
    return outcomes;
  }

  async #applyInSteps(placed: Placed<Op>): Promise<Outcome> {
    const steps = this.#options.machine.apply(this.#state, placed);
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
      await this.#options.breathe?.();
    }
  }

  #remember(writer: WriterId, sequence: number): void {
    this.#writers.delete(writer);
    this.#writers.set(writer, sequence);
    if (this.#writers.size > WRITERS_KEPT) this.#writers.delete(this.#writers.keys().next().value!);
  }
}

function isCorrupt(error: unknown): error is EngineError {
  return error instanceof EngineError && error.code === "corrupt";
}

function unlessCorrupt(error: unknown): EngineError {
  if (!isCorrupt(error)) throw error;
  return error;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
