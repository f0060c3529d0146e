import fc from "fast-check";
import { expect, test } from "vitest";
import { position } from "../bay/position.ts";
import type { WriterId } from "../bay/writer.ts";
import { ready } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { bareEmail } from "../testing/email-kit.ts";
import { applyBlock } from "./apply/apply.ts";
import { runsOf } from "./apply/target-rows.ts";
import type { Mail } from "./mail.ts";
import { MailboxView } from "./mailbox-view.ts";
import { asModSeq, asUid, FIRST_UID, type ModSeq, modSeqBefore, NO_MODSEQ } from "./numbers.ts";
import type { Op } from "./ops/op.ts";
import { CHANGED_AT_ONCE } from "./ops/op.ts";
import type { Outcome } from "./ops/outcome.ts";
import { mailboxChanges, vanishedSince } from "./state/feed.ts";
import { MailState } from "./state/state.ts";

await ready;

const WRITER = "0000000000000001" as WriterId;

class World {
  readonly state = new MailState();
  #entry = 0;

  constructor() {
    this.apply({ kind: "begin", seconds: 1, folders: [{ path: "INBOX" }] });
  }

  apply(op: Op): Outcome {
    const entry = ++this.#entry;
    const [outcome] = applyBlock(this.state, [
      { op, writer: WRITER, sequence: entry, entry: position(entry), place: 0, knows: () => true, judged: false },
    ]);
    return outcome!;
  }

  add(count: number): void {
    const { id } = this.state.inbox;
    const emails = Array.from({ length: count }, (_, at) => ({
      email: bareEmail([this.#entry >> 8, this.#entry, at >> 8, at]),
      places: [{ mailbox: id, flags: ["\\Deleted"] }],
    }));
    this.apply({ kind: "add", emails, since: position(0), seconds: 1 });
  }

  /** Takes those at these positions. */
  take(isTaken: (position: number) => boolean): void {
    const { inbox } = this.state;
    const rows = Array.from({ length: inbox.messages.length }, (_, at) => inbox.messages.at(at));
    const targets = runsOf(
      this.state,
      inbox,
      rows.filter((_, at) => isTaken(at)),
    );
    this.apply({ kind: "expunge", mailbox: inbox.id, targets });
  }

  get uids(): number[] {
    const { inbox, memberships } = this.state;
    return Array.from({ length: inbox.messages.length }, (_, at) => memberships.columns.uid.get(inbox.messages.at(at)));
  }
}

const ALL = [{ first: FIRST_UID, last: asUid(0xffffffff) }];
const uidsIn = (spans: readonly { first: number; last: number }[]): number[] =>
  spans.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, at) => first + at));

test("what vanished is told to whoever knew it, nothing that is there, and nothing that nobody asked for", () => {
  const step = fc.record({ add: fc.nat(4), take: fc.nat(1023) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.boolean(), fc.nat(40), (steps, isForgotten, from) => {
      const world = new World();
      const known = new Map<ModSeq, number[]>();
      for (const { add, take } of steps) {
        if (add > 0) world.add(add);
        known.set(world.state.modSeq, world.uids);
        world.take((at) => (take >> (at % 10)) % 2 === 1);
        known.set(world.state.modSeq, world.uids);
      }
      if (isForgotten) world.state.floor = asModSeq(world.state.modSeq + 1);
      const { state, uids } = world;
      const asked = [{ first: asUid(from + 1), last: asUid(from + 20) }];
      for (const [modSeq, before] of known) {
        const gone = uidsIn(vanishedSince(state, state.inbox, modSeq, ALL));
        for (const uid of before) expect(gone.includes(uid)).toBe(!uids.includes(uid));
        expect(gone.filter((uid) => uids.includes(uid) || uid >= state.inbox.uidNext)).toEqual([]);
        const ofAsked = uidsIn(vanishedSince(state, state.inbox, modSeq, asked));
        expect(ofAsked).toEqual(gone.filter((uid) => uid > from && uid <= from + 20));
      }
    }),
  );
});

test("who was told all up to the floor is told the rest; who was not is told that it can't be", () => {
  const world = new World();
  world.add(3);
  const { state } = world;
  state.floor = state.modSeq;
  world.take((at) => at === 1);
  const { inbox, floor } = state;
  expect(mailboxChanges(state, inbox, floor)).toEqual({
    changed: [],
    vanished: [{ first: 2, last: 2, modSeq: floor + 1 }],
  });
  expect(mailboxChanges(state, inbox, modSeqBefore(floor))).toBeUndefined();
});

