import { EngineError } from "../errors.ts";
import { folderOf } from "../storage/object-kinds.ts";
import type { Ring, StoreOptions, WatchOptions } from "../storage/object-store.ts";
import { AppliedLog, type AppliedLogOptions, type Witness, WRITERS_KEPT } from "./applied-log.ts";
import { BARRED, type Log } from "./bay.ts";
import { type EntryHead, entryName } from "./entry.ts";
import type { KeptHashes } from "./entry-hashes.ts";
import { isEnd, ReadingEnded } from "./log-end.ts";
import type { Created, LogObjects } from "./log-objects.ts";
import type { Push, ReadEntry } from "./machine.ts";
import { type Manifest, manifestName, sealManifest } from "./manifest.ts";
import { after, type Position } from "./position.ts";
import { serial } from "./serial.ts";
import type { Captured, CaptureSource, Thorough } from "./snapshots.ts";
import { asEngineError, asStoreFailure } from "./store-failure.ts";
import type { WriterId } from "./writer.ts";

/**
 * The log on a store with atomic create-if-absent: entry n is created at `log/<n>`; who loses the race reads it, applies
 * it and tries n+1. Nothing is ever rewound.
 *
 * Entries are deleted, oldest first, a day after a checkpoint that covers them was announced. So a create or an absent
 * name proves nothing by itself: the *proof of the head* says that entry n was the next one at a time t, and no older
 * proof than {@link PROOF_MS} is built upon. All times here are the store's own.
 *
 * One entry is on its way at a time; what is pushed meanwhile rides in the next (group commit, no timer). All work on
 * the log (pushes, following) goes through one queue, so that what was applied moves by whole entries.
 */
export const BATCH_OPS_MAX = 256;
export const BATCH_BYTES_MAX: number = 2 ** 20;

export interface LinearBayOptions<State, Op, Outcome>
  extends AppliedLogOptions<State, Op, Outcome>,
    Pick<WatchOptions, "isUrgent"> {
  readonly writer: WriterId;
  /** Hears of each entry before it is stored, by its name, and then whether it was. */
  readonly onStoring?: ((name: string, ops: readonly Op[]) => ((isStored: boolean) => void) | undefined) | undefined;
}

interface Queued<Op, Outcome> {
  readonly push: Push<Op>;
  readonly bytes: Uint8Array;
  /** As it is read from `bytes`: what can't be read is never stored. */
  readonly op: Op;
  readonly size: number;
  readonly essential: boolean;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

interface SealedEntry<Op> {
  readonly head: EntryHead;
  readonly ops: readonly Op[];
  readonly bytes: Uint8Array;
}

export class LinearBay<State, Op, Outcome> implements Log<State, Op, Outcome> {
  readonly #options: LinearBayOptions<State, Op, Outcome>;
  readonly #applied: AppliedLog<State, Op, Outcome>;
  readonly #log: LogObjects;
  #nextSequence = 1;
  #queue: Queued<Op, Outcome>[] = [];
  /** The one queue of work on the log. */
  readonly #inTurn = serial();
  #pushing = false;
  readonly #listeners = new Set<() => void>();
  readonly #storedListeners = new Set<(n: Position, entry: ReadEntry<Op>) => void>();
  #stopWatching: () => void = () => undefined;
  #ended: ReadingEnded | undefined;
  #restarting: Promise<void> | undefined;
  #disposed = false;

  private constructor(options: LinearBayOptions<State, Op, Outcome>) {
    this.#options = options;
    this.#applied = new AppliedLog(options);
    this.#log = this.#applied.log;
  }

