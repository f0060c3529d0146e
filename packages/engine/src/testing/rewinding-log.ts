import { LinearBay, type LinearBayOptions } from "../bay/linear-bay.ts";
import type { PageStore } from "../bay/snapshots.ts";
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
 * it, as in merge mode. The state is then made anew from its checkpoint: another object with other rows, where the ops
 * since then are one block with higher modseqs. What it shows is the same, so every test of what stands upon a log must
 * pass here as it does on the real one.
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

type MailBayOptions = LinearBayOptions<MailState, Op, Outcome>;

/** Whether {@link rewindLogs} was called: what two processes show is equal but for modseqs and UIDVALIDITY. */
export let isRewinding = false;

/** From now on every log of an account that this process opens rewinds. */
export function rewindLogs(): void {
  isRewinding = true;
  const { open } = LinearBay;
  LinearBay.open = ((options: MailBayOptions) =>
    openRewinding((own) => open.call(LinearBay, own as never) as never, options)) as unknown as typeof open;
}

type History = LinearBay<Rewound, Op, Outcome>;

async function openRewinding(
  open: (options: LinearBayOptions<Rewound, Op, Outcome>) => Promise<History>,
  options: MailBayOptions,
): Promise<LinearBay<MailState, Op, Outcome>> {
  const { machine, snapshots, mayEnd } = options;
  const load = (body: Uint8Array, pages: PageStore, covers: number) => () => snapshots.load(body, pages, covers);
  const bay = await open({
    ...options,
    mayEnd: mayEnd && ((rewound) => mayEnd(rewound.state)),
    machine: {
      ...machine,
      initial: () => new Rewound(new MailState(), () => new MailState()),
      applyBlock: applyRewound,
    },
    snapshots: {
      capture(rewound, covers, thorough) {
        // What is loaded anew has none of the ghost's ops.
        const capture = snapshots.capture(rewound.state, covers, thorough === "anew" ? "sweep" : thorough);
        const isAt = rewound.mark();
        let written: { readonly body: Uint8Array; readonly pages: PageStore } | undefined;
        return {
          ...capture,
          async write(pages) {
            written = { body: await capture.write(pages), pages };
            return written.body;
          },
          commit(entry) {
            capture.commit(entry);
            if (written) rewound.beginAt(isAt, entry, spares(load(written.body, written.pages, entry)));
          },
        };
      },
      async load(body, pages, covers) {
        const copy = load(body, pages, covers);
        return new Rewound(await copy(), spares(copy));
      },
    },
  });
  const listeners = new Set<() => void>();
  const tell = (): void => {
    for (const listener of listeners) listener();
  };
  bay.onApplied(tell);
  const shown = {
    get state(): MailState {
      return bay.state.state;
    },
    async sync(): Promise<void> {
      await bay.sync();
      if (bay.state.rewind()) tell();
    },
    onApplied(listener: () => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return new Proxy(bay, {
    get(_, name) {
      if (name in shown) return Reflect.get(shown, name);
      const value: unknown = Reflect.get(bay, name, bay);
      return typeof value === "function" ? value.bind(bay) : value;
    },
  }) as unknown as LinearBay<MailState, Op, Outcome>;
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

function applyRewound(rewound: Rewound, ops: readonly PlacedOp[]): Outcome[] {
  rewound.rewind();
  return ops.map((placed) => rewound.apply(placed));
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
  #covers: number;
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
  beginAt({ state, blocks }: Mark, covers: number, begin: () => MailState | undefined): void {
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
    // What another checkpoint covers may be gone from the log.
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
      entry: 0,
      place: 0,
      judged: true,
      knows: () => true,
    }));
  }
}
