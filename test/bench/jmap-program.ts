import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { JmapClient } from "../kit/jmap-client.ts";
import { DEMO } from "../kit/server.ts";
import { endOf } from "./contender.ts";

/** A row of the load program, with what it measured if it did. */
export interface Row {
  readonly key: string;
  readonly label: string;
  readonly p50?: number;
  readonly p95?: number;
  readonly firstMs?: number | null;
  readonly serverCpuMs?: number | null;
  readonly bytes?: number;
  readonly error?: string;
}

export interface Report {
  readonly rows: readonly Row[];
  readonly checks: readonly string[];
  readonly meanBytes: number;
  readonly rssMB: { readonly start: number; readonly loaded?: number };
  readonly load?: { readonly how: string; readonly msPerMail: number; readonly serverCpuMsPerMail: number };
}

export type LoadOptions = Readonly<Record<string, string>>;

/** Where the load program finds a server. */
export interface Target {
  readonly url: string;
  readonly user: string;
  readonly pass: string;
  readonly pid: number;
  readonly options: LoadOptions;
}

/** The demo account of a server of ours. */
export function targetOf(port: number, pid: number): Target {
  return { url: `http://127.0.0.1:${port}`, user: DEMO.user, pass: DEMO.password, pid, options: {} };
}

/** The mails that a new account has are none of the load program's. */
export async function empty(port: number): Promise<void> {
  const client = await JmapClient.connect(port);
  const { ids } = await client.call("Email/query");
  await client.call("Email/set", { destroy: ids });
}

/** Runs the load program to its end. */
export async function runLoad(
  { name, folder, target }: { readonly name: string; readonly folder: string; readonly target: Target },
  options: LoadOptions,
): Promise<Report> {
  const out = join(folder, `${name}.json`);
  const { url, user, pass, pid } = target;
  const given = { url, user, pass, pid: String(pid), name, out, ...target.options, ...options };
  const args = Object.entries(given).map(([option, value]) => `--${option}=${value}`);
  const load = spawn(process.execPath, [join(import.meta.dirname, "jmap-load.mjs"), ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  if ((await endOf(load)) !== 0) throw new Error("jmap-load.mjs ended badly");
  return JSON.parse(readFileSync(out, "utf8"));
}

export function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
