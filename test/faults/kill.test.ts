import { expect, test } from "vitest";
import { killRounds } from "../kit/kill-rounds.ts";
import { testSeed } from "../kit/seed.ts";

const rounds = Number(process.env.RESTANTE_FAULT_ROUNDS ?? 200);
const limitMs = 3 * 60 * 60_000;

test(
  `${rounds} rounds of SIGKILL under load, the password changed meanwhile`,
  async () => {
    expect(rounds).toBeGreaterThan(0);
    await killRounds({ rounds, seed: testSeed(), servers: 1, passwords: true });
  },
  limitMs,
);

test(
  "two servers on one store, both under load, one killed again and again",
  async () => {
    await killRounds({ rounds: Math.ceil(rounds / 10), seed: testSeed(), servers: 2, passwords: false });
  },
  limitMs,
);
