import { describe, expect, test } from "vitest";
import { position } from "../../bay/position.ts";
import { bareEmail } from "../../testing/email-kit.ts";
import { rowsOf, World } from "../../testing/world-kit.ts";
import { runsOf } from "../apply/target-rows.ts";
import { asRow, FIRST_EMAIL_ROW, modSeqBefore } from "../numbers.ts";
import type { Op } from "../ops/op.ts";
import { mailboxChanges } from "../state/feed.ts";
import type { MailState } from "../state/state.ts";
import { GONE_MAILBOXES_MAX, hasDeadWeight, REMOVALS_MAX, shrink } from "./shrink.ts";
import { encodeState } from "./state-fields.ts";

const LIMITS = { removals: 3, goneMailboxes: 1 };
const shrunk = (state: MailState, limits = LIMITS): Promise<MailState> =>
  shrink(state, position(9), undefined, limits)();

/** A world with so many messages in INBOX, some of them marked for removal. */
function filled(count: number): World {
  const world = new World();
  const emails = Array.from({ length: count }, (_, n) => ({
    email: bareEmail([1, n >> 8, n]),
    places: [{ mailbox: world.state.inbox.id, flags: ["\\Deleted"] }],
  }));
  world.apply({ kind: "add", emails, since: position(0), seconds: 1 });
  return world;
}

/** Expunges those at these positions of INBOX, by one op. */
function take(world: World, positions: readonly number[]): void {
  const { state } = world;
  const { inbox } = state;
  const targets = runsOf(
    state,
    inbox,
    positions.map((at) => inbox.messages.at(at)),
  );
  world.apply({ kind: "expunge", mailbox: inbox.id, targets });
}

test("all that is no row stays as it was: what was decided, taken in, condemned, numbered and told", async () => {
  const world = filled(6);
  const { state } = world;
  const note = (n: number, counter: number) => ({
    ...{ note: `note/${n}`, email: bareEmail([2, n]), places: [{ mailbox: state.inbox.id, flags: [] }] },
    ...{ stream: "s", counter, givenUp: [] },
  });
  const ops: readonly Op[] = [
    { kind: "requires", version: 1 },
    { kind: "take-in", notes: [note(1, 4), note(2, 9)], listed: position(0), seconds: 5 },
    { kind: "condemn", names: ["page/1", "body/2"], listed: position(3) },
    { kind: "slots", names: ["slot/a"], upon: position(0) },
    {
      kind: "checkpoint",
      covers: position(3),
      manifest: new Uint8Array(32),
      emailRows: 0,
      startedAt: position(99),
      numbering: position(3),
    },
    { kind: "subscribe", path: "Elsewhere", on: true },
    { kind: "record", records: [{ type: "identity", id: "a", value: Uint8Array.of(1) }] },
    { kind: "record", records: [{ type: "identity", id: "b", value: Uint8Array.of(1) }] },
    { kind: "record", records: [{ type: "identity", id: "b", value: undefined }] },
    { kind: "raise", seconds: 1_700_000_000 },
    { kind: "forget", names: ["body/2"], notes: ["note/1"], trimmed: position(2) },
  ];
  for (const op of ops) world.apply(op);
  take(world, [0]);
  const sweeping = { ...ops[4]!, covers: 5, sweeps: true, silentBefore: 1_600_000_000_000 } as Op;
  world.apply(sweeping);
  take(world, [1]);
  const after = await shrunk(state);
  // Nothing is left out yet: not a number may differ.
  expect(encodeState(after)).toEqual(encodeState(state));
  expect([after.emailNumbers, after.tailStart, after.tail]).toEqual([state.emailNumbers, state.tailStart, state.tail]);
  expect([after.epoch, after.requires, after.trimmed, after.takenNotes.size, after.condemned.size]).toEqual([
    1, 1, 2, 1, 1,
  ]);
  expect([after.lastCondemn, after.lastForget, after.sweep.first]).not.toContain(0);
  expect(after.streams.get("s")!.missing.size).toBe(7);
  expect(after.silentBefore).toBe(1_600_000_000_000);
  // It is a copy: what becomes of one is nothing to the other.
  after.streams.get("s")!.missing.clear();
  expect(state.streams.get("s")!.missing.size).toBe(7);
});

