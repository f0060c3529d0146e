import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { RunningServer } from "./server.ts";

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
  let out = "";
  let logs = "";
  child.stderr.on("data", (chunk: Buffer) => {
    logs += chunk.toString();
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      if (out.includes("Restante is ready")) resolve();
    });
    child.once("exit", (code) => reject(new Error(`the app ended with ${code}: ${logs}`)));
  });
  const ports = Object.fromEntries(
    [...out.matchAll(/^listening (\w+) .*:(\d+)$/gm)].map((match) => [match[1]!, Number(match[2])]),
  );
  const ended = once(child, "exit") as Promise<[number | null]>;
  return {
    process: child,
    data,
    ports,
    logs: () => logs,
    deliver: () => void child.kill("SIGUSR2"),
    async stop() {
      child.kill("SIGTERM");
      return (await ended)[0];
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
