import fc from "fast-check";
import { expect, test } from "vitest";
import { applyBlock, type PlacedOp } from "./apply.ts";
import { INBOX_ID, type MailboxId, type MembershipName, type WriterId } from "./names.ts";
import type { NewEmail, Op } from "./op.ts";
import { MailState } from "./state.ts";

/**
 * Numbering over sets of ops, STORAGE rules §1, on the real fold. A history is ops in their final order, each with the
 * set of earlier ones that its author knew: every partial order with every linear extension of it. Whoever saw a
 * causally closed part C first and the whole O later must find, in each mailbox:
 *
 * I1 a uid of both names one message; I2 what is new lies at or above UIDNEXT(C); I3 what changed or is new has a modseq
 * above HIGHESTMODSEQ(C), what is gone is in VANISHED since then, which names nothing that lives, and no counter goes
 * back; I5 nothing is lost that nobody expunged.
 */
type Event =
  | { readonly kind: "add"; readonly mailbox: 0 | 1; readonly count: number }
  | { readonly kind: "flag" | "expunge"; readonly entry: Entry }
  | { readonly kind: "move"; readonly entry: Entry; readonly mailbox: 0 | 1 };
/** A membership: the op that made it and its place there; and its mailbox. */
interface Entry {
  readonly op: number;
  readonly index: number;
  readonly mailbox: 0 | 1;
}
interface Step {
  readonly event: Event;
  /** Bit i: op i was known. */
  readonly knows: number;
}
type History = readonly Step[];

const MAILBOXES: readonly [MailboxId, MailboxId] = [INBOX_ID, "0000000000000000.0.1" as MailboxId];
const writerOf = (op: number): WriterId => (op + 1).toString(16).padStart(16, "0") as WriterId;
const has = (mask: number, op: number): boolean => (mask & (1 << op)) !== 0;

function email(op: number, index: number): NewEmail {
  const id = new Uint8Array(16);
  id.set([op + 1, index]);
  const none = new Uint8Array(0);
  return {
    id,
    key: new Uint8Array(32),
    size: 1,
    place: { in: "object", length: 1 },
    receivedMs: 0,
    receivedZone: 0,
    sentMs: 0,
    sentZone: 0,
    thread: new Uint8Array(8),
    ids: none,
    summary: none,
    flags: [],
  };
}

function opOf(step: Step, number: number): Op {
  const { event } = step;
  const named = ({ op, index, mailbox }: Entry) => {
    const place = { sequence: 1, index };
    return { mailbox: MAILBOXES[mailbox], targets: [{ writer: writerOf(op), first: place, last: place }] };
  };
  switch (event.kind) {
    case "add": {
      const emails = Array.from({ length: event.count }, (_, index) => email(number, index));
      return { kind: "append", mailbox: MAILBOXES[event.mailbox], emails, since: 0, seconds: 0 };
    }
    case "flag":
      return { kind: "flags", ...named(event.entry), change: { mode: "add", flags: [`k${number}`] } };
    case "expunge":
      return { kind: "expunge", ...named(event.entry) };
    case "move":
      return { kind: "move", ...named(event.entry), to: MAILBOXES[event.mailbox], seconds: 0 };
  }
}

/** Runs of the listed ops that no cut divides: each starts where every later op knows every earlier one. */
function blocks(history: History, ops: readonly number[]): number[][] {
  const result: number[][] = [];
  for (const [place, op] of ops.entries()) {
    const first = ops.findIndex((earlier, at) => at < place && !has(history[op]!.knows, earlier));
    const block = [op];
    while (first >= 0 && result.length > 0 && ops.indexOf(result.at(-1)!.at(-1)!) >= first)
      block.unshift(...result.pop()!);
    result.push(block);
  }
  return result;
}

function fold(history: History, mask: number): MailState {
  const state = new MailState();
  const begin = { kind: "begin", seconds: 1000, folders: [{ path: "INBOX" }, { path: "Other" }] } as const;
  const founder = { writer: writerOf(60), sequence: 1, entry: 0, place: 0, judged: false, knows: () => true };
  applyBlock(state, [{ ...founder, op: begin }]);
  const ops = history.map((_, op) => op).filter((op) => has(mask, op));
  for (const block of blocks(history, ops))
    applyBlock(
      state,
      block.map(
        (op): PlacedOp => ({
          op: opOf(history[op]!, op),
          writer: writerOf(op),
          sequence: 1,
          entry: op + 1,
          place: 0,
          judged: true,
          knows: (writer) => has(history[op]!.knows, Number.parseInt(writer, 16) - 1),
        }),
      ),
    );
  return state;
}

