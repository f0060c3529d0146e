import { expect, test } from "vitest";
import { after, NOWHERE, type Position, position } from "../../bay/position.ts";
import type { WriterId } from "../../bay/writer.ts";
import { adding, bareEmail } from "../../testing/email-kit.ts";
import { asRow } from "../numbers.ts";
import { bodyName, INBOX_ID } from "../ops/names.ts";
import { noteName } from "../ops/note-name.ts";
import type { Op, OpOf } from "../ops/op.ts";
import type { Outcome } from "../ops/outcome.ts";
import { STREAM_SILENT_MS } from "../state/note-streams.ts";
import { MailState } from "../state/state.ts";
import { SweepMark } from "../state/sweep-mark.ts";
import { applyBlock } from "./apply.ts";
import { runsOf } from "./target-rows.ts";

/** A log in which each op is an entry of its own. */
function makeLog() {
  const state = new MailState();
  let entry = NOWHERE;
  const push = (op: Op): Outcome => {
    entry = after(entry);
    const writer = "0000000000000001" as WriterId;
    const placed = { op, writer, sequence: entry, entry, place: 0, knows: () => true, judged: false };
    return applyBlock(state, [placed])[0]!;
  };
  push({ kind: "begin", seconds: 0, folders: [{ path: "INBOX" }] });
  return { state, push, at: () => entry };
}

const checkpoint = (covers: number, startedAt: Position): OpOf<"checkpoint"> => ({
  kind: "checkpoint",
  covers: position(covers),
  manifest: new Uint8Array(32),
  emailRows: 0,
  startedAt,
});
const note = (
  n: number,
  more: {
    readonly note?: string;
    readonly counter?: number;
    readonly stream?: string;
    readonly givenUp?: number[];
  } = {},
) => ({
  note: more.note ?? `note/${n}`,
  email: bareEmail([n >> 8, n]),
  places: [{ mailbox: INBOX_ID, flags: [] }],
  stream: more.stream ?? "s",
  counter: more.counter ?? n,
  givenUp: more.givenUp ?? [],
});
const takeIn = (listed: Position, ...notes: ReturnType<typeof note>[]): OpOf<"take-in"> => ({
  kind: "take-in",
  notes,
  listed,
  seconds: 0,
});

test("a checkpoint is void if anything was condemned since it was begun: that may be a page it names", () => {
  const { push, at, state } = makeLog();
  const begun = at();
  push({ kind: "condemn", names: ["page/1"], listed: begun });
  expect(push(checkpoint(1, begun)).refusal).toBe("stale");
  expect(push(checkpoint(1, at())).refusal).toBeUndefined();
  expect(state.checkpoint?.covers).toBe(1);
  expect(push(checkpoint(1, at())).refusal).toBe("stale");
});

test("a checkpoint of an older numbering of rows is void once one of a newer is announced", () => {
  const { push, at, state } = makeLog();
  push({ kind: "nop" });
  expect(push({ ...checkpoint(2, at()), numbering: position(2), sweeps: true }).refusal).toBeUndefined();
  expect(state.numbering).toBe(2);
  for (let n = 0; n < 5; n++) push({ kind: "nop" });
  expect(push(checkpoint(4, at())).refusal).toBe("stale");
  expect(push({ ...checkpoint(5, at()), numbering: position(2) }).refusal).toBeUndefined();
  // A process that was opened by a checkpoint which nobody announced may announce the next.
  expect(push({ ...checkpoint(6, at()), numbering: position(3) }).refusal).toBeUndefined();
  expect(state.numbering).toBe(3);
});

test("what was removed after a checkpoint that sweeps is still to be swept", () => {
  const sweep = new SweepMark();
  expect(sweep.due).toBeUndefined();
  sweep.noteRemoval(position(5));
  sweep.noteRemoval(position(8));
  expect(sweep.due).toBe(5);
  sweep.noteSweep(position(6));
  expect(sweep.due).toBe(7);
  sweep.noteSweep(position(8));
  expect(sweep.due).toBeUndefined();
  sweep.noteRemoval(position(12));
  expect(sweep.due).toBe(12);
});

test("a keyword keeps its case while a message carries it; what nobody carries decides nothing", () => {
  const { push, state } = makeLog();
  push(adding(INBOX_ID, [bareEmail([1]), bareEmail([2])], ["Work"]));
  push(adding(INBOX_ID, [bareEmail([3])], ["work"]));
  const flags = (): string[] => [0, 1, 2].map((row) => state.flagNames(asRow(row)).join());
  expect(flags()).toEqual(["Work", "Work", "Work"]);
  const { inbox } = state;
  const all = () => ({ mailbox: INBOX_ID, targets: runsOf(state, inbox, [0, 1, 2].map(asRow)) });
  push({ kind: "flags", ...all(), change: { mode: "remove", flags: ["WORK"] } });
  push({ kind: "flags", ...all(), change: { mode: "add", flags: ["wORK"] } });
  expect(flags()).toEqual(["wORK", "wORK", "wORK"]);
});

