import { expect, test } from "vitest";
import { testSeed } from "../kit/seed.ts";
import { sendingRounds } from "../kit/sending-rounds.ts";

const rounds = Number(process.env.RESTANTE_FAULT_ROUNDS ?? 500);

test(
  `${rounds} rounds of SIGKILL while mail is submitted, taken back and sent`,
  async () => {
    expect(rounds).toBeGreaterThan(0);
    await sendingRounds({ rounds, seed: testSeed() });
  },
  3 * 60 * 60_000,
);
