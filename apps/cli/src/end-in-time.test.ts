import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

/** Plays a script in a process of its own. */
function play(script: string): { readonly code: number | null; readonly out: string } {
  const url = JSON.stringify(join(import.meta.dirname, "end-in-time.ts"));
  const text = `const { endInTime } = await import(${url});\n${script}`;
  const { status, stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", text], { encoding: "utf8" });
  return { code: status, out: stdout };
}
const LATER = "(ms) => new Promise((resolve) => setTimeout(resolve, ms).unref())";

test("an end that waits for what keeps no process is waited for", () => {
  expect(play(`await endInTime(() => (${LATER})(50), 20_000); console.log("ended");`)).toEqual({
    code: 0,
    out: "ended\n",
  });
});

test("an end that takes too long is none", () => {
  expect(play(`await endInTime(() => new Promise(() => undefined), 50); console.log("ended");`)).toEqual({
    code: 1,
    out: "",
  });
  expect(play(`await endInTime(async () => undefined, 300); setInterval(() => undefined, 10);`)).toEqual({
    code: 1,
    out: "",
  });
});

test("what failed is told", () => {
  const failing = "await endInTime(async () => { throw new Error('no'); }, 20_000).catch(() => console.log('failed'));";
  expect(play(failing)).toEqual({ code: 0, out: "failed\n" });
});
