import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { need, temporaryFolder } from "../interop/harness.ts";

const INSIDE = "RESTANTE_BENCH_QUICKACK";

/**
 * Runs this program once more in a network of its own whose loopback acknowledges every packet at once, and ends with its exit
 * code; there, it does nothing. A peer with Nagle's algorithm waits else, in many answers, for the client's delayed
 * acknowledgement. What these scripts of peers need of the network is got before.
 */
export async function acknowledgeAtOnce(scripts: readonly string[]): Promise<void> {
  if (process.env[INSIDE] !== undefined || scripts.length === 0) return;
  need({ iproute2: "/usr/sbin/ip" });
  for (const script of scripts)
    run(join(import.meta.dirname, "peers", script), "prepare", "--dir", await temporaryFolder("bench-prepare"));
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const { status } = spawnSync(join(import.meta.dirname, "quickack.sh"), again, {
    stdio: "inherit",
    env: { ...process.env, [INSIDE]: "1" },
  });
  process.exit(status ?? 1);
}

function run(program: string, ...args: readonly string[]): void {
  const { status } = spawnSync(program, args, { stdio: "inherit" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${status}`);
}
