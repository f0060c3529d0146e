import { decode, encode } from "cborg";
import { EngineError } from "../errors.ts";
import { type ObjectStore, StoreError } from "../storage/object-store.ts";
import type { Bay } from "./bay.ts";
import {
  attachmentSpans,
  decodeHead,
  ENTRY_BYTES_MAX,
  type EntryHead,
  encodeHead,
  entryName,
  joinEntry,
  splitEntry,
} from "./entry.ts";
import { Fields } from "./fields.ts";
import type { Machine, Placed, Push, ReadEntry, Sealer } from "./machine.ts";
import type { PageStore, Snapshots } from "./snapshots.ts";
import { asEngineError, asStoreFailure } from "./store-failure.ts";
import type { WriterId } from "./writer.ts";

/**
 * The log on a store with atomic create-if-absent: entry n is created at `log/<n>`; who loses the race reads it, applies
 * it and tries n+1. Nothing is ever rewound.
 *
 * One entry is on its way at a time; what is pushed meanwhile rides in the next (group commit, no timer). All work on
 * the log (pushes, following) goes through one queue, so `#head` and `state` move together.
 */
export const BATCH_OPS_MAX = 256;
export const BATCH_BYTES_MAX: number = 2 ** 20;
/** How long an unknown outcome is asked again before it is told. */
export const UNKNOWN_RETRY_MS = 60_000;
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 2_000;
/** Writers whose last sequence is remembered, so that an op seen before is skipped. */
export const WRITERS_KEPT = 64;

export interface LinearBayOptions<State, Op, Outcome> {
  readonly store: ObjectStore;
  /** Prefix of the account's objects, with its trailing slash. */
  readonly prefix: string;
  readonly machine: Machine<State, Op, Outcome>;
  readonly snapshots: Snapshots<State>;
  readonly pages: PageStore;
  readonly sealer: Sealer;
  readonly writer: WriterId;
  /** What this host saw of the log before, kept outside the store. */
  readonly witness?: Witness | undefined;
  /** Waits; handed in so that tests need no time. */
  readonly delay: (ms: number) => Promise<void>;
}

const MANIFEST_FORMAT = 1;

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

/** `checkpoint/<2^53 - n>`: the first name of a list is the newest. */
function manifestName(n: number): string {
  return `checkpoint/${(2 ** 53 - n).toString(16).padStart(14, "0")}`;
}

function manifestNumber(name: string): number {
  return 2 ** 53 - Number.parseInt(name.slice(-14), 16);
}

interface Created {
  readonly outcome: "stored" | "exists";
  /** An earlier try's answer was lost: what exists may be that. */
  readonly doubtful: boolean;
}

interface Queued<Op, Outcome> {
  readonly push: Push<Op>;
  readonly bytes: Uint8Array;
  readonly size: number;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

export class LinearBay<State, Op, Outcome> implements Bay<State, Op, Outcome> {
  readonly #options: LinearBayOptions<State, Op, Outcome>;
  #state: State;
  #head = 0;
  #checkpointed = 0;
  #hash: Uint8Array = new Uint8Array(32);
  readonly #writers = new Map<WriterId, number>();
  #nextSequence = 1;
  #queue: Queued<Op, Outcome>[] = [];
  /** The tail of the one queue of work on the log. */
  #turn: Promise<unknown> = Promise.resolve();
  #pushing = false;
  #rolledBack = false;
  readonly #listeners = new Set<() => void>();
  #stopWatching: () => void = () => undefined;
  #disposed = false;

  private constructor(options: LinearBayOptions<State, Op, Outcome>) {
    this.#options = options;
    this.#state = options.machine.initial();
  }

