import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { command, need, type Ran } from "./harness.ts";

const RUN_MAX_S = 150;

/** A screen for a program with windows, where nobody looks. */
export function needScreen(packages: Readonly<Record<string, string>>): void {
  need({
    xvfb: "/usr/bin/Xvfb",
    xauth: "/usr/bin/xauth",
    xdotool: "/usr/bin/xdotool",
    "dbus-daemon": "/usr/bin/dbus-run-session",
    ...packages,
  });
}

/** Runs a script of the shell with a screen and a session bus of its own, and `home` as its home. */
export async function onScreen(home: string, script: string): Promise<Ran> {
  const runtime = join(home, "run");
  await mkdir(runtime, { recursive: true, mode: 0o700 });
  const xvfb = ["xvfb-run", "-a", "bash", "-c", script];
  const env = [`HOME=${home}`, `XDG_RUNTIME_DIR=${runtime}`, "NO_AT_BRIDGE=1", "GSETTINGS_BACKEND=memory"];
  const unset = ["-u", "XDG_CONFIG_HOME", "-u", "XDG_DATA_HOME", "-u", "XDG_CACHE_HOME"];
  const run = ["timeout", "-k", "5", String(RUN_MAX_S), "dbus-run-session", "--", ...xvfb];
  return command("env", [...unset, ...env, ...run], "", (RUN_MAX_S + 10) * 1000);
}