test("uids that a block left unused vanished when it ended, for all who were told less", () => {
  const world = new World();
  world.add(2);
  const { state } = world;
  const burnt = { first: asUid(3), last: asUid(7), modSeq: state.modSeq };
  state.inbox.burnt.add(burnt);
  expect(mailboxChanges(state, state.inbox, modSeqBefore(burnt.modSeq))?.vanished).toEqual([burnt]);
  expect(mailboxChanges(state, state.inbox, burnt.modSeq)?.vanished).toEqual([]);
});

test("one that vanished costs one range, where thousands vanished before", () => {
  const world = new World();
  world.add(5_000);
  world.take((at) => at % 2 === 1);
  const { modSeq } = world.state;
  world.take((at) => at === 7);
  expect(vanishedSince(world.state, world.state.inbox, modSeq, ALL)).toEqual([{ first: 15, last: 15 }]);
  // All that vanished is one range between each two that are there.
  world.take((at) => at > 10);
  expect(vanishedSince(world.state, world.state.inbox, modSeq, ALL)).toEqual([
    { first: 15, last: 15 },
    { first: 25, last: 4_999 },
  ]);
});

test("no modseq is told above what a client knows all of", () => {
  const world = new World();
  world.add(3);
  const { state } = world;
  const view = new MailboxView({ state } as unknown as Mail, state.inbox, true);
  const known = state.modSeq;
  const flag = (position: number, name: string): void => {
    const targets = runsOf(state, state.inbox, [state.inbox.messages.at(position)]);
    world.apply({ kind: "flags", mailbox: state.inbox.id, targets, change: { mode: "add", flags: [name] } });
  };
  const told = (position: number): number => view.modSeqOf(view.message(position));
  flag(0, "\\Seen");
  expect(told(0)).toBe(known + 1);
  // A change that comes while the finds of a sync are told.
  view.isTelling = true;
  expect([told(0), told(1)]).toEqual([known, known]);
  view.isTelling = false;
  // One is gone that the client still sees, and one came that it does not.
  world.take((at) => at === 2);
  flag(1, "\\Seen");
  expect([told(0), told(1), view.highestModSeq]).toEqual([known, known, known]);
  expect(view.sync({ expunges: false }).flagged).toEqual([0, 1]);
  expect(view.sync({ expunges: false }).flagged).toEqual([]);
  expect([told(0), view.highestModSeq]).toEqual([known, known]);
  expect(view.sync({ expunges: true }).expungedUids).toEqual([3]);
  expect([told(0), told(1), view.highestModSeq]).toEqual([known + 1, known + 3, known + 3]);
  world.add(1);
  flag(0, "\\Draft");
  expect(told(0)).toBe(known + 3);
  expect(view.vanishedSince(NO_MODSEQ, ALL)).toEqual([{ first: 3, last: 3 }]);
});

test("of flags that were set before the store failed a client is told, as nobody answered them", async () => {
  const world = new World();
  world.add(CHANGED_AT_ONCE + 1);
  const { state } = world;
  let isAway = false;
  const push = async (op: Op): Promise<Outcome> => {
    if (isAway) throw new EngineError("unavailable", "the store is away");
    isAway = true;
    return world.apply(op);
  };
  const view = new MailboxView({ state, push } as unknown as Mail, state.inbox, false);
  const all = Array.from({ length: view.length }, (_, position) => position);
  await expect(view.setFlags(all, { mode: "add", flags: ["\\Seen"] })).rejects.toThrow(EngineError);
  expect(view.sync({ expunges: false }).flagged).toEqual(all.slice(0, CHANGED_AT_ONCE));
  isAway = false;
  await view.setFlags([CHANGED_AT_ONCE], { mode: "add", flags: ["\\Seen"] });
  expect(view.sync({ expunges: false }).flagged).toEqual([]);
});

test("a modseq that was told too low, as something came before it was told, is told again", async () => {
  const world = new World();
  world.add(2);
  const { state } = world;
  const push = async (op: Op): Promise<Outcome> => world.apply(op);
  const view = new MailboxView({ state, push } as unknown as Mail, state.inbox, false);
  const known = state.modSeq;
  await view.setFlags([0, 1], { mode: "add", flags: ["\\Seen"] });
  expect(view.modSeqOf(view.message(0))).toBe(known + 1);
  world.add(1);
  expect(view.modSeqOf(view.message(1))).toBe(known);
  expect(view.sync({ expunges: false })).toMatchObject({ added: 1, flagged: [1] });
  await view.setFlags([1], { mode: "add", flags: ["\\Draft"] });
  expect(view.modSeqOf(view.message(1))).toBe(known + 3);
  expect(view.sync({ expunges: false }).flagged).toEqual([]);
});
