import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { position } from "../../bay/position.ts";
import { captureSource, memoryPages } from "../../testing/checkpoint-kit.ts";
import { adding, bareEmail } from "../../testing/email-kit.ts";
import {
  blocks,
  closedSets,
  type Entry,
  type Event,
  entriesSeen,
  expected,
  type History,
  has,
  lostEntries,
  nameText,
  opsOf,
  type Place,
  type Seen,
  type Step,
} from "../../testing/numbering-model.ts";
import type { EmailSource } from "../checkpoint/email-capture.ts";
import { captureMail, loadMail } from "../checkpoint/snapshot.ts";
import { type ModSeq, NO_MODSEQ } from "../numbers.ts";
import type { NewEmail } from "../ops/email.ts";
import { INBOX_ID, type MailboxId, type WriterId } from "../ops/names.ts";
import type { Op } from "../ops/op.ts";
import type { PlacedOp } from "../ops/placed-op.ts";
import { mailboxChanges } from "../state/feed.ts";
import { MailState } from "../state/state.ts";
import { applyBlock } from "./apply.ts";
import { runsOf } from "./target-rows.ts";

/**
 * The real fold against the model of `numbering-model.ts`, for every causally closed part of a history: what each
 * mailbox shows must be equal to the last uid and modseq. And whoever saw a part C first and the whole O later must
 * find, in each mailbox:
 *
 * I1 a uid of both names one message; I2 what is new lies at or above UIDNEXT(C); I3 what changed or is new has a modseq
 * above HIGHESTMODSEQ(C), what is gone is in VANISHED since then, which names nothing that lives, and no counter goes
 * back; I4 the state is a function of the set of ops, through a checkpoint at any cut too; I5 nothing is lost that
 * nobody expunged.
 */
const MAILBOXES: readonly [MailboxId, MailboxId] = [INBOX_ID, "0000000000000000.0.1" as MailboxId];
const FOLDERS = [{ path: "INBOX" }, { path: "Other" }];

const email = (op: number, index: number): NewEmail => bareEmail([op + 1, index]);

function begun(): MailState {
  const state = new MailState();
  const founder = { writer: "00000000000000ff" as WriterId, sequence: 1, entry: position(0), place: 0, judged: false };
  applyBlock(state, [{ ...founder, knows: () => true, op: { kind: "begin", seconds: 1000, folders: FOLDERS } }]);
  return state;
}

/** A history's ops as the log would hold them. */
class Log {
  readonly history: History;
  /** The author of each op, and the op's sequence. A writer knows all that it wrote before. */
  readonly #authors: { readonly writer: WriterId; readonly sequence: number }[] = [];
  readonly #opBy = new Map<string, number>();
  readonly #placed = new Map<number, PlacedOp>();

  constructor(history: History) {
    this.history = history;
    const last: number[] = [];
    for (const [op, { knows }] of history.entries()) {
      const known = last.findIndex((previous) => has(knows, previous));
      const number = known < 0 ? last.length : known;
      const sequence = known < 0 ? 1 : this.#authors[last[known]!]!.sequence + 1;
      last[number] = op;
      this.#authors.push({ writer: (number + 1).toString(16).padStart(16, "0") as WriterId, sequence });
      this.#opBy.set(`${this.#authors[op]!.writer} ${sequence}`, op);
    }
  }

