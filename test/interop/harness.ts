import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { corpusMails } from "../kit/corpus.ts";
import { connectLmtp, deliver } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";

/** One program's test: named steps, each of which passes or throws. */
export type Interop = (steps: Steps) => Promise<void>;

export class Steps {
  passed = 0;
  failed = 0;
  #program = "";

  async of(program: string, run: Interop): Promise<void> {
    this.#program = program;
    await this.step("starts", () => run(this));
  }

  async step(name: string, run: () => Promise<unknown> | unknown): Promise<void> {
    try {
      await run();
      this.passed++;
      console.log(`passed  ${this.#program}: ${name}`);
    } catch (error) {
      this.failed++;
      console.log(`FAILED  ${this.#program}: ${name}\n${error instanceof Error ? error.stack : error}`);
    }
  }
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

const POLICY = "/usr/sbin/policy-rc.d";

/** Sees to it that these Debian packages' commands are there. Their services are not started. */
export function need(packages: Readonly<Record<string, string>>): void {
  const missing = Object.entries(packages).filter(([, path]) => !existsSync(path));
  if (missing.length === 0) return;
  const ours = !existsSync(POLICY);
  if (ours) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const names = missing.map(([name]) => name);
  try {
    spawnSync("apt-get", ["update", "-qq"], { env, stdio: "ignore" });
    const result = spawnSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...names], {
      env,
      encoding: "utf8",
    });
    if (result.status !== 0) throw new Error(`can't install ${names.join(" ")}: ${result.stderr}`);
  } finally {
    if (ours) rmSync(POLICY);
  }
  const still = missing.filter(([, path]) => !existsSync(path)).map(([name]) => name);
  if (still.length > 0) throw new Error(`not there after installing: ${still.join(" ")}`);
}

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a command to its end; output is one character a byte. */
export async function command(name: string, args: readonly string[], input = "", timeoutMs = 60_000): Promise<Ran> {
  const child = spawn(name, args, { timeout: timeoutMs });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString("latin1");
  });
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString("latin1");
  });
  // A command that ends without reading its input is judged by its exit code.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input, "latin1");
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { code, out, err };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const folders: string[] = [];
process.once("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder that is gone when this process ends. */
export async function temporaryFolder(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `restante-${name}-`));
  folders.push(folder);
  return folder;
}

export function sha256(text: string): string {
  return createHash("sha256").update(text, "latin1").digest("hex");
}

/** A message's body: what follows its header block. */
export function bodyOf(message: string): string {
  const end = message.indexOf("\r\n\r\n");
  return end < 0 ? "" : message.slice(end + 4);
}

/** Runs with a server of its own, and the corpus in its INBOX if `filled`. */
export async function withServer(
  run: (server: RunningServer) => Promise<void>,
  options: { readonly filled?: boolean; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const data = await makeDataFolder();
  const server = await startServer(data, options.env ? { env: options.env } : {});
  try {
    if (options.filled) {
      const lmtp = await connectLmtp(server.ports.lmtp!);
      for (const { text } of corpusMails()) await deliver(lmtp, [DEMO.user], text);
      lmtp.end();
    }
    await run(server);
  } finally {
    if (server.process.exitCode === null && server.process.signalCode === null) await server.stop();
    await removeDataFolder(data);
  }
}

export async function until(what: string, check: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
