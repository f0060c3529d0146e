import { EngineError } from "../errors.ts";
import type { Ring, WatchOptions } from "../storage/object-store.ts";
import type { Bay } from "./bay.ts";
import { type EntryHead, entryName } from "./entry.ts";
import {
  type Created,
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
import type { Machine, Placed, Push, ReadEntry } from "./machine.ts";
import { type Manifest, manifestName, sealManifest } from "./manifest.ts";
import { serial } from "./serial.ts";
import type { PageStore, Snapshots } from "./snapshots.ts";
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
 * the log (pushes, following) goes through one queue, so `#head` and `state` move together.
 */
export const BATCH_OPS_MAX = 256;
export const BATCH_BYTES_MAX: number = 2 ** 20;
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

export interface LinearBayOptions<State, Op, Outcome> extends LogPlace, Pick<WatchOptions, "isUrgent"> {
  readonly machine: Machine<State, Op, Outcome>;
  readonly snapshots: Snapshots<State>;
  readonly pages: PageStore;
  readonly writer: WriterId;
  /** Whether the log announced the checkpoint that covers entries up to `covers`. */
  readonly isCurrent: (state: State, covers: number) => boolean;
  /** What this host saw of the log before, kept outside the store. */
  readonly witness?: Witness | undefined;
  /** What was asked for before the keys were there. */
  readonly prefetched?: Prefetched | undefined;
  /** Lets others have their turn during long work. */
  readonly breathe?: (() => Promise<void>) | undefined;
}

/** A point of the log: entry `entry` had this hash. A store that shows less, or another, was rolled back. */
export interface Witness {
  readonly entry: number;
  readonly hash: Uint8Array;
}

/** What the announcing op tells of a checkpoint. */
export interface Written {
  readonly covers: number;
  readonly manifest: Uint8Array;
  readonly emails: number;
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
  readonly #log: LogObjects;
  #state: State;
  #head = 0;
  #checkpointed = 0;
  #tailBytes = 0;
  /** When, by the store, the entry after `#head` was surely the next. */
  #proof = Number.NEGATIVE_INFINITY;
  #hash: Uint8Array = new Uint8Array(32);
  readonly #writers = new Map<WriterId, number>();
  #nextSequence = 1;
  #queue: Queued<Op, Outcome>[] = [];
  /** The one queue of work on the log. */
  readonly #inTurn = serial();
  #pushing = false;
  #rolledBack = false;
  #witness: Witness | undefined;
  readonly #listeners = new Set<() => void>();
  #stopWatching: () => void = () => undefined;
  #disposed = false;

  private constructor(options: LinearBayOptions<State, Op, Outcome>) {
    this.#options = options;
    this.#log = new LogObjects(options);
    this.#witness = options.witness;
    this.#state = options.machine.initial();
  }

  static async open<State, Op, Outcome>(
    options: LinearBayOptions<State, Op, Outcome>,
  ): Promise<LinearBay<State, Op, Outcome>> {
    const bay = new LinearBay(options);
    await bay.#inTurn(() => bay.#open());
    if (options.witness && bay.#head < options.witness.entry) {
      await bay.sync();
      if (bay.#head < options.witness.entry) bay.#rolledBack = true;
    }
    const ring: Ring = (name) => {
      // What this writer is putting, or what is applied already, is no news.
      if (name !== undefined && name <= options.prefix + entryName(bay.#head + (bay.#pushing ? 1 : 0))) return;
      // A hint only: whoever needs the head syncs by itself and sees the error.
      bay.sync().catch(() => undefined);
    };
    bay.#stopWatching = options.store.watch(`${options.prefix}log/`, ring, {
      isUrgent: options.isUrgent,
      after: options.prefix + entryName(bay.#head),
    });
    return bay;
  }

  /** The store shows an older or another history than this host has seen. Nothing is pushed upon it. */
  get rolledBack(): boolean {
    return this.#rolledBack;
  }

  /** The owner goes on from the history that the store shows. */
  acceptHistory(): void {
    this.#rolledBack = false;
    // It tells of the history that is gone.
    this.#witness = undefined;
  }

  /** The present end of the log, for the host to keep. */
  get witness(): Witness {
    return { entry: this.#head, hash: this.#hash };
  }

  get state(): State {
    return this.#state;
  }

  get position(): number {
    return this.#head;
  }

  async push(push: Push<Op>): Promise<Outcome> {
    if (this.#disposed) throw new EngineError("unavailable", "the log is closed");
    if (this.#rolledBack)
      throw new EngineError(
        "not-permitted",
        "the store shows an older history than was seen here before: nothing can be changed until the owner accepts that (restante account accept-history)",
      );
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
      if (await this.#follow()) this.#tell();
    });
  }

  onApplied(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async readEntry(n: number): Promise<ReadEntry<Op> | undefined> {
    const got = await this.#log.getApplied(n);
    if (!got.found) return undefined;
    const { head, spans } = this.#log.openEntry(n, got.bytes);
    return { ops: head.ops.map((op) => this.#decode(op.bytes)), attachments: spans };
  }

  /** What was applied since the checkpoint that this process knows to be the newest. */
  get tail(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#head - this.#checkpointed, bytes: this.#tailBytes };
  }

  /**
   * Writes a checkpoint of the state as it is now. `announce` pushes the op that makes it current and rejects if that
   * was refused. Others' pushes and our own go on meanwhile. Rejects with what the store said, or `conflict` if another
   * process was faster; nothing is lost by that.
   */
  async checkpoint(announce: (checkpoint: Written) => Promise<void>): Promise<void> {
    const { store, prefix, sealer, snapshots, pages } = this.#options;
    const { capture, state, covers, hash, writers } = await this.#inTurn(async () => ({
      capture: snapshots.capture(this.#state),
      state: this.#state,
      covers: this.#head,
      hash: this.#hash,
      writers: [...this.#writers],
    }));
    const tailBytes = this.#tailBytes;
    try {
      const manifest = sealManifest(sealer, { covers, hash, writers, body: await capture.write(pages) });
      const name = prefix + manifestName(covers);
      const put = await asStoreFailure(store.putIfAbsent(name, manifest, { priority: "bulk", essential: true }));
      if (put.outcome === "exists") throw new EngineError("conflict", "another process wrote this checkpoint");
      await announce({ covers, manifest: sealer.hash(manifest), emails: capture.covers });
      if (state === this.#state) capture.commit(covers);
      this.#noteCheckpoint(covers, tailBytes);
    } catch (error) {
      capture.abandon();
      throw asEngineError(error);
    }
  }

  /** Another process's checkpoint of entries up to `covers` is current. */
  noteCheckpoint(covers: number): void {
    this.#noteCheckpoint(covers, this.#tailBytes);
  }

  #noteCheckpoint(covers: number, tailBytes: number): void {
    if (covers <= this.#checkpointed) return;
    this.#checkpointed = covers;
    this.#tailBytes -= tailBytes;
  }

  /** The manifest of a checkpoint and its hash; undefined if it is gone. Throws EngineError `corrupt`. */
  async readManifest(covers: number): Promise<{ readonly manifest: Manifest; readonly hash: Uint8Array } | undefined> {
    const got = await getManifest(this.#options, covers);
    return got.found ? this.#log.openManifest(covers, got.bytes) : undefined;
  }

  /** The newest checkpoint and all that was stored after it, in three round trips. */
  async #open(): Promise<void> {
    for (let tries = 1; ; tries++) {
      const prefetched = (tries === 1 && this.#options.prefetched) || (await prefetchLog(this.#options));
      if (await this.#openFrom(prefetched)) return;
      if (tries === OPEN_TRIES) throw new EngineError("corrupt", `log entry ${this.#head + 1} is missing`);
    }
  }

  /** Resolves with false if an entry in between is missing: the log was trimmed meanwhile, or is damaged. */
  async #openFrom({ checkpoints, manifest, entries }: Prefetched): Promise<boolean> {
    // What no checkpoint covers now is kept for a day at least.
    this.#proof = checkpoints.now;
    const [newest, before] = checkpoints.covers;
    if (newest === undefined) return this.#readTail(entries);
    if (!manifest?.found) return false;
    try {
      const { manifest: opened } = this.#log.openManifest(newest, manifest.bytes);
      const [state, tail] = await Promise.all([
        this.#loadState(opened),
        this.#getEntries(entries.slice(0, ENTRIES_AT_ONCE)),
      ]);
      this.#adopt(opened, state);
      return await this.#readTail(entries, tail);
    } catch (error) {
      if (before === undefined || !(error instanceof EngineError && error.code === "corrupt")) throw error;
      // One that was never announced may have lost its pages; the one before tells whether it was.
      await this.#load(before);
      await this.#readTail(await listEntries(this.#options, before));
      if (this.#options.isCurrent(this.#state, newest)) throw error;
      return true;
    }
  }

  /** Applies these entries, which a listing showed after the head; `first` were read already. */
  async #readTail(entries: readonly number[], first: readonly Uint8Array[] = []): Promise<boolean> {
    const breath = this.#breath();
    for (let at = 0; at < entries.length; at += ENTRIES_AT_ONCE) {
      const numbers = entries.slice(at, at + ENTRIES_AT_ONCE);
      const read = at === 0 && first.length > 0 ? first : await this.#getEntries(numbers);
      for (const [place, n] of numbers.entries()) {
        if (n !== this.#head + 1 || read[place] === undefined) return false;
        this.#apply(n, read[place]);
        await breath(read[place].length);
      }
    }
    // A listing that was full may have left some out; what came after it the next sync finds.
    return entries.length < LIST_ENTRIES_MAX || this.#readTail(await listEntries(this.#options, this.#head));
  }

  /** As many of these entries, from the first on, as are there. */
  async #getEntries(numbers: readonly number[]): Promise<Uint8Array[]> {
    const read = await Promise.all(numbers.map((n) => this.#log.getEntry(n)));
    const found: Uint8Array[] = [];
    for (const got of read) {
      if (!got.found) break;
      found.push(got.bytes);
    }
    return found;
  }

  /** Goes to the state of a checkpoint. */
  async #load(covers: number): Promise<void> {
    const read = await this.readManifest(covers);
    if (!read) throw new EngineError("corrupt", `checkpoint ${covers} is missing`);
    this.#adopt(read.manifest, await this.#loadState(read.manifest));
  }

  async #loadState({ covers, body }: Manifest): Promise<State> {
    const { snapshots, pages } = this.#options;
    try {
      return await snapshots.load(body, pages, covers);
    } catch (cause) {
      throw corrupt(`checkpoint ${covers}`, cause);
    }
  }

  #adopt({ covers, hash, writers }: Manifest, state: State): void {
    this.#state = state;
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
  async #isTrimmedBeyond(now: number): Promise<boolean> {
    if (now - this.#proof < PROOF_MS) return false;
    if (await this.#loadNewer()) return true;
    this.#proof = now;
    return false;
  }

  /** Goes to the newest checkpoint if it covers entries that were not applied here. */
  async #loadNewer(): Promise<boolean> {
    const { covers } = await listCheckpoints(this.#options, 1);
    if (covers[0] === undefined || covers[0] <= this.#head) return false;
    await this.#load(covers[0]);
    return true;
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
      const n = this.#head + 1;
      const entry = this.#sealEntry(n, sequence, batch);
      const created = await this.#log.createEntry(n, entry.bytes, { along, essential: batch[0]!.essential });
      // Who lost the race for the name has them stored all the same.
      along = [];
      const outcomes = await this.#settle(n, entry, created).catch((error: unknown) => {
        // The entry that exists may be ours: until it is read nobody may say "not done".
        if (mayBeOurs(created) && error instanceof EngineError && error.code === "unavailable")
          throw new EngineError("unknown-outcome", "the store does not answer", { cause: error });
        throw error;
      });
      if (outcomes) return outcomes;
    }
  }

  /** Entry n was stored, or exists: another's or perhaps ours; or lies where the log was trimmed long ago. Resolves
   * with our batch's outcomes if it is in the log, with undefined if it is to be written again further on. */
  async #settle(n: number, { head, ops, bytes }: SealedEntry<Op>, created: Created): Promise<Outcome[] | undefined> {
    if (!(await this.#isTrimmedBeyond(created.now))) {
      if (created.outcome === "stored") {
        this.#proof = created.now;
        return this.#apply(n, bytes, head, ops);
      }
      const rival = await this.#log.getEntry(n);
      if (rival.found) return this.#readRival(n, rival.bytes, head.sequence);
      // It can't be told what held the name: a store that forgets is asked no further.
      if (!(await this.#loadNewer())) throw new EngineError("unknown-outcome", "the log's head moved away");
    }
    // The name lay below the log's beginning. Whether an earlier try was stored, the state knows.
    await this.#follow();
    const last = this.#writers.get(this.#options.writer);
    const isForgotten = last === undefined && this.#writers.size >= WRITERS_KEPT;
    if (!mayBeOurs(created) || (!isForgotten && (last ?? 0) < head.sequence)) return undefined;
    throw new EngineError("unknown-outcome", "the log was trimmed beyond what was applied here");
  }

  /** Entry n exists: applies it. Returns its outcomes if it is our own batch, whose answer was lost. */
  #readRival(n: number, bytes: Uint8Array, sequence: number): Outcome[] | undefined {
    const { head } = this.#log.openEntry(n, bytes);
    const outcomes = this.#apply(n, bytes, head);
    return head.writer === this.#options.writer && head.sequence === sequence ? outcomes : undefined;
  }

  #sealEntry(n: number, sequence: number, batch: readonly Queued<Op, Outcome>[]): SealedEntry<Op> {
    const head: EntryHead = {
      writer: this.#options.writer,
      sequence,
      previous: this.#hash,
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
    const from = this.#head;
    const breath = this.#breath();
    for (;;) {
      const got = await this.#log.getEntry(this.#head + 1);
      if (await this.#isTrimmedBeyond(got.now)) continue;
      if (!got.found) {
        this.#proof = got.now;
        return this.#head > from;
      }
      this.#apply(this.#head + 1, got.bytes);
      this.#proof = Math.max(this.#proof, got.created);
      await breath(got.bytes.length);
    }
  }

  /** To be told of each entry that was applied: lets others have their turn after so many bytes. */
  #breath(): (bytes: number) => Promise<void> | undefined {
    let applied = 0;
    return (bytes) => {
      applied += bytes;
      if (applied < APPLIED_AT_ONCE) return undefined;
      applied = 0;
      return this.#options.breathe?.();
    };
  }

  #decode(bytes: Uint8Array): Op {
    try {
      return this.#options.machine.decodeOp(bytes);
    } catch (cause) {
      throw corrupt("an op", cause);
    }
  }

  /** Applies entry n, each op a block of its own: all that is lower is known to it. */
  #apply(
    n: number,
    bytes: Uint8Array,
    head = this.#log.openEntry(n, bytes).head,
    ops: readonly Op[] = head.ops.map((op) => this.#decode(op.bytes)),
  ): Outcome[] {
    if (!sameBytes(head.previous, this.#hash))
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
      if (placed.sequence > last) outcomes.push(this.#options.machine.applyBlock(this.#state, [placed])[0]!);
    }
    this.#remember(head.writer, head.sequence + ops.length - 1);
    this.#head = n;
    this.#tailBytes += bytes.length;
    this.#hash = this.#options.sealer.hash(bytes);
    if (this.#witness?.entry === n && !sameBytes(this.#witness.hash, this.#hash)) this.#rolledBack = true;
    return outcomes;
  }

  #remember(writer: WriterId, sequence: number): void {
    this.#writers.delete(writer);
    this.#writers.set(writer, sequence);
    if (this.#writers.size > WRITERS_KEPT) this.#writers.delete(this.#writers.keys().next().value!);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Whether the entry that is there, or was, may be what we asked to be created. */
function mayBeOurs({ outcome, doubtful }: Created): boolean {
  return outcome === "stored" || doubtful;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