  /** The state of a process that has seen these ops. `split` says which of them are applied together. */
  fold(mask: number, split = blocks(this.history, opsOf(this.history, mask)), state: MailState = begun()): MailState {
    for (const block of split)
      applyBlock(
        state,
        block.map((op) => this.#place(op)),
      );
    return state;
  }

  look(state: MailState, place: Place): Seen {
    const mailbox = state.findMailbox(MAILBOXES[place])!;
    const { uid, modSeq } = state.memberships.columns;
    const seen: Seen = { uidNext: mailbox.uidNext, live: new Map(), vanished: new Map() };
    for (let position = 0; position < mailbox.messages.length; position++) {
      const row = mailbox.messages.at(position);
      const { writer, sequence, index } = state.nameOf(row);
      seen.live.set(uid.get(row), {
        name: nameText({ op: this.#opBy.get(`${writer} ${sequence}`)!, index }),
        flags: [...state.flagNames(row)].sort().join(),
        modSeq: modSeq.get(row),
      });
    }
    for (const { first, last, modSeq: at } of mailboxChanges(state, mailbox, NO_MODSEQ)!.vanished)
      for (let number = first; number <= last; number++) {
        if (seen.vanished.has(number)) throw new Error(`uid ${number} vanished twice`);
        seen.vanished.set(number, at);
      }
    return seen;
  }

  #place(op: number): PlacedOp {
    const known = this.#placed.get(op);
    if (known) return known;
    const { knows } = this.history[op]!;
    const placed: PlacedOp = {
      ...this.#authors[op]!,
      op: this.#author(op),
      entry: position(op + 1),
      place: 0,
      judged: true,
      knows: (writer, sequence) => {
        const other = this.#opBy.get(`${writer} ${sequence}`);
        return other === undefined || other === op || has(knows, other);
      },
    };
    this.#placed.set(op, placed);
    return placed;
  }

  /** The op as its author makes it: upon the state that is exactly what it knew. */
  #author(number: number): Op {
    const { event, knows } = this.history[number]!;
    if (event.kind === "add") {
      const emails = Array.from({ length: event.count }, (_, index) => email(number, index));
      return adding(MAILBOXES[event.mailbox], emails);
    }
    const state = this.fold(knows);
    const mailbox = state.findMailbox(MAILBOXES[event.entries[0]!.mailbox])!;
    const rows = event.entries.map(({ op, index }) => state.findMembership({ ...this.#authors[op]!, index })!);
    const named = { mailbox: mailbox.id, targets: runsOf(state, mailbox, rows) };
    switch (event.kind) {
      case "flag":
        return { kind: "flags", ...named, change: { mode: "add", flags: [`k${number}`] } };
      case "unflag":
        return { kind: "flags", ...named, change: { mode: "remove", flags: this.history.map((_, op) => `k${op}`) } };
      case "expunge":
        return { kind: "expunge", ...named };
      case "move":
      case "copy":
        return { kind: event.kind, ...named, to: MAILBOXES[event.mailbox], seconds: 0 };
    }
  }
}

/** Everything that the state says of itself: counts, numbers, and all rows that live. */
function visible(log: Log, state: MailState): unknown {
  return ([0, 1] as const).map((place) => {
    const { unseen, deleted, bytes, uidValidity, highestModSeq } = state.findMailbox(MAILBOXES[place])!;
    return { ...log.look(state, place), unseen, deleted, bytes, uidValidity, highestModSeq, modSeq: state.modSeq };
  });
}

/** The mailboxes as one part of a history shows them. */
type View = readonly MailboxSeen[];
interface MailboxSeen {
  readonly seen: Seen;
  readonly highest: number;
  /** Uids of messages whose flags changed after this modseq, as the mailbox's change log has it. */
  changed(since: number): ReadonlySet<number>;
}
type Views = ReadonlyMap<number, View>;

/** Checks every causally closed part of the history, and each against the whole. `known` are the views of a history
 * that this one goes on from. */
function checkHistory(history: History, known: Views = new Map()): Views {
  const log = new Log(history);
  const views = new Map(closedSets(history).map((part) => [part, known.get(part) ?? view(log, part)]));
  const whole = views.get((1 << history.length) - 1)!;
  for (const [part, parts] of views)
    for (const [place, before] of parts.entries()) {
      const broken = brokenBetween(before, whole[place]!);
      if (broken) throw new Error(`${broken} ${describePart(history, part)}`);
    }
  const live = new Set(whole.flatMap(({ seen }) => [...seen.live.values()]).map(({ name }) => name));
  const lost = lostEntries(history, live);
  if (lost.length > 0) throw new Error(`I5 ${JSON.stringify({ lost, history })}`);
  return views;
}

/** The mailboxes as this part shows them, which must be as the model has them. */
function view(log: Log, part: number): View {
  const state = log.fold(part);
  return expected(log.history, part).map((model, index) => {
    const place = index as Place;
    const seen = log.look(state, place);
    const difference = differs(seen, model);
    if (difference) throw new Error(`${difference} in mailbox ${place} ${describePart(log.history, part)}`);
    const mailbox = state.findMailbox(MAILBOXES[place])!;
    const changed = (since: ModSeq): Set<number> => new Set(mailboxChanges(state, mailbox, since)!.changed);
    return { seen, highest: mailbox.highestModSeq, changed };
  });
}

const describePart = (history: History, part: number): string =>
  JSON.stringify({ part: opsOf(history, part), history });

/** The first difference from the model; vitest's `toEqual` would take most of the time of these tests. */
function differs(seen: Seen, model: Seen): string | undefined {
  if (seen.uidNext !== model.uidNext) return `UIDNEXT ${seen.uidNext}, not ${model.uidNext}`;
  const text = ({ live, vanished }: Seen): string =>
    JSON.stringify([[...live].sort(([a], [b]) => a - b), [...vanished].sort(([a], [b]) => a - b)]);
  const [is, should] = [text(seen), text(model)];
  return is === should ? undefined : `${is}, not ${should}`;
}

/** The invariant that does not hold for a reader that saw `before` first and `after` later. */
function brokenBetween(before: MailboxSeen, after: MailboxSeen): string | undefined {
  const [c, o] = [before.seen, after.seen];
  const [highestC, highestO] = [before.highest, after.highest];
  if (o.uidNext < c.uidNext || highestO < highestC) return "I3d";
  const isVanished = (uid: number): boolean => (o.vanished.get(uid) ?? 0) > highestC;
  for (const [uid, message] of o.live) {
    const known = c.live.get(uid);
    if (known && known.name !== message.name) return "I1";
    if (!known && uid < c.uidNext) return "I2";
    if ((!known || known.flags !== message.flags) && message.modSeq <= highestC) return "I3a";
    if (known && known.flags !== message.flags && !after.changed(highestC).has(uid)) return "I3a by the change log";
    if (message.modSeq > highestO) return "I3d";
    if (isVanished(uid)) return "I3c";
  }
  for (const uid of c.live.keys()) if (!o.live.has(uid) && !isVanished(uid)) return "I3b";
  return undefined;
}

interface Kinds {
  readonly mailboxes: readonly Place[];
  readonly kinds: readonly Event["kind"][];
  /** Messages of one add. */
  readonly counts: readonly number[];
}

/** Events that an author who knows these ops may make: each on one message, or an add. */
function eventsAt(history: History, knows: number, { mailboxes, kinds, counts }: Kinds): Event[] {
  return kinds.flatMap((kind): Event[] => {
    if (kind === "add") return mailboxes.flatMap((mailbox) => counts.map((count) => ({ kind, mailbox, count })));
    return mailboxes.flatMap((from) =>
      entriesSeen(history, knows, from).flatMap((entry): Event[] => {
        const entries = [entry];
        if (kind !== "move" && kind !== "copy") return [{ kind, entries }];
        return mailboxes.filter((mailbox) => mailbox !== from).map((mailbox) => ({ kind, entries, mailbox }));
      }),
    );
  });
}

/** Checks every history of up to `length` ops; returns how many there were. */
function checkAll(length: number, kinds: Kinds, history: History = [], known?: Views): number {
  const views = history.length > 0 ? checkHistory(history, known) : known;
  if (history.length === length) return 1;
  let histories = history.length > 0 ? 1 : 0;
  for (const knows of closedSets(history))
    for (const event of eventsAt(history, knows, kinds))
      histories += checkAll(length, kinds, [...history, { event, knows }], views);
  return histories;
}

// The numbers are those of the model that the rules were checked with: none is left out.
describe("every history", () => {
  test("of adds alone, up to five", () => {
    expect(checkAll(5, { mailboxes: [0], kinds: ["add"], counts: [1] })).toBe(407);
  });

  test("of adds, flags and expunges, up to four", () => {
    expect(checkAll(4, { mailboxes: [0], kinds: ["add", "flag", "expunge"], counts: [1] })).toBe(558);
  });

  test("of batches and expunges, up to four", () => {
    expect(checkAll(4, { mailboxes: [0], kinds: ["add", "expunge"], counts: [1, 2] })).toBe(2656);
  });

  test("with two mailboxes, moves and copies, up to three", () => {
    const kinds = ["add", "flag", "expunge", "move", "copy"] as const;
    expect(checkAll(3, { mailboxes: [0, 1], kinds, counts: [1] })).toBeGreaterThan(200);
  });

  test("in which three ops flag, expunge or move two messages", () => {
    const add: Step = { event: { kind: "add", mailbox: 0, count: 2 }, knows: 0 };
    const kinds = ["flag", "unflag", "expunge", "move"] as const;
    expect(checkAll(4, { mailboxes: [0, 1], kinds, counts: [] }, [add])).toBeGreaterThan(2000);
  });
});

/** Histories whose ops name any number of messages of one mailbox: runs, as authors make them. */
const histories = fc
  .array(fc.tuple(fc.nat(), fc.nat(), fc.nat(), fc.nat()), { minLength: 5, maxLength: 8 })
  .map((choices) => {
    const history: Step[] = [];
    for (const [whom, what, which, where] of choices) {
      const sets = closedSets(history);
      // Half of the authors know nearly all: else nearly everything is one block.
      const knows = sets[whom % 2 === 0 ? sets.length - 1 - (whom % Math.min(3, sets.length)) : whom % sets.length]!;
      history.push({ event: choose(history, knows, what, which, where), knows });
    }
    return history;
  });

function choose(history: History, knows: number, what: number, which: number, where: number): Event {
  const mailbox = (where % 2) as Place;
  const seen = entriesSeen(history, knows, mailbox);
  const picked = seen.filter((_, position) => which % 3 === 0 || (which >> (position % 16)) % 2 === 0);
  const kind = (["add", "add", "flag", "unflag", "expunge", "move", "move", "copy"] as const)[what % 8]!;
  if (kind === "add" || picked.length === 0) return { kind: "add", mailbox, count: 1 + (which % 3) };
  const entries: readonly Entry[] = picked;
  if (kind === "move" || kind === "copy") return { kind, entries, mailbox: (1 - mailbox) as Place };
  return { kind, entries };
}

test("random histories of five to eight ops on many messages", () => {
  fc.assert(
    fc.property(histories, (history) => void checkHistory(history)),
    { numRuns: 400 },
  );
});

test("uids do not depend on how the list is split into blocks", () => {
  const uids = (log: Log, state: MailState): unknown =>
    ([0, 1] as const).map((place) => {
      const { uidNext, live, vanished } = log.look(state, place);
      return [uidNext, [...live].map(([uid, { name, flags }]) => [uid, name, flags]), [...vanished.keys()].sort()];
    });
  fc.assert(
    fc.property(histories, (history) => {
      const log = new Log(history);
      const whole = (1 << history.length) - 1;
      expect(uids(log, log.fold(whole, [opsOf(history, whole)]))).toEqual(uids(log, log.fold(whole)));
    }),
    { numRuns: 200 },
  );
});

test("a state that went through a checkpoint at any cut is the one that did not", async () => {
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      const log = new Log(history);
      const whole = (1 << history.length) - 1;
      const all = visible(log, log.fold(whole));
      const split = blocks(history, opsOf(history, whole));
      for (let cut = 0; cut <= split.length; cut++) {
        const loaded = await checkpointed(log.fold(0, split.slice(0, cut)));
        expect(visible(log, log.fold(0, split.slice(cut), loaded))).toEqual(all);
      }
    }),
    { numRuns: 60 },
  );
});

async function checkpointed(state: MailState): Promise<MailState> {
  const pages = memoryPages();
  const source: EmailSource = {
    improvedPages: () => new Set(),
    readTexts: async () => [],
    readIds: captureSource.readIds,
    threadFacts: captureSource.threadFacts,
    readValue: async () => new Uint8Array(0),
    readRecord: async () => ({ ...email(0, 0), object: { name: "body/0", offset: 0, length: 1 } }),
    readHeader: async () => new Uint8Array(1),
    readObject: async () => new Uint8Array(1),
  };
  return loadMail(await captureMail(state, source).write(pages), pages, position(1));
}

describe("ops that did not know one another", () => {
  const entry: Entry = { op: 0, index: 0, mailbox: 0 };
  const three = [0, 1, 2].map((index): Entry => ({ op: 0, index, mailbox: 0 }));
  const add = (count: number, mailbox: Place = 0, knows = 0): Step => ({
    event: { kind: "add", mailbox, count },
    knows,
  });
  const move = (entries: readonly Entry[], knows = 1): Step => ({
    event: { kind: "move", entries, mailbox: 1 },
    knows,
  });
  const on = (kind: "flag" | "expunge", entries: readonly Entry[], knows = 1): Step => ({
    event: { kind, entries },
    knows,
  });
  const folded = (...history: readonly Step[]): readonly [Seen, Seen] => {
    checkHistory(history);
    const log = new Log(history);
    const state = log.fold((1 << history.length) - 1);
    return [log.look(state, 0), log.look(state, 1)];
  };
  const sizes = (seen: readonly [Seen, Seen]): number[] => seen.map(({ live }) => live.size);

  test("two moves leave two copies, of a run too", () => {
    expect(sizes(folded(add(1), move([entry]), move([entry])))).toEqual([0, 2]);
    expect(sizes(folded(add(3), move(three), move(three)))).toEqual([0, 6]);
  });

  test("an expunge beside a move leaves the moved message, of a run too, in either order", () => {
    expect(sizes(folded(add(1), on("expunge", [entry]), move([entry])))).toEqual([0, 1]);
    expect(sizes(folded(add(3), on("expunge", [three[1]!]), move(three)))).toEqual([0, 3]);
    expect(sizes(folded(add(3), move(three), on("expunge", three)))).toEqual([0, 3]);
  });

  test("a run does not bring back what its author knew to be expunged", () => {
    const known = [three[0]!, three[2]!];
    expect(sizes(folded(add(3), on("expunge", [three[1]!]), on("expunge", known), move(known, 3)))).toEqual([0, 2]);
  });

  test("a run means what its author knew gone, though another took it in the same block too", () => {
    const known = [three[0]!, three[2]!];
    const one = on("expunge", [three[1]!]);
    expect(sizes(folded(add(3), one, move([three[1]!]), move(known, 0b11)))).toEqual([0, 3]);
  });

  test("a flag follows a message that was moved, and one that was moved twice", () => {
    const flagsOf = (seen: Seen): string[] => [...seen.live.values()].map(({ flags }) => flags);
    expect(flagsOf(folded(add(1), move([entry]), on("flag", [entry]))[1])).toEqual(["k2"]);
    expect(flagsOf(folded(add(3), move(three), on("flag", three))[1])).toEqual(["k2", "k2", "k2"]);
    // The second move's author saw the flag; the fold comes to it when the message is gone.
    expect(flagsOf(folded(add(1), move([entry]), on("flag", [entry]), move([entry], 0b101))[1])).toEqual(["k2", "k2"]);
  });

  test("an add beside ops on another mailbox burns nothing", () => {
    // The second add of INBOX knows the first, not the one of the other mailbox: one block, two cuts for INBOX.
    const [inbox] = folded(add(1, 1), add(1), add(1, 0, 0b10));
    expect([...inbox.live.keys()]).toEqual([1, 2]);
  });

  test("expunges on both sides of a block's beginning are told apart when the block is numbered", () => {
    const second: Entry = { op: 2, index: 0, mailbox: 0 };
    folded(
      add(1),
      add(1, 1, 1),
      add(1, 0, 1),
      add(1, 0, 7),
      on("expunge", [entry], 1),
      add(1, 0, 1),
      on("expunge", [second], 21),
    );
  });
});

describe("mailboxes, by ops that did not know one another", () => {
  /** An op by its own writer, who knew the listed ones before it. */
  type Made = readonly [Op, ...(readonly number[])];
  const writerOf = (op: number): WriterId => (op + 1).toString(16).padStart(16, "0") as WriterId;
  const box = (op: number): MailboxId => `${writerOf(op)}.1.0` as MailboxId;
  const place = ([op, ...known]: Made, number: number): PlacedOp => ({
    op,
    writer: writerOf(number),
    sequence: 1,
    entry: position(number + 1),
    place: 0,
    judged: true,
    knows: (writer) => writer === "00000000000000ff" || known.some((other) => writerOf(other) === writer),
  });
  const block = (...ops: readonly Made[]): MailState => {
    const state = begun();
    applyBlock(state, ops.map(place));
    return state;
  };
  const [inbox, other] = MAILBOXES;
  const append = (op: number, mailbox: MailboxId): Op => adding(mailbox, [email(op, 0), email(op, 1)]);
  const run = (op: number) => [
    { writer: writerOf(op), first: { sequence: 1, index: 0 }, last: { sequence: 1, index: 1 } },
  ];
  const size = (state: MailState, mailbox: MailboxId): number | undefined =>
    state.findMailbox(mailbox)?.messages.length;

  test("DELETE takes what its author knew; a mailbox into which something else was put stays with that", () => {
    const drop: Op = { kind: "delete", mailbox: other };
    const both = block([append(0, other)], [append(1, other), 0], [drop, 0]);
    expect(size(both, other)).toBe(2);
    expect(both.nameOf(both.findMailbox(other)!.messages.at(0)).writer).toBe(writerOf(1));
    expect(size(block([append(0, other)], [append(1, other), 0], [drop, 0, 1]), other)).toBeUndefined();
    expect(size(block([append(0, other)], [drop, 0], [append(2, other), 0]), other)).toBe(2);
  });

  test("DELETE beside a move out of the mailbox leaves the moved messages", () => {
    const move: Op = { kind: "move", mailbox: other, targets: run(0), to: inbox, seconds: 0 };
    const drop: Op = { kind: "delete", mailbox: other };
    for (const state of [
      block([append(0, other)], [move, 0], [drop, 0]),
      block([append(0, other)], [drop, 0], [move, 0]),
    ]) {
      expect(size(state, inbox)).toBe(2);
      expect(size(state, other)).toBeUndefined();
    }
  });

  test("RENAME INBOX moves what INBOX held for its author; what came beside it stays, what went beside it is kept", () => {
    const rename: Op = { kind: "rename-inbox", path: "Old", seconds: 0 };
    const expunge: Op = { kind: "expunge", mailbox: inbox, targets: run(0) };
    const state = block([append(0, inbox)], [append(1, inbox)], [expunge, 0], [rename, 0]);
    expect([size(state, inbox), size(state, box(3))]).toEqual([2, 2]);
    const knowing = block([append(0, inbox)], [expunge, 0], [rename, 0, 1]);
    expect([size(knowing, inbox), size(knowing, box(2))]).toEqual([0, 0]);
  });

  test("no UIDVALIDITY means one mailbox in a part and another in the whole; one made later is greater", () => {
    const seconds = fc.integer({ min: 995, max: 1005 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), seconds), { minLength: 2, maxLength: 6 }), (choices) => {
        const steps: Step[] = [];
        for (const [whom] of choices) {
          const sets = closedSets(steps);
          steps.push({ event: { kind: "add", mailbox: 0, count: 1 }, knows: sets[whom % sets.length]! });
        }
        const creates = steps.map(({ knows }, op) =>
          place([{ kind: "create", path: `P${op}`, seconds: choices[op]![1] }, ...opsOf(steps, knows)], op),
        );
        const validities = (mask: number, split: readonly number[][]): Map<number, number> => {
          const state = begun();
          for (const ops of split)
            applyBlock(
              state,
              ops.map((op) => creates[op]!),
            );
          return new Map(opsOf(steps, mask).map((op) => [op, state.findMailbox(box(op))!.uidValidity]));
        };
        const all = (1 << steps.length) - 1;
        const whole = validities(all, blocks(steps, opsOf(steps, all)));
        expect(validities(all, [opsOf(steps, all)])).toEqual(whole);
        for (const mask of closedSets(steps))
          for (const [op, validity] of validities(mask, blocks(steps, opsOf(steps, mask)))) {
            for (const [another, given] of whole) if (another !== op) expect(given).not.toBe(validity);
            for (const known of opsOf(steps, steps[op]!.knows))
              expect(whole.get(op)).toBeGreaterThan(whole.get(known)!);
          }
      }),
      { numRuns: 150 },
    );
  });
});
