import { expect, test } from "vitest";
import { noteName } from "../ops/note-name.ts";
import {
  countNote,
  forgetSilent,
  hasSilent,
  isOfForgotten,
  type NoteStream,
  STREAM_SILENT_MS,
} from "./note-streams.ts";

const DAY_MS = 86_400_000;
const START_MS = 1_700_000_000_000;

function makeStreams(requires = 4) {
  return { streams: new Map<string, NoteStream>(), silentBefore: 0, requires };
}
type State = ReturnType<typeof makeStreams>;
const nameAt = (timeMs: number): string => noteName(timeMs, new Uint8Array(8));
function take(state: State, stream: string, counter: number, timeMs: number): void {
  const note = { note: nameAt(timeMs), stream, counter, givenUp: [], places: [], email: undefined as never };
  countNote(state, note, 0);
}

test("times count from the version of the log on that knows them: what was folded before has none, whoever folds it", () => {
  const state = makeStreams(3);
  take(state, "old", 1, START_MS);
  expect(state.streams.get("old")!.latestMs).toBe(0);
  const newer = { ...state, requires: 4 };
  take(newer, "old", 2, START_MS + 5);
  take(newer, "old", 3, START_MS);
  expect(newer.streams.get("old")!.latestMs).toBe(START_MS + 5);
});

test("a stream is forgotten once all its notes are from before; one without a time has ninety days from then", () => {
  const state = makeStreams();
  take(state, "silent", 1, START_MS);
  take(state, "late", 1, START_MS);
  take(state, "late", 2, START_MS + DAY_MS);
  state.streams.set("unknown", { highest: 1, missing: new Map(), latestMs: 0 });
  expect(hasSilent({ streams: new Map([["late", state.streams.get("late")!]]) }, START_MS + 1)).toBe(false);
  expect(hasSilent(state, START_MS + 1)).toBe(true);
  forgetSilent(state, START_MS + 1);
  expect([...state.streams.keys()]).toEqual(["late", "unknown"]);
  expect(hasSilent(state, START_MS + 1)).toBe(false);
  forgetSilent(state, START_MS + 1 + STREAM_SILENT_MS);
  expect([...state.streams.keys()]).toEqual(["unknown"]);
  forgetSilent(state, START_MS + 2 + STREAM_SILENT_MS);
  expect(state.streams.size).toBe(0);
  // It never goes back: an op that was written before another came late.
  forgetSilent(state, START_MS);
  expect(state.silentBefore).toBe(START_MS + 2 + STREAM_SILENT_MS);
});

test("a note from before is doubtful, unless its stream is known", () => {
  const state = makeStreams();
  take(state, "known", 1, START_MS + DAY_MS);
  forgetSilent(state, START_MS);
  const isDoubtful = (timeMs: number, stream: string, nowMs = START_MS + STREAM_SILENT_MS): boolean =>
    isOfForgotten(state, { note: nameAt(timeMs), stream, nowMs });
  expect(isDoubtful(START_MS - 1, "another")).toBe(true);
  expect(isDoubtful(START_MS - 1, "known")).toBe(false);
  expect(isDoubtful(START_MS, "another")).toBe(false);
  // Clocks differ by a day.
  const dayBefore = START_MS + STREAM_SILENT_MS - DAY_MS;
  expect(isDoubtful(START_MS - 1, "another", dayBefore)).toBe(true);
  expect(isDoubtful(START_MS - 1, "another", dayBefore - 1)).toBe(false);
  expect(isDoubtful(START_MS - 2, "another", dayBefore - 1)).toBe(true);
});

test("an op that was written before another came late forgets what that forgot", () => {
  const state = makeStreams();
  forgetSilent(state, START_MS + DAY_MS);
  take(state, "old", 1, START_MS);
  forgetSilent(state, START_MS - DAY_MS);
  expect(state.streams.size).toBe(0);
});
