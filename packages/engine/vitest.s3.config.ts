import { defineConfig } from "vitest/config";

/** The contract suite over a real store, which RESTANTE_TEST_S3 names; `npm run test:interop` starts one. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    include: ["src/**/*.s3.test.ts"],
    testTimeout: 60_000,
    reporters: ["default", "json"],
    outputFile: { json: ".reports/vitest-s3.json" },
  },
});

export default config;
