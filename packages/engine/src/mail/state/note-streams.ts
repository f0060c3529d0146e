import { timeOfNote } from "../ops/note-name.ts";
import type { TakenNote } from "../ops/op.ts";
import type { ReadState } from "./read-state.ts";

/**
 * Streams of notes: each start of a delivering process numbers its deliveries for an account without a gap. So one that the
 * store withheld is missed, and one that it shows again is not taken in twice.
 */
export interface NoteStream {
  highest: number;
  /** Numbers below it that are still missing, with the seconds since 1970 at which that was first seen. */
  readonly missing: Map<number, number>;
  /** The time in the name of its latest note, in ms since 1970; 0 where it is not known. */
  latestMs: number;
}

/** The part of a state that tells of them. */
interface Streams {
  readonly streams: Map<string, NoteStream>;
  silentBefore: number;
  readonly requires: number;
}

/** Numbers of one stream that may be missing at once and still be told to the owner one by one. */
const MISSING_MAX = 1000;
/** A stream that was silent for so long is forgotten: its process has ended. */
export const STREAM_SILENT_MS: number = 90 * 24 * 60 * 60_000;
/** How much clocks of two hosts may differ: of those who forget a stream and of those who take in. */
export const CLOCKS_DIFFER_MS: number = 24 * 60 * 60_000;
/** The version of the log from which on times of streams count: what a process knows of them must not depend on the checkpoint
 * that it began with. */
const TIMES_VERSION = 4;

/** Marks a delivering process's number as taken in; those given up will never come. `seconds`: now, since 1970. */
export function countNote(state: Streams, { note, stream, counter, givenUp }: TakenNote, seconds: number): void {
  let known = state.streams.get(stream);
  if (!known) {
    known = { highest: 0, missing: new Map(), latestMs: 0 };
    state.streams.set(stream, known);
  }
  if (state.requires >= TIMES_VERSION) known.latestMs = Math.max(known.latestMs, timeOfNote(note));
  // Bounded: a number far ahead is a damaged or hostile stream; what lies between is not listed one by one.
  for (let number = Math.max(known.highest + 1, counter - MISSING_MAX); number < counter; number++)
    known.missing.set(number, seconds);
  known.highest = Math.max(known.highest, counter);
  known.missing.delete(counter);
  for (const number of givenUp) known.missing.delete(number);
}

/** Forgets streams without a note since `before`, in ms since 1970. One whose time is not known counts from now on. */
export function forgetSilent(state: Streams, before: number): void {
  state.silentBefore = Math.max(state.silentBefore, before);
  for (const [name, stream] of state.streams)
    if (stream.latestMs === 0) stream.latestMs = before + STREAM_SILENT_MS;
    else if (stream.latestMs < state.silentBefore) state.streams.delete(name);
}

/** True if {@link forgetSilent} has anything to do. */
export function hasSilent({ streams }: Pick<ReadState, "streams">, before: number): boolean {
  return [...streams.values()].some(({ latestMs }) => latestMs < before);
}

/** The time in the name of the newest note that was taken in, in ms since 1970; 0 where none is known. Where no note comes
 * there are no more streams, and none needs to be forgotten. */
export function newestNoteMs({ streams }: Pick<ReadState, "streams">): number {
  return [...streams.values()].reduce((newest, { latestMs }) => Math.max(newest, latestMs), 0);
}

/** True if a note of this name and stream may be one that was taken in, and is forgotten. A time that was set by clocks that
 * were ahead, and lies after what could be forgotten at `nowMs`, counts no further than that: else all new streams would be
 * doubtful until then. */
export function isOfForgotten(
  { streams, silentBefore }: Pick<ReadState, "streams" | "silentBefore">,
  { note, stream, nowMs }: { readonly note: string; readonly stream: string; readonly nowMs: number },
): boolean {
  const before = Math.min(silentBefore, nowMs - STREAM_SILENT_MS + CLOCKS_DIFFER_MS);
  return timeOfNote(note) < before && !streams.has(stream);
}
