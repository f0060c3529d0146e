import { defineConfig } from "vitest/config";

const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    // Compiled and warmed once, files take less time; where all is tried each has a process of its own.
    isolate: process.env.RESTANTE_TESTS === "all",
    include: ["src/**/*.test.ts"],
    // The counting matcher calls itself for each turn of a repeated group: 4 MB of stack, in KB.
    execArgv: ["--stack-size=4000"],
    testTimeout: 240_000,
    hookTimeout: 60_000,
    reporters: ["default", "json"],
    outputFile: { json: ".reports/vitest.json" },
  },
});

export default config;
