import { defineConfig } from "vitest/config";

/** `npm run test:faults`: long runs, one after the other. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    include: ["faults/**/*.test.ts"],
    fileParallelism: false,
    reporters: ["default", "json"],
    outputFile: { json: ".reports/vitest.json" },
  },
});

export default config;
