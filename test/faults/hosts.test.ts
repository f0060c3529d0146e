import { expect, test } from "vitest";
import { hostRounds } from "../kit/host-rounds.ts";
import { testSeed } from "../kit/seed.ts";

const minutes = Number(process.env.RESTANTE_FAULT_MINUTES ?? 5);
/** For what is looked at after each chapter, and for building the store once. */
const LIMIT_MS: number = (minutes * 3 + 20) * 60_000;

test(
  `two hosts over one S3 for ${minutes} minutes, killed, frozen and cut off: what sessions were told stays true`,
  async () => {
    expect(minutes).toBeGreaterThan(0);
    await hostRounds({ minutes, seed: testSeed() });
  },
  LIMIT_MS,
);
