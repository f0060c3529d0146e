import { test } from "vitest";
import { followRounds } from "../kit/follow-rounds.ts";
import { testSeed } from "../kit/seed.ts";

const rounds = Number(process.env.RESTANTE_FAULT_ROUNDS ?? 200);
const limitMs = 60 * 60_000;

test.each([
  ["the log, across kills", { rewinding: false, killRounds: 10 }],
  ["a log that rewinds", { rewinding: true }],
])(
  `${rounds} rounds of random changes on %s: copies by QRESYNC and by CHANGEDSINCE are what the mailbox is`,
  async (_, options) => {
    await followRounds({ rounds, seed: testSeed(), ...options });
  },
  limitMs,
);