  static async open<State, Op, Outcome>(
    options: LinearBayOptions<State, Op, Outcome>,
  ): Promise<LinearBay<State, Op, Outcome>> {
    const bay = new LinearBay(options);
    const applied = bay.#applied;
    await bay.#inTurn(() => applied.open());
    // The witness may have seen entries that came after the opening's listing.
    if (applied.isShort) await bay.sync();
    applied.judgeLength();
    const ring: Ring = (name) => {
      // The entry that this writer is putting, and those that are applied, are no news.
      if (name !== undefined && name <= options.prefix + entryName(bay.#pushing ? after(applied.head) : applied.head))
        return;
      // A hint only: whoever needs the head syncs by itself and sees the error.
      bay.sync().catch(() => undefined);
    };
    bay.#stopWatching = options.store.watch(options.prefix + folderOf("log"), ring, {
      isUrgent: options.isUrgent,
      after: options.prefix + entryName(applied.head),
    });
    return bay;
  }

  get isRolledBack(): boolean {
    return this.#applied.isRolledBack;
  }

  get barred(): keyof typeof BARRED | undefined {
    // Less is shown than was seen because of it: no older history is there to be accepted.
    if (this.#applied.isDamaged) return "damaged";
    if (this.#applied.isRolledBack) return "rolled-back";
    if (this.#applied.isPartial) return "partial";
    return this.#applied.isCutOff ? "cut-off" : undefined;
  }

  get lostCheckpoint(): Position | undefined {
    return this.#applied.lostCheckpoint;
  }

  get isUncompared(): boolean {
    return this.#applied.isUncompared;
  }

  get ended(): ReadingEnded | undefined {
    return this.#ended;
  }

  acceptHistory(): void {
    this.#applied.acceptHistory();
  }

  acceptLoss<T>(recover: () => Promise<T>): Promise<T> {
    return this.#applied.acceptLoss(recover);
  }

  get isRecovering(): boolean {
    return this.#applied.isRecovering;
  }

  get witness(): Witness {
    return { entry: this.#applied.head, hash: this.#applied.hash };
  }

  get state(): State {
    return this.#applied.state;
  }

  get position(): Position {
    return this.#applied.head;
  }

  async push(push: Push<Op>): Promise<Outcome> {
    if (this.#disposed) throw new EngineError("unavailable", "the log is closed");
    if (this.ended) throw this.ended;
    if (this.barred) throw new EngineError("not-permitted", BARRED[this.barred]);
    const { encodeOp, decodeOp, isEssential } = this.#options.machine;
    const bytes = encodeOp(push.op);
    const op = decodeOp(bytes);
    const carried = [...(push.attachments ?? []), ...(push.along ?? []).map(({ content }) => content)];
    const size = carried.reduce((sum, piece) => sum + piece.length, bytes.length);
    return new Promise((resolve, reject) => {
      this.#queue.push({ push, bytes, op, size, essential: isEssential(push.op), resolve, reject });
      if (!this.#pushing) {
        this.#pushing = true;
        void this.#inTurn(() => this.#pushAll());
      }
    });
  }

  sync(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.ended) throw this.ended;
      try {
        if (await this.#follow()) this.#tell();
      } catch (error) {
        this.#noteEnd(error);
        throw error;
      }
    });
  }

  onApplied(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onStored(listener: (n: Position, entry: ReadEntry<Op>) => void): () => void {
    this.#storedListeners.add(listener);
    return () => this.#storedListeners.delete(listener);
  }

  async readEntry(n: Position): Promise<ReadEntry<Op> | undefined> {
    const got = await this.#log.getApplied(n);
    if (!got.found) return undefined;
    const { head, spans } = this.#log.openEntry(n, got.bytes);
    return { ops: head.ops.map((op) => this.#applied.decode(op.bytes)), attachments: spans };
  }

  get tail(): { readonly entries: number; readonly bytes: number } {
    return this.#applied.tail;
  }

  capture(source: CaptureSource<State>, thorough: Thorough): Promise<Captured> {
    return this.#inTurn(async () => this.#capture(source, thorough));
  }

  #capture(source: CaptureSource<State>, thorough: Thorough): Captured {
    const { store, prefix, sealer, pages } = this.#options;
    const { state, position: covers } = this;
    const capture = source(state, covers, thorough);
    const { hash } = this.#applied;
    const writers = [...this.#applied.writers];
    const keepHashes = this.#applied.hashes.capture();
    const { bytes: tailBytes } = this.tail;
    let hashes: KeptHashes | undefined;
    return {
      write: async () => {
        const body = await capture.write(pages);
        hashes = await keepHashes(pages);
        const manifest = sealManifest(sealer, { covers, hash, writers, hashes, body });
        const name = prefix + manifestName(covers);
        const put = await asStoreFailure(store.putIfAbsent(name, manifest, { priority: "bulk", essential: true }));
        if (put.outcome === "exists") throw new EngineError("conflict", "another process wrote this checkpoint");
        const { emails, numbering, sweeps } = capture;
        return { covers, manifest: sealer.hash(manifest), emails, numbering, sweeps };
      },
      commit: () => {
        if (!hashes) throw new Error("a checkpoint is in force before it was written");
        if (state === this.state) capture.commit(covers);
        this.#applied.noteCheckpoint({ covers, hashes }, tailBytes);
      },
      abandon: () => capture.abandon(),
    };
  }

  noteCheckpoint(manifest: Pick<Manifest, "covers" | "hashes">): void {
    this.#applied.noteCheckpoint(manifest);
  }

  restart(covers: Position): Promise<void> {
    this.#restarting ??= this.#restart(covers).finally(() => {
      this.#restarting = undefined;
    });
    return this.#restarting;
  }

  async #restart(covers: Position): Promise<void> {
    const other = await this.#applied.restart(covers);
    await this.#inTurn(() => this.#applied.goOverTo(other));
    this.#tell();
  }

  readManifest(covers: Position): Promise<{ readonly manifest: Manifest; readonly hash: Uint8Array } | undefined> {
    return this.#applied.readManifest(covers);
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#stopWatching();
    await this.#inTurn(async () => undefined);
  }

  async #pushAll(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#takeBatch();
      try {
        const outcomes = await this.#pushBatch(batch);
        this.#tell();
        for (const [index, queued] of batch.entries()) queued.resolve(outcomes[index]!);
      } catch (error) {
        this.#noteEnd(error);
        for (const queued of batch) queued.reject(asEngineError(error));
      }
    }
    this.#pushing = false;
  }

  /** Ops for the next entry. Essential ones go without others, which a full store refuses. */
  #takeBatch(): Queued<Op, Outcome>[] {
    const essential = this.#queue[0]!.essential;
    let size = 0;
    let count = 0;
    for (const queued of this.#queue) {
      size += queued.size;
      if (count > 0 && (size > BATCH_BYTES_MAX || count >= BATCH_OPS_MAX || queued.essential !== essential)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #pushBatch(batch: readonly Queued<Op, Outcome>[]): Promise<Outcome[]> {
    const sequence = this.#nextSequence;
    this.#nextSequence += batch.length;
    let along = batch.flatMap(({ push }) => push.along ?? []);
    for (;;) {
      const n = after(this.position);
      const entry = this.#sealEntry(n, sequence, batch);
      const tellStored = this.#options.onStoring?.(this.#options.prefix + entryName(n), entry.ops);
      let outcomes: Outcome[] | undefined;
      try {
        outcomes = await this.#storeEntry(n, entry, { along, essential: batch[0]!.essential });
      } finally {
        tellStored?.(outcomes !== undefined);
      }
      if (outcomes) return outcomes;
      // Objects that go along are stored, even if another writer's entry has won the name.
      along = [];
      // The entries that were read meanwhile may be another history.
      if (this.barred) throw new EngineError("not-permitted", BARRED[this.barred]);
    }
  }

  /** Resolves as {@link #settle}. */
  async #storeEntry(
    n: Position,
    entry: SealedEntry<Op>,
    options: Pick<StoreOptions, "along" | "essential">,
  ): Promise<Outcome[] | undefined> {
    const created = await this.#log.createEntry(n, entry.bytes, options);
    return this.#settle(n, entry, created).catch((error: unknown) => {
      // The entry that exists may be ours: until it is read nobody may say "not done".
      const isUnread = error instanceof EngineError && error.code === "unavailable" && !(error instanceof ReadingEnded);
      if (mayBeOurs(created) && isUnread)
        throw new EngineError("unknown-outcome", "the store does not answer", { cause: error });
      throw error;
    });
  }

