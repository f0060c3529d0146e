import { spawn } from "node:child_process";
import { chmodSync, closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { connectImap, type LineClient } from "../kit/line-client.ts";
import { assert, freePort, temporaryFolder } from "./harness.ts";

const SCRIPT = join(import.meta.dirname, "../bench/peers/cyrus.sh");

/** Debian's releases: bookworm has Cyrus 3.6, trixie 3.10. */
export type Suite = "bookworm" | "trixie";

/** Debian's Cyrus, on ports of its own, for one user. */
export async function withCyrus(
  suite: Suite,
  run: (connect: () => Promise<LineClient>) => Promise<void>,
): Promise<void> {
  const folder = await temporaryFolder("cyrus");
  chmodSync(folder, 0o755);
  const port = await freePort();
  await control(folder, "start", "--port", String(port), "--suite", suite, "--users", "1");
  try {
    await run(() => connectImap(port, "user1", "pass"));
  } finally {
    await control(folder, "stop");
  }
}

/** Its output goes to a file: a server keeps open what it was started with. */
async function control(folder: string, ...args: readonly string[]): Promise<void> {
  const log = join(folder, "control.log");
  const fd = openSync(log, "a");
  const child = spawn(SCRIPT, [...args, "--dir", folder], { stdio: ["ignore", fd, fd] });
  closeSync(fd);
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  assert(code === 0, readFileSync(log, "latin1").slice(-2000));
}
