import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

/** Tests that run a second time upon logs that rewind. Left out: those that count requests, and those that share checkpoints
 * between processes whose ghosts differ. */
const REWOUND = [
  "account/account",
  "account/add-many",
  "account/delivery/take-in",
  "account/delivery/unsettled",
  "account/care/upkeep",
  "query/query",
].map((name) => `src/${name}.test.ts`);

/** Tests that put something in the place of a module. */
const MOCKING = globSync("src/**/*.test.ts", { cwd: import.meta.dirname }).filter((file) =>
  readFileSync(join(import.meta.dirname, file), "utf8").includes("vi.mock("),
);
/** Each file has a process of its own, and nothing is left out. */
const TRIES_ALL: boolean = process.env.RESTANTE_TESTS === "all";
const REAL_STORES = ["src/**/*.s3.test.ts"];

const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    // They want a real store: `npm run test:interop`.
    exclude: REAL_STORES,
    // Ten times what they take: on a machine that is busy with other things too, they end all the same.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // By default one core is left idle.
    maxWorkers: 2,
    reporters: ["default", "json"],
    outputFile: { json: ".reports/vitest.json" },
    projects: [
      // Compiled and warmed once, they take two thirds of the time. Where all is tried each file has a process of its own.
      {
        extends: true,
        test: {
          name: "linear",
          include: ["src/**/*.test.ts"],
          exclude: [...REAL_STORES, ...MOCKING],
          isolate: TRIES_ALL,
        },
      },
      { extends: true, test: { name: "mocking", include: MOCKING } },
      {
        extends: true,
        test: {
          name: "rewinding",
          include: TRIES_ALL ? REWOUND : [],
          setupFiles: ["src/testing/rewinding.ts"],
        },
      },
    ],
  },
});

export default config;