  /** Entry n was stored, or exists: another's or perhaps ours; or lies where the log was trimmed long ago. Resolves
   * with our batch's outcomes if it is in the log, with undefined if it is to be written again further on. */
  async #settle(n: Position, { head, ops, bytes }: SealedEntry<Op>, created: Created): Promise<Outcome[] | undefined> {
    const applied = this.#applied;
    if (!(await applied.isTrimmedBeyond(created.now))) {
      if (created.outcome === "stored") {
        applied.prove(created.now);
        const outcomes = await applied.apply(n, bytes, head, ops);
        const entry = { ops, attachments: this.#log.spansOf(head, bytes) };
        for (const listener of this.#storedListeners) listener(n, entry);
        return outcomes;
      }
      const rival = await this.#log.getEntry(n);
      if (rival.found) return this.#readRival(n, rival.bytes, head.sequence);
      // Nothing tells what held the name: a store that forgets is asked no further.
      if (!(await applied.loadNewer())) throw new EngineError("unknown-outcome", "the log's head moved away");
    }
    // The name lay below the log's beginning. The state knows whether an earlier try was stored.
    await this.#follow();
    const last = applied.writers.get(this.#options.writer);
    const isForgotten = last === undefined && applied.writers.size >= WRITERS_KEPT;
    if (!mayBeOurs(created) || (!isForgotten && (last ?? 0) < head.sequence)) return undefined;
    throw new EngineError("unknown-outcome", "the log was trimmed beyond what was applied here");
  }

  /** Entry n exists: applies it. Returns its outcomes if it is our own batch, whose answer was lost. */
  async #readRival(n: Position, bytes: Uint8Array, sequence: number): Promise<Outcome[] | undefined> {
    if (isEnd(bytes)) {
      this.#applied.meetEnd(n, bytes);
      throw new EngineError("not-permitted", BARRED["cut-off"]);
    }
    const outcomes = await this.#applied.tryApply(n, bytes);
    if (!outcomes) throw new EngineError("not-permitted", BARRED.damaged);
    const { head } = this.#log.openEntry(n, bytes);
    return head.writer === this.#options.writer && head.sequence === sequence ? outcomes : undefined;
  }

  #sealEntry(n: Position, sequence: number, batch: readonly Queued<Op, Outcome>[]): SealedEntry<Op> {
    const head: EntryHead = {
      writer: this.#options.writer,
      sequence,
      previous: this.#applied.hash,
      deps: n - 1,
      ops: batch.map(({ bytes, push }) => ({
        bytes,
        attachmentLengths: (push.attachments ?? []).map((piece) => piece.length),
      })),
    };
    const attachments = batch.flatMap(({ push }) => push.attachments ?? []);
    return { head, ops: batch.map(({ op }) => op), bytes: this.#log.sealEntry(n, head, attachments) };
  }

  /** Applies what others stored. Resolves with whether there was any. */
  async #follow(): Promise<boolean> {
    const applied = this.#applied;
    const from = applied.head;
    const breath = applied.breath();
    for (;;) {
      const next = after(applied.head);
      const got = await this.#log.getEntry(next);
      if (await applied.isTrimmedBeyond(got.now)) continue;
      if (!got.found) {
        applied.prove(got.now);
        return applied.head > from;
      }
      if (isEnd(got.bytes)) {
        applied.meetEnd(next, got.bytes);
        return applied.head > from;
      }
      if (!(await applied.tryApply(next, got.bytes))) return applied.head > from;
      if (got.created > applied.proof) applied.prove(got.created);
      await breath(got.bytes.length);
    }
  }

  #noteEnd(error: unknown): void {
    if (!(error instanceof ReadingEnded)) return;
    this.#ended = error;
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** True if the entry that is there, or was, may be the one that we asked to be created. */
function mayBeOurs({ outcome, doubtful }: Created): boolean {
  return outcome === "stored" || doubtful;
}
