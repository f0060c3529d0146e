import type { Log } from "../bay/bay.ts";
import { LinearBay, type LinearBayOptions } from "../bay/linear-bay.ts";
import type { Push, ReadEntry } from "../bay/machine.ts";
import type { Manifest } from "../bay/manifest.ts";
import { NOWHERE, type Position } from "../bay/position.ts";
import type { Captured, CaptureSource, LoadState, PageStore, Thorough } from "../bay/snapshots.ts";
import { applyBlock } from "../mail/apply/apply.ts";
import { judge } from "../mail/apply/judge.ts";
import { runsOf } from "../mail/apply/target-rows.ts";
import { mailboxId, type WriterId } from "../mail/ops/names.ts";
import type { Op, OpKind } from "../mail/ops/op.ts";
import type { Outcome } from "../mail/ops/outcome.ts";
import type { PlacedOp } from "../mail/ops/placed-op.ts";
import { MailState } from "../mail/state/state.ts";

/**
 * A double of the log, for tests: now and then an older op of another writer comes to light, behind ops that did not know
 * it, as in merge mode. The state is then made anew from its checkpoint: another object with other rows, where the ops since
 * then are one block with higher modseqs. It shows the same, so every test of code upon a log must pass here as it does on
 * the real one.
 *
 * The ghost that writes those ops makes a mailbox, copies INBOX into it and deletes it again. The store holds the log
 * without them: another process shows other modseqs.
 */
const GHOST = "fffffffffffffffe" as WriterId;
/** An older op comes to light at every so many chances. */
const CHANCES = 3;
/** Ops that did not know the ghost's, at most. */
const BEHIND_MAX = 8;
/** Ops beside which no mailbox can be made unseen: the numbers of those that were shown would change. */
const NUMBERED: ReadonlySet<OpKind> = new Set(["begin", "create", "rename", "rename-inbox", "delete", "raise"]);

type MailLog = Log<MailState, Op, Outcome>;
type MailLogOptions = LinearBayOptions<MailState, Op, Outcome>;

/** True once {@link rewindLogs} was called: two processes then show the same but for modseqs and UIDVALIDITY. */
export let isRewinding = false;

/** From now on every log of an account that this process opens rewinds. */
export function rewindLogs(): void {
  isRewinding = true;
  const openLinear = LinearBay.open.bind(LinearBay);
  const openRewinding = async (options: MailLogOptions): Promise<MailLog> => {
    const { machine, load, loadLeft: _, mayEnd, ...others } = options;
    const initial = (): Rewound => new Rewound(new MailState(), () => new MailState());
    const log = await openLinear<Rewound, Op, Outcome>({
      ...others,
      ...(mayEnd && { mayEnd: (rewound: Rewound) => mayEnd(rewound.state) }),
      machine: { ...machine, initial, apply: applyRewound },
      async load(body, pages, covers) {
        const copy = (): Promise<MailState> => load(body, pages, covers);
        return new Rewound(await copy(), spares(copy));
      },
    });
    return new RewindingLog(log, load);
  };
  LinearBay.open = openRewinding as unknown as typeof LinearBay.open;
}

class RewindingLog implements MailLog {
  readonly #log: Log<Rewound, Op, Outcome>;
  readonly #load: LoadState<MailState>;
  readonly #listeners = new Set<() => void>();