test("a condemnation is void if a checkpoint was announced since its listing: that may name what was found unnamed", () => {
  const { push, at, state } = makeLog();
  const listed = at();
  push(checkpoint(1, at()));
  expect(push({ kind: "condemn", names: ["page/1"], listed }).refusal).toBe("stale");
  expect(state.condemned.has("page/1")).toBe(false);
  push({ kind: "condemn", names: ["page/1"], listed: at() });
  expect(state.condemned.has("page/1")).toBe(true);
});

test("notes of a listing are not taken in once any were forgotten since: one of them may be", () => {
  const { push, at, state } = makeLog();
  push(takeIn(at(), note(1)));
  const listed = at();
  push({ kind: "forget", names: [], notes: ["note/1"], trimmed: position(0) });
  expect(push(takeIn(listed, note(1))).refusal).toBe("stale");
  expect(state.inbox.messages.length).toBe(1);
});

test("a number of a stream is taken in once, under whatever name it comes; one that was missing, when it comes", () => {
  const { push, at, state } = makeLog();
  push(takeIn(at(), note(3)));
  expect([...state.streams.get("s")!.missing.keys()]).toEqual([1, 2]);
  expect(push(takeIn(at(), note(9, { counter: 3 }))).repeated).toEqual(["note/9"]);
  expect(push(takeIn(at(), note(3, { counter: 8 }))).repeated).toEqual(["note/3"]);
  push(takeIn(at(), note(2), note(4, { givenUp: [1] })));
  expect([...state.streams.get("s")!.missing.keys()]).toEqual([]);
  expect(state.inbox.messages.length).toBe(3);
  // Nobody's stream has no numbers.
  for (const n of [20, 21]) push(takeIn(at(), note(n, { stream: "", counter: 1 })));
  expect(state.inbox.messages.length).toBe(5);
});

test("a note of a stream that was forgotten meanwhile is not taken in: its author must take it for a stranger's", () => {
  const { push, at, state } = makeLog();
  push({ ...checkpoint(1, at()), silentBefore: 1_700_000_000_000 });
  const from = (timeMs: number, stream: string, counter: number) =>
    note(counter, { note: noteName(timeMs, new Uint8Array(8)), stream });
  const seconds = (1_700_000_000_000 + STREAM_SILENT_MS) / 1000;
  const takeInNow = (one: ReturnType<typeof note>): Op => ({ ...takeIn(at(), one), seconds });
  expect(push(takeInNow(from(1_699_999_999_999, "s", 1))).refusal).toBe("stale");
  expect(push(takeInNow(from(1_699_999_999_999, "", 1))).refusal).toBeUndefined();
  expect(push(takeInNow(from(1_700_000_000_000, "s", 2))).refusal).toBeUndefined();
  expect(state.inbox.messages.length).toBe(2);
});

test("a number that is far ahead makes no more than a thousand missing", () => {
  const { push, at, state } = makeLog();
  push(takeIn(at(), note(1), note(2, { counter: 2 ** 40 })));
  const { missing } = state.streams.get("s")!;
  expect(missing.size).toBe(1000);
  expect([...missing.keys()].at(0)).toBe(2 ** 40 - 1000);
});

test("a body that is condemned can't be named any more; one that is named can't be condemned", () => {
  const { push, at, state } = makeLog();
  const [named, unnamed] = [bareEmail([1]), bareEmail([2])];
  push(adding(INBOX_ID, [named]));
  push({ kind: "condemn", names: [named, unnamed].map(({ id }) => bodyName(id)), listed: at() });
  expect([...state.condemned.keys()]).toEqual([bodyName(unnamed.id)]);
  expect(push({ ...adding(INBOX_ID, [unnamed]), since: at() }).refusal).toBe("condemned");
  push({ kind: "forget", names: [bodyName(unnamed.id)], notes: [], trimmed: position(0) });
  expect(push({ ...adding(INBOX_ID, [unnamed]), since: position(at() - 1) }).refusal).toBe("stale");
  expect(push({ ...adding(INBOX_ID, [unnamed]), since: at() }).refusal).toBeUndefined();
});

test("of two who change the ways in at once, the second is told to begin anew", () => {
  const { push, state } = makeLog();
  const upon = state.slots.entry;
  push({ kind: "slots", names: ["slot/a"], upon });
  expect(push({ kind: "slots", names: ["slot/b"], upon }).refusal).toBe("stale");
  expect(state.slots.names).toEqual(["slot/a"]);
});

test("of two who make a mailbox of one path, the first has it", () => {
  const { push, state } = makeLog();
  const make = (): Op => ({ kind: "create", path: "Work", seconds: 0, subscribe: false }) as Op;
  expect(push(make()).refusal).toBeUndefined();
  expect(push(make()).refusal).toBe("path-taken");
  expect(state.liveMailboxes().filter(({ path }) => path === "Work")).toHaveLength(1);
});
