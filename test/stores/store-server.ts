import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { temporaryFolder } from "../interop/harness.ts";

const READY_MS = 20_000;

/** A key of a bucket. */
export interface StoreKey {
  readonly accessKey: string;
  readonly secretKey: string;
}

/** A real store on loopback, with one bucket. */
export interface StoreServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly key: StoreKey;
}

/** A program that was started for a test, in a folder of its own. */
export interface Started extends AsyncDisposable {
  readonly folder: string;
  readonly process: ChildProcess;
}

interface Start {
  readonly name: string;
  readonly program: string;
  /** Its arguments, once what it reads is in `folder`. */
  readonly prepare: (folder: string) => Promise<readonly string[]>;
  readonly env?: Readonly<Record<string, string>>;
  readonly isReady: () => Promise<boolean>;
}

/** Starts a program and waits until it is ready. Its end is SIGKILL: a store must take that. */
export async function startProgram({ name, program, prepare, env, isReady }: Start): Promise<Started> {
  const folder = await temporaryFolder(name);
  const args = await prepare(folder);
  const logFile = join(folder, "log");
  const log = openSync(logFile, "w");
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", log, log] });
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const started: Started = {
    folder,
    process: child,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    for (const begun = performance.now(); !(await isReady()); await delay(10))
      if (child.exitCode !== null || performance.now() - begun > READY_MS)
        throw new Error(`${name} did not start: ${readFileSync(logFile, "utf8").slice(-2000)}`);
    return started;
  } catch (error) {
    await started[Symbol.asyncDispose]();
    throw error;
  }
}

/** True if HTTP is answered there, with a status that is wanted. */
export async function answers(url: string, isGood: (status: number) => boolean = () => true): Promise<boolean> {
  try {
    return isGood((await fetch(url, { signal: AbortSignal.timeout(1000) })).status);
  } catch {
    return false;
  }
}

/** Environment of a `restante` with its mail there. */
export function storeEnvironment(
  { endpoint, region, bucket, key }: Pick<StoreServer, "endpoint" | "region" | "bucket" | "key">,
  by: StoreKey = key,
): Readonly<Record<string, string>> {
  return {
    RESTANTE_STORAGE_KIND: "s3",
    RESTANTE_S3_ENDPOINT: endpoint,
    RESTANTE_S3_REGION: region,
    RESTANTE_S3_BUCKET: bucket,
    RESTANTE_S3_ACCESS_KEY: by.accessKey,
    RESTANTE_S3_SECRET_KEY: by.secretKey,
  };
}

/** For a developer: runs a store until a signal, and prints the environment that points `restante` to it. */
export async function runUntilSignal(start: () => Promise<StoreServer>): Promise<void> {
  await using server = await start();
  for (const [name, value] of Object.entries(storeEnvironment(server))) console.log(`export ${name}=${value}`);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", () => resolve());
    process.once("SIGTERM", () => resolve());
  });
}