test("as many removals are kept as may be, and of an op that removed more none", async () => {
  const world = filled(20);
  const removedAt: number[] = [];
  for (let n = 0; n < 5; n++) {
    take(world, [0]);
    removedAt.push(world.state.modSeq);
  }
  const dead = ({ memberships }: MailState): number =>
    Array.from({ length: memberships.rows }, (_, row) => asRow(row)).filter(
      (row) => (memberships.columns.flags.get(row) & 128) !== 0,
    ).length;
  const after = await shrunk(world.state);
  expect([dead(after), after.floor]).toEqual([3, removedAt[1]]);
  // As after a load.
  after.recent.forget(after.modSeq);
  // A client that was told all up to the floor is told the rest; one that was not is told that this can't be.
  expect(mailboxChanges(after, after.inbox, after.floor)?.vanished.map(({ first }) => first)).toEqual([3, 4, 5]);
  expect(mailboxChanges(after, after.inbox, modSeqBefore(after.floor))).toBeUndefined();
  take(world, [0, 1, 2, 3]);
  const { modSeq } = world.state;
  const none = await shrunk(world.state);
  expect([dead(none), none.floor, none.memberships.rows]).toEqual([0, modSeq, 11]);
});

test("a mailbox that is gone is left out beyond so many, and stays while a removal in it is remembered", async () => {
  const world = new World();
  const make = (path: string): void => world.apply({ kind: "create", path, seconds: 1 });
  const end = (path: string): void => world.apply({ kind: "delete", mailbox: world.state.findPath(path)!.id });
  for (const path of ["M1", "M2", "M3"]) make(path);
  const { id } = world.state.findPath("M1")!;
  const emails = [{ email: bareEmail([1]), places: [{ mailbox: id, flags: [] }] }];
  world.apply({ kind: "add", emails, since: position(0), seconds: 1 });
  end("M1");
  const gone = ({ mailboxes }: MailState): number => mailboxes.filter((mailbox) => mailbox.gone).length;
  expect(gone(await shrunk(world.state))).toBe(1);
  end("M2");
  const { modSeq } = world.state;
  // M1 went before M2, of which alone is remembered; but what was in it is told of still.
  const two = await shrunk(world.state, { removals: 3, goneMailboxes: 1 });
  expect([gone(two), two.floor]).toEqual([2, modSeq - 1]);
  const one = await shrunk(world.state, { removals: 0, goneMailboxes: 1 });
  expect(gone(one)).toBe(1);
  end("M3");
  const none = await shrunk(world.state, { removals: 0, goneMailboxes: 0 });
  expect([gone(none), none.floor]).toEqual([0, world.state.modSeq]);
});

test("an email that was hidden once and is gone is remembered as such: a new membership of it is told as created", async () => {
  const world = filled(2);
  const { state } = world;
  const flag = (mode: "add" | "remove"): void => {
    const targets = runsOf(state, state.inbox, rowsOf(state.inbox).slice(0, 1));
    world.apply({ kind: "flags", mailbox: state.inbox.id, targets, change: { mode, flags: ["\\Deleted"] } });
  };
  flag("remove");
  flag("add");
  flag("remove");
  flag("add");
  const { returned, made } = state.emails.columns;
  expect(returned.get(FIRST_EMAIL_ROW)).toBe(1);
  const before = made.get(FIRST_EMAIL_ROW);
  take(world, [0]);
  const after = await shrunk(state);
  expect([after.emails.columns.returned.get(FIRST_EMAIL_ROW), after.emails.columns.made.get(FIRST_EMAIL_ROW)]).toEqual([
    returned.get(FIRST_EMAIL_ROW),
    before,
  ]);
});

describe("an account has dead weight", () => {
  const none = { removals: 3, goneMailboxes: 1 };

  test("with more removals than are remembered", () => {
    const world = filled(8);
    for (let n = 0; n < 3; n++) take(world, [0]);
    expect(hasDeadWeight(world.state, none)).toBe(false);
    take(world, [0]);
    expect(hasDeadWeight(world.state, none)).toBe(true);
  });

  test("with more mailboxes that are gone", () => {
    const world = new World();
    const goes = (path: string): void => {
      world.apply({ kind: "create", path, seconds: 1 });
      world.apply({ kind: "delete", mailbox: world.state.findPath(path)!.id });
    };
    goes("M1");
    expect(hasDeadWeight(world.state, none)).toBe(false);
    goes("M2");
    expect(hasDeadWeight(world.state, none)).toBe(true);
  });

  test("beyond the limits that are told", () => {
    expect([REMOVALS_MAX, GONE_MAILBOXES_MAX]).toEqual([65_536, 1_000]);
  });
});
