import { spawn } from "node:child_process";
import { join } from "node:path";
import { type RunningServer, untilReady } from "./server.ts";

const APP = join(import.meta.dirname, "door-app.ts");

/** Starts the app behind the door and waits until it is ready. */
export async function startDoorApp(
  data: string,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningServer & { deliver(): void }> {
  const child = spawn(process.execPath, ["--expose-gc", APP, data], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return { ...(await untilReady(child, data)), deliver: () => void child.kill("SIGUSR2") };
}
