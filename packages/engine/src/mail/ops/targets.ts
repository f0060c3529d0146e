import { hexBytes, hexText } from "../../bay/entry.ts";
import { fromZigzag, OctetReader, pushVarint, zigzag } from "../octets.ts";
import type { WriterId } from "./names.ts";

/**
 * A set of memberships of one mailbox, as an op carries it: runs of names.
 *
 * A run (writer, first, last) means every membership of that mailbox which its author knew, made by `writer`, named
 * from `first` to `last` inclusive. Authors make runs by walking the mailbox in uid order, where one writer's names
 * ascend; so `1:*` is one run a writer, and a scattered set costs about five bytes a message once encoded.
 */
export interface TargetRun {
  readonly writer: WriterId;
  readonly first: Place;
  readonly last: Place;
}
/** Where in its writer's ops a membership was made: (sequence, index). */
export interface Place {
  readonly sequence: number;
  readonly index: number;
}

export const TARGET_RUNS_MAX = 1_000_000;

export function comparePlaces(a: Place, b: Place): number {
  return a.sequence - b.sequence || a.index - b.index;
}

/** A membership as runs are made: whether it is one of those that are named, and where it is from. */
export interface RunStep {
  readonly writer: WriterId;
  readonly place: Place;
  readonly isNamed: boolean;
}

/** Runs for the named ones of memberships that are given in uid order, whoever made those between them. A run ends where
 * another of its writer comes that is not named. */
export function makeRuns(steps: Iterable<RunStep>): TargetRun[] {
  const runs: { writer: WriterId; first: Place; last: Place }[] = [];
  const open = new Map<WriterId, (typeof runs)[number]>();
  for (const { writer, place, isNamed } of steps) {
    const run = open.get(writer);
    if (!isNamed) open.delete(writer);
    else if (run && comparePlaces(run.last, place) < 0) run.last = place;
    else {
      const fresh = { writer, first: place, last: place };
      runs.push(fresh);
      open.set(writer, fresh);
    }
  }
  return runs;
}

/**
 * Bytes of runs: a table of writers, then for each run varints (writer's place in the table · 2 + whether it is longer
 * than one, sequence since the last run of that writer as zigzag, index, and for longer ones how far `last` is).
 */
export function encodeRuns(runs: readonly TargetRun[]): Uint8Array {
  const writers: WriterId[] = [...new Set(runs.map((run) => run.writer))];
  const places = new Map(writers.map((writer, place) => [writer, { place, sequence: 0 }]));
  const out: number[] = [];
  pushVarint(out, writers.length);
  for (const writer of writers) out.push(...hexBytes(writer));
  pushVarint(out, runs.length);
  for (const { writer, first, last } of runs) {
    const known = places.get(writer)!;
    const long = comparePlaces(first, last) !== 0;
    pushVarint(out, known.place * 2 + (long ? 1 : 0));
    pushVarint(out, zigzag(first.sequence - known.sequence));
    pushVarint(out, first.index);
    if (long) {
      pushVarint(out, last.sequence - first.sequence);
      pushVarint(out, last.index);
    }
    known.sequence = last.sequence;
  }
  return Uint8Array.from(out);
}

/** Throws RangeError on bytes that {@link encodeRuns} does not make. */
export function decodeRuns(bytes: Uint8Array): TargetRun[] {
  const reader = new OctetReader(bytes);
  const writers: { id: WriterId; sequence: number }[] = [];
  for (let count = reader.varint(); count > 0; count--)
    writers.push({ id: hexText(reader.octets(8)) as WriterId, sequence: 0 });
  const runs: TargetRun[] = [];
  const count = reader.varint();
  if (count > TARGET_RUNS_MAX) throw new RangeError("too many runs");
  for (let i = 0; i < count; i++) {
    const head = reader.varint();
    const writer = writers[Math.floor(head / 2)];
    if (!writer) throw new RangeError("run of an unknown writer");
    const delta = fromZigzag(reader.varint());
    const first = { sequence: writer.sequence + delta, index: reader.varint() };
    const last = head % 2 === 1 ? { sequence: first.sequence + reader.varint(), index: reader.varint() } : first;
    if (first.sequence < 0 || comparePlaces(first, last) > 0) throw new RangeError("run runs backwards");
    writer.sequence = last.sequence;
    runs.push({ writer: writer.id, first, last });
  }
  reader.end();
  return runs;
}
