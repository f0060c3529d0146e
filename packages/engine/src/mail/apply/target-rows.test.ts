import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { position } from "../../bay/position.ts";
import { adding, bareEmail } from "../../testing/email-kit.ts";
import type { Row } from "../numbers.ts";
import { INBOX_ID, type WriterId } from "../ops/names.ts";
import type { Op } from "../ops/op.ts";
import { comparePlaces, decodeRuns, encodeRuns, type TargetRun } from "../ops/targets.ts";
import { MailState } from "../state/state.ts";
import { applyBlock } from "./apply.ts";
import { judge } from "./judge.ts";
import { resolveTargets, runsOf } from "./target-rows.ts";

const WRITERS = ["0000000000000001", "0000000000000002", "0000000000000003"] as WriterId[];

/** INBOX with a message for each item, by the writer that it names. */
function filled(writers: readonly number[]): MailState {
  const state = new MailState();
  const sequences = [1, 1, 1];
  const place = (op: Op, writer: number): void => {
    const sequence = sequences[writer]!++;
    applyBlock(state, [
      { op, writer: WRITERS[writer]!, sequence, entry: position(1), place: 0, knows: () => true, judged: false },
    ]);
  };
  place({ kind: "begin", seconds: 1, folders: [{ path: "INBOX" }] }, 0);
  for (const [at, writer] of writers.entries()) place(adding(INBOX_ID, [bareEmail([at >> 8, at])]), writer);
  return state;
}
const rowsOf = (state: MailState): Row[] =>
  Array.from({ length: state.inbox.messages.length }, (_, position) => state.inbox.messages.at(position));

describe("targets", () => {
  test("runs name what they were made of and nothing else, whoever made what lies between", () => {
    const messages = fc.array(fc.record({ writer: fc.nat({ max: 2 }), named: fc.boolean() }), { maxLength: 60 });
    fc.assert(
      fc.property(messages, (made) => {
        const state = filled(made.map(({ writer }) => writer));
        const rows = rowsOf(state).filter((_, at) => made[at]!.named);
        const runs = decodeRuns(encodeRuns(runsOf(state, state.inbox, rows)));
        expect(resolveTargets(state, state.inbox, runs)).toEqual({ rows, gone: 0 });
      }),
    );
  });

  test("all of 20,000 messages that two hosts delivered in turn are named in under 2 KB", () => {
    const state = filled(Array.from({ length: 20_000 }, (_, at) => 1 + (at % 2)));
    const runs = runsOf(state, state.inbox, rowsOf(state));
    expect(runs).toHaveLength(2);
    expect(encodeRuns(runs).length).toBeLessThan(2048);
  });

  const writer = [0, 0, 0, 0, 0, 0, 0, 1];
  test.each([
    ["more behind them", [1, ...writer, 1, 0, 2, 0, 0]],
    ["a writer that is cut off", [1, ...writer.slice(1)]],
    ["a writer that is not there", [1, ...writer, 1, 2, 2, 0]],
    ["a run that begins below zero", [1, ...writer, 1, 0, 1, 0]],
    ["a run that runs backwards", [1, ...writer, 1, 1, 2, 5, 0, 4]],
  ])("runs with %s are none", (_, octets) => {
    expect(decodeRuns(Uint8Array.of(1, ...writer, 1, 0, 2, 0))).toHaveLength(1);
    expect(() => decodeRuns(Uint8Array.from(octets))).toThrow(RangeError);
  });

  test("runs without end over one mailbox are resolved in one walk, whatever they overlap", () => {
    const state = filled(Array.from({ length: 1000 }, () => 1));
    let steps = 0;
    const { uid } = state.memberships.columns;
    const get = uid.get.bind(uid);
    uid.get = (row) => {
      steps++;
      return get(row);
    };
    const run: TargetRun = {
      writer: WRITERS[1]!,
      first: { sequence: 1, index: 0 },
      last: { sequence: 999, index: 0 },
    };
    const runs = Array.from({ length: 2000 }, () => run);
    expect(resolveTargets(state, state.inbox, runs).rows).toHaveLength(999);
    expect(steps).toBeLessThan(2000 * 50);
    expect(comparePlaces(run.first, run.last)).toBeLessThan(0);
  });
});

describe("judge", () => {
  /** All of a state that could be written to. */
  const facts = (state: MailState): unknown => [
    [...state.writers],
    [...state.keywords.all],
    state.modSeq,
    rowsOf(state).map((row) => [state.flagNames(row), state.memberships.columns.modSeq.get(row)]),
  ];

  test("writes nothing: no writer and no keyword becomes known by an op that is refused, or looked at", () => {
    const state = filled([0, 0, 1]);
    const before = facts(state);
    const stranger = "00000000000000ff" as WriterId;
    const run = { writer: stranger, first: { sequence: 1, index: 0 }, last: { sequence: 9, index: 9 } };
    for (const kind of ["copy", "move"] as const)
      judge(state, { kind, mailbox: INBOX_ID, targets: [run], to: INBOX_ID, seconds: 1 });
    judge(state, { kind: "expunge", mailbox: INBOX_ID, targets: [run] });
    const all = runsOf(state, state.inbox, rowsOf(state));
    judge(state, { kind: "flags", mailbox: INBOX_ID, targets: all, change: { mode: "add", flags: ["$New"] } });
    expect(facts(state)).toEqual(before);
  });

  test("a change of flags passes exactly where it changes something", () => {
    const flags = fc.uniqueArray(fc.constantFrom("\\Seen", "\\Flagged", "$a", "$A", "$b"), { maxLength: 4 });
    fc.assert(
      fc.property(flags, flags, fc.constantFrom("add", "remove", "replace"), (own, asked, mode) => {
        const state = filled([0]);
        const push = (change: { mode: "add" | "remove" | "replace"; flags: string[] }) => {
          const op: Op = {
            kind: "flags",
            mailbox: INBOX_ID,
            targets: runsOf(state, state.inbox, rowsOf(state)),
            change,
          };
          return applyBlock(state, [
            { op, writer: WRITERS[2]!, sequence: 1, entry: position(2), place: 0, knows: () => true, judged: false },
          ])[0]!;
        };
        push({ mode: "replace", flags: own });
        const [row] = rowsOf(state);
        const before = [...state.flagNames(row!)];
        const modSeq = state.memberships.columns.modSeq.get(row!);
        const { changed } = push({ mode, flags: asked });
        const isSame = JSON.stringify(before) === JSON.stringify(state.flagNames(row!));
        expect(changed).toEqual(isSame ? [] : [row]);
        expect(state.memberships.columns.modSeq.get(row!) === modSeq).toBe(isSame);
      }),
    );
  });
});
