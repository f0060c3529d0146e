import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { need } from "../interop/harness.ts";

/** Parts that are built from source once are kept here, by name and version. */
const CACHE = process.env.RESTANTE_TEST_CACHE ?? join(homedir(), ".cache", "restante");

/** The program of that name and version, built into a folder of its own by `build` if it is not there yet. */
export function built(part: string, program: string, build: (folder: string) => void): string {
  const folder = join(CACHE, part);
  const path = join(folder, program);
  if (existsSync(path)) return path;
  console.error(`building ${part} into ${folder}: it takes minutes, once`);
  mkdirSync(folder, { recursive: true });
  build(folder);
  if (!existsSync(path)) throw new Error(`building ${part} made no ${path}`);
  return path;
}

/** Runs a builder and shows what it says. */
export function mustRun(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const { status, error } = spawnSync(command, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (error || status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? status}`);
}

/** Rust, and a C compiler for what Rust links: Debian's for web browsers is as new as Garage wants. */
export function needCargo(): void {
  need({ gcc: "/usr/bin/gcc", "libc6-dev": "/usr/include/stdlib.h", "pkg-config": "/usr/bin/pkg-config" });
  if (!isOnPath("cargo")) need({ "cargo-web": "/usr/bin/cargo", "rustc-web": "/usr/bin/rustc" });
}

/** Debian has none that is new enough. */
export function needGo(): void {
  if (!isOnPath("go")) throw new Error("go is missing: install Go 1.26 or newer and put it on the PATH");
}

function isOnPath(command: string): boolean {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).error === undefined;
}
