import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { progressLine } from "./progress.ts";

const messages = { total: 2857, unit: "messages", done: "imported" };

test.each([
  [
    messages,
    1200,
    4000,
    true,
    "[##########..............]  42 %, 1200 of 2857 messages imported, 300 messages/s, 6 s left",
  ],
  [messages, 0, 0, false, "0 %, 0 of 2857 messages imported, 0 messages/s"],
  [messages, 2857, 1e6, false, "100 %, 2857 of 2857 messages imported, 2.9 messages/s, 0 s left"],
  [{ ...messages, total: 0 }, 12, 1000, true, "12 messages imported, 12 messages/s"],
  [
    { total: 7.5e9, unit: "bytes", done: "copied" },
    1.5e6,
    1000,
    false,
    "0 %, 1.5 MB of 7.5 GB copied, 1.5 MB/s, 1 h 23 min left",
  ],
] as const)("%j at %i after %i ms", (options, done, elapsedMs, withBar, line) => {
  expect(progressLine(options, done, elapsedMs, withBar)).toBe(line);
});

test("without a terminal a line comes each ten seconds, and none of a short command", () => {
  const script = `
    let tick;
    globalThis.setInterval = (work, ms) => ((tick = [work, ms]), { unref: () => undefined });
    const { Progress } = await import(${JSON.stringify(new URL("./progress.ts", import.meta.url).href)});
    const progress = new Progress({ total: 4, unit: "messages", done: "checked" });
    progress.add(1);
    process.stdout.write(String(tick[1]));
    tick[0]();
    progress[Symbol.dispose]();`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect([stdout, stderr]).toEqual(["10000", expect.stringMatching(/^restante: 25 %, 1 of 4 messages checked, .*\n$/)]);
});