interface Seen {
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly highest: number;
  readonly live: ReadonlyMap<number, { readonly name: string; readonly flags: string; readonly modSeq: number }>;
  vanished(since: number): Set<number>;
}

function look(state: MailState, id: MailboxId): Seen {
  const mailbox = state.findMailbox(id)!;
  const { uid, modSeq } = state.memberships.columns;
  const nameText = ({ writer, sequence, index }: MembershipName): string => `${writer}.${sequence}.${index}`;
  const live = new Map<number, { name: string; flags: string; modSeq: number }>();
  for (let position = 0; position < mailbox.messages.length; position++) {
    const row = mailbox.messages.at(position);
    live.set(uid.get(row), {
      name: nameText(state.nameOf(row)),
      flags: state.flagNames(row).join(),
      modSeq: modSeq.get(row),
    });
  }
  return {
    uidValidity: mailbox.uidValidity,
    uidNext: mailbox.uidNext,
    highest: mailbox.highestModSeq,
    live,
    vanished: (since) => {
      const uids = new Set<number>();
      for (const range of mailbox.vanished.since(since) ?? [])
        for (let number = range.first; number <= range.last; number++) uids.add(number);
      return uids;
    },
  };
}

/** Checks every causally closed part of the history against the whole; returns how many pairs there were. */
function checkHistory(history: History): number {
  const whole = (1 << history.length) - 1;
  const full = fold(history, whole);
  const after = MAILBOXES.map((id) => look(full, id));
  let pairs = 0;
  for (let part = 0; part < whole; part++) {
    const closed = history.every(({ knows }, op) => !has(part, op) || (knows & ~part) === 0);
    if (!closed) continue;
    pairs++;
    const state = fold(history, part);
    for (const [index, id] of MAILBOXES.entries())
      checkPair(look(state, id), after[index]!, JSON.stringify({ history, part }));
  }
  if (!history.some(({ event }) => event.kind === "expunge")) {
    const held = full.emails.columns.held;
    for (let row = 0; row < full.emails.rows; row++)
      if (held.get(row) === 0) throw new Error(`I5 ${JSON.stringify(history)}`);
  }
  return pairs;
}

function checkPair(c: Seen, o: Seen, where: string): void {
  const fail = (invariant: string): never => {
    throw new Error(`${invariant} ${where}`);
  };
  if (c.uidValidity !== o.uidValidity) fail("UIDVALIDITY");
  if (o.uidNext < c.uidNext || o.highest < c.highest) fail("I3d");
  const vanished = o.vanished(c.highest);
  for (const [uid, message] of o.live) {
    const known = c.live.get(uid);
    if (known && known.name !== message.name) fail("I1");
    if (!known && uid < c.uidNext) fail("I2");
    if ((!known || known.flags !== message.flags) && message.modSeq <= c.highest) fail("I3a");
    if (message.modSeq > o.highest) fail("I3d");
    if (vanished.has(uid)) fail("I3c");
  }
  for (const uid of c.live.keys()) if (!o.live.has(uid) && !vanished.has(uid)) fail("I3b");
}

/** Memberships that are there once these ops were applied, and were not taken by one of them. */
function entriesKnown(history: History, knows: number): Entry[] {
  const taken = new Set<string>();
  const entries: Entry[] = [];
  for (const [op, { event }] of history.entries()) {
    if (!has(knows, op)) continue;
    if (event.kind === "add")
      for (let index = 0; index < event.count; index++) entries.push({ op, index, mailbox: event.mailbox });
    if (event.kind === "move") entries.push({ op, index: 0, mailbox: event.mailbox });
    if (event.kind === "move" || event.kind === "expunge") taken.add(`${event.entry.op}.${event.entry.index}`);
  }
  return entries.filter(({ op, index }) => !taken.has(`${op}.${index}`));
}

/** Sets of earlier ops that an author may know: closed under what those know. */
function closedSets(history: History): number[] {
  const sets: number[] = [];
  for (let mask = 0; mask < 1 << history.length; mask++)
    if (history.every(({ knows }, op) => !has(mask, op) || (knows & ~mask) === 0)) sets.push(mask);
  return sets;
}

