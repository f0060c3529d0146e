/**
 * `node --import` of this makes any process of Restante one that waits a sixtieth where it would wait for many minutes:
 * accounts that nobody uses are soon locked.
 */
const LONG_MS: number = 8 * 60_000;
const FACTOR = 60;
const { setTimeout: wait } = globalThis;
globalThis.setTimeout = Object.assign(
  (work: () => void, ms = 0) => wait(work, ms < LONG_MS ? ms : ms / FACTOR),
  wait,
) as typeof wait;