  static async open<State, Op, Outcome>(
    options: LinearBayOptions<State, Op, Outcome>,
  ): Promise<LinearBay<State, Op, Outcome>> {
    const bay = new LinearBay(options);
    await bay.#inTurn(() => bay.#loadCheckpoint());
    await bay.sync();
    await bay.#inTurn(() => bay.#assertNoGap());
    if (options.witness && bay.#head < options.witness.entry) bay.#rolledBack = true;
    bay.#stopWatching = options.store.watch(`${options.prefix}log/`, (name) => {
      // What this writer is putting, or what is applied already, is no news.
      if (name !== undefined && name <= options.prefix + entryName(bay.#head + (bay.#pushing ? 1 : 0))) return;
      // A hint only: whoever needs the head syncs by itself and sees the error.
      bay.sync().catch(() => undefined);
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

  push(push: Push<Op>): Promise<Outcome> {
    if (this.#disposed) return Promise.reject(new EngineError("unavailable", "the log is closed"));
    if (this.#rolledBack)
      return Promise.reject(
        new EngineError("not-permitted", "the store shows an older history: the account is read-only"),
      );
    const bytes = this.#options.machine.encodeOp(push.op);
    const size = (push.attachments ?? []).reduce((sum, piece) => sum + piece.length, bytes.length);
    return new Promise((resolve, reject) => {
      this.#queue.push({ push, bytes, size, resolve, reject });
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
    const bytes = await this.#get(n);
    if (!bytes) return undefined;
    const { head, spans } = this.#open(n, bytes);
    return { ops: head.ops.map((op) => this.#decode(op.bytes)), attachments: spans };
  }

  /** Entries applied since the checkpoint that this process knows to be the newest. */
  get tailLength(): number {
    return this.#head - this.#checkpointed;
  }

  /**
   * Writes a checkpoint of the state as it is now; `announce` makes the op that tells the log of it. Others' pushes and
   * our own go on meanwhile. Rejects with what the store said; nothing is lost by that.
   */
  async checkpoint(announce: (checkpoint: Written) => Op): Promise<void> {
    const { store, prefix, sealer, snapshots, pages } = this.#options;
    const { capture, n, hash, writers } = await this.#inTurn(async () => ({
      capture: snapshots.capture(this.#state),
      n: this.#head,
      hash: this.#hash,
      writers: [...this.#writers],
    }));
    try {
      const body = await capture.write(pages);
      const manifest = sealer.seal(
        "manifest",
        String(n),
        encode([MANIFEST_FORMAT, n, hash, writers.map(([w, s]) => [w, s]), body]),
      );
      await store.putIfAbsent(prefix + manifestName(n), manifest, { priority: "bulk", essential: true });
      await this.push({ op: announce({ covers: n, manifest: sealer.hash(manifest), emails: capture.covers }) });
      capture.commit();
      this.#checkpointed = n;
    } catch (error) {
      capture.abandon();
      throw asEngineError(error);
    }
  }

  /** Loads the newest checkpoint, if there is one. */
  async #loadCheckpoint(): Promise<void> {
    const { store, prefix, sealer, snapshots, pages } = this.#options;
    const { objects } = await store.list(`${prefix}checkpoint/`, { limit: 1 });
    const [newest] = objects;
    if (!newest) return;
    const got = await store.get(newest.name);
    if (!got.found) return;
    const n = manifestNumber(newest.name);
    try {
      const fields = new Fields(decode(sealer.open("manifest", String(n), got.bytes), { strict: true }));
      if (fields.integer() !== MANIFEST_FORMAT || fields.integer() !== n)
        throw new RangeError("checkpoint of an unknown form");
      const hash = fields.bytes(32);
      const writers = fields.list((item) => [item.text() as WriterId, item.integer()] as const);
      this.#state = await snapshots.load(fields.bytes(), pages);
      this.#head = n;
      this.#hash = hash;
      this.#checkpointed = n;
      for (const [writer, sequence] of writers) this.#writers.set(writer, sequence);
    } catch (cause) {
      throw corrupt(`checkpoint ${n}`, cause);
    }
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#stopWatching();
    await this.#turn;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
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

  #takeBatch(): Queued<Op, Outcome>[] {
    let size = 0;
    let count = 0;
    for (const queued of this.#queue) {
      size += queued.size;
      if (count > 0 && (size > BATCH_BYTES_MAX || count >= BATCH_OPS_MAX)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #pushBatch(batch: readonly Queued<Op, Outcome>[]): Promise<Outcome[]> {
    const sequence = this.#nextSequence;
    this.#nextSequence += batch.length;
    for (;;) {
      const n = this.#head + 1;
      const bytes = this.#sealEntry(n, sequence, batch);
      const { outcome, doubtful } = await this.#create(n, bytes);
      if (outcome === "stored") return this.#apply(n, bytes);
      const outcomes = await this.#readRival(n, sequence).catch((error: unknown) => {
        // The entry that exists may be ours: until it is read nobody may say "not done".
        if (doubtful && error instanceof EngineError && error.code === "unavailable")
          throw new EngineError("unknown-outcome", "the store does not answer", { cause: error });
        throw error;
      });
      if (outcomes) return outcomes;
    }
  }

  /** Entry n exists: applies it. Returns its outcomes if it is our own batch, whose answer was lost. */
  async #readRival(n: number, sequence: number): Promise<Outcome[] | undefined> {
    const bytes = await this.#get(n);
    if (!bytes) throw new EngineError("unknown-outcome", "the log's head moved away");
    const { head } = this.#open(n, bytes);
    const outcomes = this.#apply(n, bytes);
    return head.writer === this.#options.writer && head.sequence === sequence ? outcomes : undefined;
  }

  /** Creates entry n, asking again with the same bytes for as long as the outcome is unknown. */
  async #create(n: number, bytes: Uint8Array): Promise<Created> {
    const { store, prefix, delay } = this.#options;
    let waited = 0;
    let asked = false;
    for (let pause = RETRY_FIRST_MS; ; pause = Math.min(pause * 2, RETRY_MAX_MS)) {
      try {
        const { outcome } = await store.putIfAbsent(prefix + entryName(n), bytes);
        return { outcome, doubtful: asked };
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        // Surely not done, this time; an earlier try may yet have been.
        if (error.code !== "unknown" && !asked) throw error;
        asked = true;
        if (waited >= UNKNOWN_RETRY_MS)
          throw new EngineError("unknown-outcome", "the store does not answer", { cause: error });
        waited += pause;
        await delay(pause);
      }
    }
  }

  #sealEntry(n: number, sequence: number, batch: readonly Queued<Op, Outcome>[]): Uint8Array {
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
    const sealed = this.#options.sealer.seal("entry", String(n), encodeHead(head));
    return joinEntry(
      sealed,
      batch.flatMap(({ push }) => push.attachments ?? []),
    );
  }

  /** Applies what others stored. Resolves with whether there was any. */
  async #follow(): Promise<boolean> {
    const from = this.#head;
    for (;;) {
      const bytes = await this.#get(this.#head + 1);
      if (!bytes) return this.#head > from;
      this.#apply(this.#head + 1, bytes);
    }
  }

  /** Entries beyond the end that following found: the one between is missing, and nothing may be written in its place. */
  async #assertNoGap(): Promise<void> {
    const { store, prefix } = this.#options;
    const after = prefix + entryName(this.#head);
    const { objects } = await asStoreFailure(store.list(`${prefix}log/`, { after, limit: 1 }));
    if (objects.length === 0) return;
    // Another may have written meanwhile.
    await this.#follow();
    if (objects[0]!.name > prefix + entryName(this.#head))
      throw new EngineError("corrupt", `log entry ${this.#head + 1} is missing`);
  }

  async #get(n: number): Promise<Uint8Array | undefined> {
    const { store, prefix } = this.#options;
    try {
      const got = await store.get(prefix + entryName(n));
      return got.found ? got.bytes : undefined;
    } catch (error) {
      throw asEngineError(error);
    }
  }

  #open(n: number, bytes: Uint8Array) {
    try {
      if (bytes.length > ENTRY_BYTES_MAX) throw new RangeError("entry is too large");
      const sealed = splitEntry(bytes);
      const head = decodeHead(this.#options.sealer.open("entry", String(n), sealed));
      return { head, spans: attachmentSpans(head, sealed.length, bytes.length) };
    } catch (cause) {
      throw corrupt(`log entry ${n}`, cause);
    }
  }

  #decode(bytes: Uint8Array): Op {
    try {
      return this.#options.machine.decodeOp(bytes);
    } catch (cause) {
      throw corrupt("an op", cause);
    }
  }

  /** Applies entry n, each op a block of its own: all that is lower is known to it. */
  #apply(n: number, bytes: Uint8Array): Outcome[] {
    const { head } = this.#open(n, bytes);
    if (!sameBytes(head.previous, this.#hash))
      throw new EngineError("corrupt", `log entry ${n} does not follow its predecessor`);
    const ops = head.ops.map((op) => this.#decode(op.bytes));
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
    this.#hash = this.#options.sealer.hash(bytes);
    const { witness } = this.#options;
    if (witness?.entry === n && !sameBytes(witness.hash, this.#hash)) this.#rolledBack = true;
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

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

function corrupt(what: string, cause: unknown): EngineError {
  return cause instanceof EngineError ? cause : new EngineError("corrupt", `${what} can't be read`, { cause });
}