interface Kinds {
  readonly mailboxes: 1 | 2;
  readonly kinds: readonly Event["kind"][];
  readonly counts: readonly number[];
}

function eventsAt(history: History, knows: number, { mailboxes, kinds, counts }: Kinds): Event[] {
  const places = [0, 1].slice(0, mailboxes) as (0 | 1)[];
  const events: Event[] = kinds.includes("add")
    ? places.flatMap((mailbox) => counts.map((count) => ({ kind: "add" as const, mailbox, count })))
    : [];
  for (const entry of entriesKnown(history, knows)) {
    if (kinds.includes("flag")) events.push({ kind: "flag", entry });
    if (kinds.includes("expunge")) events.push({ kind: "expunge", entry });
    if (kinds.includes("move"))
      for (const mailbox of places) if (mailbox !== entry.mailbox) events.push({ kind: "move", entry, mailbox });
  }
  return events;
}

/** Checks every history of up to `length` ops; returns how many pairs were compared. */
function checkAll(length: number, kinds: Kinds, history: History = []): number {
  let pairs = history.length > 0 ? checkHistory(history) : 0;
  if (history.length === length) return pairs;
  for (const knows of closedSets(history))
    for (const event of eventsAt(history, knows, kinds))
      pairs += checkAll(length, kinds, [...history, { event, knows }]);
  return pairs;
}

test("every history of adds alone, up to five", () => {
  expect(checkAll(5, { mailboxes: 1, kinds: ["add"], counts: [1] })).toBeGreaterThan(1000);
});

test("every history of adds, flags and expunges, up to four", () => {
  expect(checkAll(4, { mailboxes: 1, kinds: ["add", "flag", "expunge"], counts: [1] })).toBeGreaterThan(1000);
});

test("every history with two mailboxes and moves, up to three", () => {
  expect(checkAll(3, { mailboxes: 2, kinds: ["add", "flag", "expunge", "move"], counts: [1] })).toBeGreaterThan(300);
});

test("every history with batches, up to three", () => {
  expect(checkAll(3, { mailboxes: 1, kinds: ["add", "expunge"], counts: [1, 2] })).toBeGreaterThan(300);
});

test("random histories of up to nine ops", () => {
  const kinds: Kinds = { mailboxes: 2, kinds: ["add", "flag", "expunge", "move"], counts: [1, 2, 3] };
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 5, maxLength: 9 }), (choices) => {
      const history: Step[] = [];
      for (const [whom, what] of choices) {
        const sets = closedSets(history);
        const knows = sets[whom % sets.length]!;
        const events = eventsAt(history, knows, kinds);
        history.push({ event: events[what % events.length]!, knows });
      }
      checkHistory(history);
    }),
    { numRuns: 150 },
  );
}, 30_000);

test("expunges of an older message and of one of the same block are told apart when the block is numbered", () => {
  const first: Entry = { op: 0, index: 0, mailbox: 0 };
  const second: Entry = { op: 2, index: 0, mailbox: 0 };
  const add = (mailbox: 0 | 1, knows: number): Step => ({ event: { kind: "add", mailbox, count: 1 }, knows });
  checkHistory([
    add(0, 0),
    add(1, 1),
    add(0, 1),
    add(0, 7),
    { event: { kind: "expunge", entry: first }, knows: 1 },
    add(0, 1),
    { event: { kind: "expunge", entry: second }, knows: 21 },
  ]);
});

test("two concurrent moves leave two copies; a move beside an expunge leaves the moved one; a flag follows a move", () => {
  const entry: Entry = { op: 0, index: 0, mailbox: 0 };
  const add: Step = { event: { kind: "add", mailbox: 0, count: 1 }, knows: 0 };
  const move: Step = { event: { kind: "move", entry, mailbox: 1 }, knows: 1 };
  const state = (...steps: readonly Step[]): MailState => fold(steps, (1 << steps.length) - 1);
  const counts = (folded: MailState): number[] => MAILBOXES.map((id) => folded.findMailbox(id)!.messages.length);
  expect(counts(state(add, move, move))).toEqual([0, 2]);
  expect(counts(state(add, { event: { kind: "expunge", entry }, knows: 1 }, move))).toEqual([0, 1]);
  const flagged = state(add, move, { event: { kind: "flag", entry }, knows: 1 });
  expect([...look(flagged, MAILBOXES[1]).live.values()].map(({ flags }) => flags)).toEqual(["k2"]);
});
