import { configDefaults, defineConfig } from "vitest/config";

/** `.ci/run` runs all of them. `npm test` leaves out what takes long: more of the commands, and harm that stores come to. */
const LONG = process.env.RESTANTE_TESTS === "all" ? [] : ["**/*.long.test.ts"];

const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    exclude: [...configDefaults.exclude, ...LONG],
    include: ["{e2e,kit,stores}/**/*.test.ts", "*.test.ts"],
    // Each starts servers, and waits for them much of the time.
    maxWorkers: 3,
    // letter.test.ts takes this back: one file goes the whole way.
    env: { TEST_QUICK_ARGON2: "1" },
    // Ten times what they take: on a machine that is busy with other things too, they end all the same.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ["default", "json"],
    outputFile: { json: ".reports/vitest.json" },
  },
});

export default config;
