import { EngineError } from "../errors.ts";
import { folderOf } from "../storage/object-kinds.ts";
import type { Ring, WatchOptions } from "../storage/object-store.ts";
import { AppliedLog, type AppliedLogOptions, type Witness, WRITERS_KEPT } from "./applied-log.ts";
import type { Bay } from "./bay.ts";
import { type EntryHead, entryName } from "./entry.ts";
import { isEnd, ReadingEnded } from "./log-end.ts";
import type { Created, LogObjects } from "./log-objects.ts";
import type { Push, ReadEntry } from "./machine.ts";
import { type Manifest, manifestName, sealManifest } from "./manifest.ts";
import { serial } from "./serial.ts";
import type { Thorough } from "./snapshots.ts";
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

/** What is said where nothing can be pushed. */
export const BARRED = {
  damaged:
    "a part of this account is damaged in the store: what came before it can be read, and nothing can be changed (bring a backup of the store back, or take all mail out by restante export --salvage)",
  partial:
    "a part of this account is lost in the store: what is left can be read, and nothing can be changed (bring a backup of the store back, or mend what the rest of it can give by restante check ADDRESS --repair)",
  "rolled-back":
    "the store shows an older history than was seen here before: nothing can be changed until the owner accepts that (restante account accept-history)",
  "cut-off":
    "somebody ended this account in the store, and no server that is trusted here says that it was moved or deleted: it can be read, and nothing can be changed (restante export)",
} as const;

export interface LinearBayOptions<State, Op, Outcome>
  extends AppliedLogOptions<State, Op, Outcome>,
    Pick<WatchOptions, "isUrgent"> {
  readonly writer: WriterId;
}

/** What the announcing op tells of a checkpoint. */
export interface Written {
  readonly covers: number;
  readonly manifest: Uint8Array;
  readonly emails: number;
  readonly numbering: number;
  readonly sweeps: boolean;
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

export class LinearBay<State, Op, Outcome> implements Bay<State, Op, Outcome> {
  readonly #options: LinearBayOptions<State, Op, Outcome>;
  readonly #applied: AppliedLog<State, Op, Outcome>;
  readonly #log: LogObjects;
  #nextSequence = 1;
  #queue: Queued<Op, Outcome>[] = [];
  /** The one queue of work on the log. */
  readonly #inTurn = serial();
  #pushing = false;
  readonly #listeners = new Set<() => void>();
  readonly #storedListeners = new Set<(n: number, entry: ReadEntry<Op>) => void>();
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
    // What the witness saw may have come after the opening's listing.
    if (applied.isShort) await bay.sync();
    applied.judgeLength();
    const ring: Ring = (name) => {
      // What this writer is putting, or what is applied already, is no news.
      if (name !== undefined && name <= options.prefix + entryName(applied.head + (bay.#pushing ? 1 : 0))) return;
      // A hint only: whoever needs the head syncs by itself and sees the error.
      bay.sync().catch(() => undefined);
    };
    bay.#stopWatching = options.store.watch(options.prefix + folderOf("log"), ring, {
      isUrgent: options.isUrgent,
      after: options.prefix + entryName(applied.head),
    });
    return bay;
  }

  /** The store shows an older or another history than this host has seen. Nothing is pushed upon it. */
  get rolledBack(): boolean {
    return this.#applied.isRolledBack;
  }