  constructor(log: Log<Rewound, Op, Outcome>, load: LoadState<MailState>) {
    this.#log = log;
    this.#load = load;
    log.onApplied(() => this.#tell());
  }

  get state(): MailState {
    return this.#log.state.state;
  }
  get position(): Position {
    return this.#log.position;
  }
  get barred(): MailLog["barred"] {
    return this.#log.barred;
  }
  get isRolledBack(): boolean {
    return this.#log.isRolledBack;
  }
  get isUncompared(): boolean {
    return this.#log.isUncompared;
  }
  get ended(): MailLog["ended"] {
    return this.#log.ended;
  }
  get witness(): MailLog["witness"] {
    return this.#log.witness;
  }
  get tail(): MailLog["tail"] {
    return this.#log.tail;
  }
  get lostCheckpoint(): MailLog["lostCheckpoint"] {
    return this.#log.lostCheckpoint;
  }

  async sync(): Promise<void> {
    await this.#log.sync();
    if (this.#log.state.rewind()) this.#tell();
  }

  onApplied(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async capture(source: CaptureSource<MailState>, thorough: Thorough): Promise<Captured> {
    return this.#log.capture((rewound, covers) => {
      // A state that is loaded anew has none of the ghost's ops.
      const capture = source(rewound.state, covers, thorough === "anew" ? "sweep" : thorough);
      const isAt = rewound.mark();
      let written: { readonly body: Uint8Array; readonly pages: PageStore } | undefined;
      return {
        ...capture,
        async write(pages) {
          written = { body: await capture.write(pages), pages };
          return written.body;
        },
        commit: (entry) => {
          capture.commit(entry);
          if (!written) return;
          const { body, pages } = written;
          rewound.beginAt(
            isAt,
            entry,
            spares(() => this.#load(body, pages, entry)),
          );
        },
      };
    }, thorough);
  }

  push(push: Push<Op>): Promise<Outcome> {
    return this.#log.push(push);
  }
  onStored(listener: (n: Position, entry: ReadEntry<Op>) => void): () => void {
    return this.#log.onStored(listener);
  }
  readEntry(n: Position): Promise<ReadEntry<Op> | undefined> {
    return this.#log.readEntry(n);
  }
  acceptHistory(): void {
    this.#log.acceptHistory();
  }
  acceptLoss<T>(recover: () => Promise<T>): Promise<T> {
    return this.#log.acceptLoss(recover);
  }
  get isRecovering(): boolean {
    return this.#log.isRecovering;
  }
  noteCheckpoint(manifest: Pick<Manifest, "covers" | "hashes">): void {
    this.#log.noteCheckpoint(manifest);
  }
  readManifest(covers: Position): ReturnType<MailLog["readManifest"]> {
    return this.#log.readManifest(covers);
  }
  restart(covers: Position): Promise<void> {
    return this.#log.restart(covers);
  }
  dispose(): Promise<void> {
    return this.#log.dispose();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Copies of a state, each given once; undefined while the next is being loaded. */
function spares(load: () => Promise<MailState>): () => MailState | undefined {
  let spare: MailState | undefined;
  const prepare = (): void => {
    load().then(
      (loaded) => {
        spare = loaded;
      },
      // Its checkpoint is gone, or the store is away: there are no more rewinds.
      () => undefined,
    );
  };
  prepare();
  return () => {
    const taken = spare;
    spare = undefined;
    if (taken) prepare();
    return taken;
  };
}

/** A copy in parts is one block here: modseqs are others after a rewind anyway. */
function applyRewound(rewound: Rewound, placed: PlacedOp): Iterator<undefined, Outcome> {
  rewound.rewind();
  return { next: () => ({ done: true, value: rewound.apply(placed) }) };
}

interface Mark {
  readonly state: MailState;
  readonly blocks: number;
}

/** A state, and the blocks of ops that it is made of. */
class Rewound {
  state: MailState;
  /** The state that the first block was applied to, each time a copy; undefined if there is none just now. */
  #begin: () => MailState | undefined;
  /** Entries that the checkpoint of that state covers: its emails lie in pages. */
  #covers: Position;
  #blocks: readonly (readonly PlacedOp[])[] = [];
  #ghosts = 0;
  #chances = 0;

  constructor(state: MailState, begin: () => MailState | undefined) {
    this.state = state;
    this.#begin = begin;
    this.#covers = state.pages.covers;
  }

  /** Where the ops of now end. */
  mark(): Mark {
    return { state: this.state, blocks: this.#blocks.length };
  }

  /** A checkpoint of what was here at the mark is in force. */
  beginAt({ state, blocks }: Mark, covers: Position, begin: () => MailState | undefined): void {
    if (state !== this.state) return;
    this.#begin = begin;
    this.#covers = covers;
    this.#blocks = this.#blocks.slice(blocks);
  }

  /** Applies an op whose author knew all that is here; it is judged once, and stays what it was judged to be. */
  apply(placed: PlacedOp): Outcome {
    const verdict = judge(this.state, placed.op);
    const ghosts = this.#ghosts;
    const op: PlacedOp = {
      ...placed,
      op: verdict.op ?? { kind: "nop" },
      judged: true,
      knows: (writer, sequence) => writer !== GHOST || sequence <= ghosts,
    };
    this.#blocks = [...this.#blocks, [op]];
    return { ...applyBlock(this.state, [op])[0]!, ...verdict.outcome };
  }

  /** Lets older ops come to light, if it is time. Returns whether the state is another now. */
  rewind(): boolean {
    if (++this.#chances % CHANCES > 0) return false;
    const from = this.#blocks.length - 1 - (this.#chances % BEHIND_MAX);
    const at =
      this.#blocks.findLastIndex((block, n) => n < from || block.length > 1 || NUMBERED.has(block[0]!.op.kind)) + 1;
    // Entries that another checkpoint covers may be gone from the log.
    const canBegin = at < this.#blocks.length && this.state.pages.covers === this.#covers;
    const state = canBegin ? this.#begin() : undefined;
    if (!state) return false;
    for (const block of this.#blocks.slice(0, at)) applyBlock(state, block);
    const block = [...this.#haunt(state), ...this.#blocks.slice(at).flat()];
    applyBlock(state, block);
    this.#blocks = [...this.#blocks.slice(0, at), block];
    this.state = state;
    return true;
  }

  /** The ghost's ops, written by one who saw this state. */
  #haunt(state: MailState): PlacedOp[] {
    if (!state.begun) return [];
    const { inbox } = state;
    const to = mailboxId(GHOST, this.#ghosts + 1, 0);
    const rows = Array.from({ length: inbox.messages.length }, (_, position) => inbox.messages.at(position));
    const copy: Op = { kind: "copy", mailbox: inbox.id, targets: runsOf(state, inbox, rows), to, seconds: 0 };
    const ops: Op[] = [
      { kind: "create", path: `ghost ${this.#ghosts}`, seconds: 0 },
      ...(rows.length > 0 ? [copy] : []),
      { kind: "delete", mailbox: to },
    ];
    return ops.map((op) => ({
      op,
      writer: GHOST,
      sequence: ++this.#ghosts,
      entry: NOWHERE,
      place: 0,
      judged: true,
      knows: () => true,
    }));
  }
}
