import fc from "fast-check";
import { expect, test } from "vitest";
import { documents } from "./documents-kit.ts";
import { decode, encode, WbxmlError } from "./index.ts";
import { CONTACTS_SYNC, FOLDER_SYNC, PREFERENCE_SYNC } from "./vectors-kit.ts";

/** Inputs of a test; RESTANTE_FUZZ_RUNS=10000000 is the longer run. */
const RUNS = Number(process.env.RESTANTE_FUZZ_RUNS ?? 20_000);
const SEED = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 1_000_000);
const TIME_MAX_MS = 24 * 60 * 60_000;
const ODD: readonly number[] = [0x00, 0x01, 0x03, 0xc3, 0x45, 0x05, 0x7f, 0x80, 0xff, 0x11, 0x19];
process.stdout.write(`seed=${SEED}\n`);

/** From 0 up to, not including, `below`; the same for the same seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const SAMPLES = [
  CONTACTS_SYNC,
  FOLDER_SYNC,
  PREFERENCE_SYNC,
  ...fc.sample(documents, { numRuns: 60, seed: SEED }).map(encode),
].filter(({ length }) => length < 2048);

test(
  "damaged bytes are a document that is the same once written, or an error with an octet of theirs",
  () => {
    const next = numbers(SEED);
    const outcomes = { read: 0, refused: 0 };
    for (let run = 0; run < RUNS; run++) {
      const bytes = damaged(SAMPLES[next(SAMPLES.length)]!, next);
      try {
        const document = decode(bytes);
        outcomes.read++;
        const written = decode(encode(document));
        if (run % 16 === 0) expect(encode(written)).toEqual(encode(document));
      } catch (error) {
        const isOurs = error instanceof WbxmlError && error.offset >= 0 && error.offset <= bytes.length;
        if (!isOurs) throw new Error(`seed=${SEED} run=${run} input=[${bytes}]`, { cause: error });
        outcomes.refused++;
      }
    }
    // Both ways are walked, or the damage is no test.
    expect(Math.min(outcomes.read, outcomes.refused)).toBeGreaterThan(RUNS / 100);
  },
  TIME_MAX_MS,
);

/** Some octets changed, put in or taken out. */
function damaged(sample: Uint8Array, next: (below: number) => number): Uint8Array {
  let bytes = sample.slice();
  for (let count = 1 + next(3); count > 0; count--) {
    const at = next(bytes.length);
    const octet = next(2) === 0 ? ODD[next(ODD.length)]! : next(256);
    const kind = next(8);
    if (kind === 0) bytes = bytes.slice(0, at);
    else if (kind === 1) bytes = Uint8Array.from([...bytes.subarray(0, at), octet, ...bytes.subarray(at)]);
    else bytes[at] = octet;
    if (bytes.length === 0) return bytes;
  }
  return bytes;
}
