import {
  type ChildProcess,
  type ChildProcessByStdio,
  type ChildProcessWithoutNullStreams,
  spawn,
} from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";

const MAIN = join(import.meta.dirname, "../../apps/cli/src/main.ts");
const LATER = join(import.meta.dirname, "later.ts");
const QUICK_ARGON2 = join(import.meta.dirname, "quick-argon2.ts");
const MAIN_THREAD = join(import.meta.dirname, "main-thread.ts");
const REWINDING = join(import.meta.dirname, "../../packages/engine/src/testing/rewinding.ts");

export const DEMO = { user: "demo@example.org", password: "restante-demo" } as const;

export interface RunningServer {
  readonly process: ChildProcess;
  readonly data: string;
  /** Ports by listener name. */
  readonly ports: Readonly<Record<string, number>>;
  /** The log so far. */
  logs(): string;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

export async function makeDataFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "restante-test-"));
}

export async function removeDataFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/** The environment of a server that keeps all it has under `data` and listens on free ports. */
export function environment(data: string, more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const free = "127.0.0.1:0";
  return {
    ...process.env,
    RESTANTE_SERVER_DATA: data,
    RESTANTE_IMAP_LISTEN: free,
    RESTANTE_IMAPS_LISTEN: free,
    RESTANTE_LMTP_LISTEN: free,
    RESTANTE_HTTPS_LISTEN: free,
    RESTANTE_SUBMISSION_LISTEN: free,
    RESTANTE_SUBMISSIONS_LISTEN: free,
    ...more,
  };
}

/** The command line of `restante`, with these modules before it. */
function restanteArgs(args: readonly string[], imports: readonly string[] = []): string[] {
  const quick = process.env.TEST_QUICK_ARGON2 ? [QUICK_ARGON2] : [];
  return [...[...quick, ...imports].flatMap((file) => ["--import", file]), MAIN, ...args];
}

/** Starts the real `restante serve` and waits until it is ready. */
export async function startServer(
  data: string,
  options: {
    readonly args?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    /** Its logs rewind now and then. */
    readonly rewinding?: boolean;
    /** Its clock is so far ahead. */
    readonly clockShiftMs?: number;
    /** A unix socket on which it tells how its main thread fares: `main-thread.ts`. */
    readonly mainThread?: string;
  } = {},
): Promise<RunningServer> {
  const { clockShiftMs = 0, rewinding = false, mainThread } = options;
  const imports = [
    ...(rewinding ? [REWINDING] : []),
    ...(clockShiftMs > 0 ? [LATER] : []),
    ...(mainThread === undefined ? [] : [MAIN_THREAD]),
  ];
  const child = spawn(process.execPath, restanteArgs(["serve", ...(options.args ?? [])], imports), {
    env: environment(data, {
      ...options.env,
      TEST_CLOCK_SHIFT_MS: String(clockShiftMs),
      ...(mainThread === undefined ? {} : { TEST_MAIN_THREAD: mainThread }),
    }),
    stdio: ["ignore", "pipe", "pipe"],
    cwd: data,
  });
  return untilReady(child, data);
}

/** Waits for what a server says when it is ready. Rejects if it ends before. */
export async function untilReady(
  child: ChildProcessByStdio<null, Readable, Readable>,
  data: string,
): Promise<RunningServer> {
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
    child.once("exit", (code) => reject(new Error(`server ended with ${code}: ${logs}`)));
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

/** Starts a `restante` command. */
export function spawnRestante(
  data: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, restanteArgs(args), { env: environment(data, env), cwd: data });
}

/** Runs a `restante` command; resolves with what it printed. */
export async function restante(
  data: string,
  args: readonly string[],
  input = "",
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const child = spawnRestante(data, args, env);
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  child.stdin.end(input);
  const [code] = (await once(child, "exit")) as [number | null];
  return { code, out, err };
}