  /** Why nothing can be pushed now, though the log can be read; undefined if it can. */
  get barred(): keyof typeof BARRED | undefined {
    // Less is shown than was seen because of it: no older history is there to be accepted.
    if (this.#applied.isDamaged) return "damaged";
    if (this.#applied.isRolledBack) return "rolled-back";
    if (this.#applied.isPartial) return "partial";
    return this.#applied.isCutOff ? "cut-off" : undefined;
  }

  /** What the newest checkpoint covers that could not be read when the log was opened: nothing is missing, for now. */
  get lostCheckpoint(): number | undefined {
    return this.#applied.lostCheckpoint;
  }

  /** What this host saw before is too old to be compared with what the store shows. */
  get isUncompared(): boolean {
    return this.#applied.isUncompared;
  }

  /** Why this log can be read no further: all that is asked from now on is refused by it. */
  get ended(): ReadingEnded | undefined {
    return this.#ended;
  }

  /** The owner goes on from the history that the store shows. */
  acceptHistory(): void {
    this.#applied.acceptHistory();
  }

  /** The owner goes on from what is left. */
  acceptLoss(): void {
    this.#applied.acceptLoss();
  }

  /** The present end of the log, for the host to keep. */
  get witness(): Witness {
    return { entry: this.#applied.head, hash: this.#applied.hash };
  }

  get state(): State {
    return this.#applied.state;
  }

  get position(): number {
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

  onStored(listener: (n: number, entry: ReadEntry<Op>) => void): () => void {
    this.#storedListeners.add(listener);
    return () => this.#storedListeners.delete(listener);
  }

  async readEntry(n: number): Promise<ReadEntry<Op> | undefined> {
    const got = await this.#log.getApplied(n);
    if (!got.found) return undefined;
    const { head, spans } = this.#log.openEntry(n, got.bytes);
    return { ops: head.ops.map((op) => this.#applied.decode(op.bytes)), attachments: spans };
  }

  /** What was applied since the checkpoint that this process knows to be the newest. */
  get tail(): { readonly entries: number; readonly bytes: number } {
    return this.#applied.tail;
  }

  /**
   * Writes a checkpoint of the state as it is now. `announce` pushes the op that makes it current and rejects if that
   * was refused. Others' pushes and our own go on meanwhile. Rejects with what the store said, or `conflict` if another
   * process was faster; nothing is lost by that.
   */
  async checkpoint(announce: (checkpoint: Written) => Promise<void>, thorough: Thorough = "changes"): Promise<void> {
    const { store, prefix, sealer, snapshots, pages } = this.#options;
    const { capture, state, covers, hash, writers, keepHashes } = await this.#inTurn(async () => ({
      capture: snapshots.capture(this.state, this.position, thorough),
      state: this.state,
      covers: this.position,
      hash: this.#applied.hash,
      writers: [...this.#applied.writers],
      keepHashes: this.#applied.hashes.capture(),
    }));
    const tailBytes = this.tail.bytes;
    try {
      const body = await capture.write(pages);
      const hashes = await keepHashes(pages);
      const manifest = sealManifest(sealer, { covers, hash, writers, hashes, body });
      const name = prefix + manifestName(covers);
      const put = await asStoreFailure(store.putIfAbsent(name, manifest, { priority: "bulk", essential: true }));
      if (put.outcome === "exists") throw new EngineError("conflict", "another process wrote this checkpoint");
      const { covers: emails, numbering, sweeps } = capture;
      await announce({ covers, manifest: sealer.hash(manifest), emails, numbering, sweeps });
      if (state === this.state) capture.commit(covers);
      this.#applied.noteCheckpoint({ covers, hashes }, tailBytes);
    } catch (error) {
      capture.abandon();
      throw asEngineError(error);
    }
  }

  /** Another process's checkpoint is current. */
  noteCheckpoint(manifest: Pick<Manifest, "covers" | "hashes">): void {
    this.#applied.noteCheckpoint(manifest);
  }

  /** Goes over to the state of the checkpoint that covers entries up to `covers`, and what came since: as after a rewind,
   * rows are others, and what they tell is the same. Throws EngineError. */
  restart(covers: number): Promise<void> {
    this.#restarting ??= this.#restart(covers).finally(() => {
      this.#restarting = undefined;
    });
    return this.#restarting;
  }

  async #restart(covers: number): Promise<void> {
    const other = await this.#applied.restart(covers);
    await this.#inTurn(() => this.#applied.goOverTo(other));
    this.#tell();
  }

  /** The manifest of a checkpoint and its hash; undefined if it is gone. Throws EngineError `corrupt`. */
  readManifest(covers: number): Promise<{ readonly manifest: Manifest; readonly hash: Uint8Array } | undefined> {
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

  /** What is essential rides with nothing that a full store refuses. */
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
      const n = this.position + 1;
      const entry = this.#sealEntry(n, sequence, batch);
      const created = await this.#log.createEntry(n, entry.bytes, { along, essential: batch[0]!.essential });
      // Who lost the race for the name has them stored all the same.
      along = [];
      const outcomes = await this.#settle(n, entry, created).catch((error: unknown) => {
        // The entry that exists may be ours: until it is read nobody may say "not done".
        const isUnread =
          error instanceof EngineError && error.code === "unavailable" && !(error instanceof ReadingEnded);
        if (mayBeOurs(created) && isUnread)
          throw new EngineError("unknown-outcome", "the store does not answer", { cause: error });
        throw error;
      });
      if (outcomes) return outcomes;
      // What was read meanwhile may be another history.
      if (this.barred) throw new EngineError("not-permitted", BARRED[this.barred]);
    }
  }

  /** Entry n was stored, or exists: another's or perhaps ours; or lies where the log was trimmed long ago. Resolves
   * with our batch's outcomes if it is in the log, with undefined if it is to be written again further on. */
  async #settle(n: number, { head, ops, bytes }: SealedEntry<Op>, created: Created): Promise<Outcome[] | undefined> {
    const applied = this.#applied;
    if (!(await applied.isTrimmedBeyond(created.now))) {
      if (created.outcome === "stored") {
        applied.prove(created.now);
        const outcomes = applied.apply(n, bytes, head, ops);
        const entry = { ops, attachments: this.#log.spansOf(head, bytes) };
        for (const listener of this.#storedListeners) listener(n, entry);
        return outcomes;
      }
      const rival = await this.#log.getEntry(n);
      if (rival.found) return this.#readRival(n, rival.bytes, head.sequence);
      // It can't be told what held the name: a store that forgets is asked no further.
      if (!(await applied.loadNewer())) throw new EngineError("unknown-outcome", "the log's head moved away");
    }
    // The name lay below the log's beginning. Whether an earlier try was stored, the state knows.
    await this.#follow();
    const last = applied.writers.get(this.#options.writer);
    const isForgotten = last === undefined && applied.writers.size >= WRITERS_KEPT;
    if (!mayBeOurs(created) || (!isForgotten && (last ?? 0) < head.sequence)) return undefined;
    throw new EngineError("unknown-outcome", "the log was trimmed beyond what was applied here");
  }

  /** Entry n exists: applies it. Returns its outcomes if it is our own batch, whose answer was lost. */
  #readRival(n: number, bytes: Uint8Array, sequence: number): Outcome[] | undefined {
    if (isEnd(bytes)) {
      this.#applied.meetEnd(n, bytes);
      throw new EngineError("not-permitted", BARRED["cut-off"]);
    }
    const outcomes = this.#applied.tryApply(n, bytes);
    if (!outcomes) throw new EngineError("not-permitted", BARRED.damaged);
    const { head } = this.#log.openEntry(n, bytes);
    return head.writer === this.#options.writer && head.sequence === sequence ? outcomes : undefined;
  }

  #sealEntry(n: number, sequence: number, batch: readonly Queued<Op, Outcome>[]): SealedEntry<Op> {
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
      const next = applied.head + 1;
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
      if (!applied.tryApply(next, got.bytes)) return applied.head > from;
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

/** Whether the entry that is there, or was, may be what we asked to be created. */
function mayBeOurs({ outcome, doubtful }: Created): boolean {
  return outcome === "stored" || doubtful;
}
