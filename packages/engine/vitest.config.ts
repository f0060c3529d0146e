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

const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    // They want a real store: `npm run test:interop`.
    exclude: ["src/**/*.s3.test.ts"],
    // Ten times what they take: on a machine that is busy with other things too, they end all the same.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // By default one core is left idle.
    maxWorkers: 2,
    reporters: ["default", "json"],
    outputFile: { json: ".reports/vitest.json" },
    projects: [
      { extends: true, test: { name: "linear", include: ["src/**/*.test.ts"] } },
      { extends: true, test: { name: "rewinding", include: REWOUND, setupFiles: ["src/testing/rewinding.ts"] } },
    ],
  },
});

export default config;
