import { test } from "vitest";
import { killRounds } from "../kit/kill-rounds.ts";
import { testSeed } from "../kit/seed.ts";

test("5 rounds of SIGKILL under load: what was acknowledged is there once, what was not wholly or not at all", () =>
  killRounds({ rounds: 5, seed: testSeed(), servers: 1, passwords: false }));
