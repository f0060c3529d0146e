import { extent } from "@restante/engine/testing";
import { test } from "vitest";
import { killRounds } from "../kit/kill-rounds.ts";
import { testSeed } from "../kit/seed.ts";

test("rounds of SIGKILL under load: what was acknowledged is there once, what was not wholly or not at all", () =>
  killRounds({ rounds: extent(5, 2), seed: testSeed(), servers: 1, passwords: false }));
