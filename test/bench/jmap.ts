import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../interop/harness.ts";
import { JmapClient } from "../kit/jmap-client.ts";
import { DEMO, makeDataFolder, removeDataFolder, startServer } from "../kit/server.ts";
import { endOf } from "./contender.ts";

interface Report {
  readonly rows: readonly { readonly key: string; readonly error?: string }[];
  readonly checks: readonly string[];
}

/** Measurements of the load program, as Markdown, and the rows whose answers were wrong. */
export interface JmapResult {
  readonly table: string;
  readonly rows: number;
  readonly failures: readonly string[];
}

/** A fresh Restante, whose one account is filled and asked by JMAP over plain HTTP/1.1. `options` are the load program's. */
export async function benchJmap(options: Readonly<Record<string, string>>): Promise<JmapResult> {
  const folder = await temporaryFolder("bench-jmap");
  const [out, table] = [join(folder, "out.json"), join(folder, "out.md")];
  const data = await makeDataFolder();
  const server = await startServer(data, { env: { RESTANTE_HTTPS_TLS: "off" } });
  try {
    await empty(server.ports.https!);
    const given = {
      ...{ url: `http://127.0.0.1:${server.ports.https}`, user: DEMO.user, pass: DEMO.password },
      ...{ pid: String(server.process.pid), name: "restante", out, table },
      ...options,
    };
    const args = Object.entries(given).map(([name, value]) => `--${name}=${value}`);
    const load = spawn(process.execPath, [join(import.meta.dirname, "jmap-load.mjs"), ...args], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    if ((await endOf(load)) !== 0) throw new Error("jmap-load.mjs ended badly");
    const { rows, checks } = JSON.parse(readFileSync(out, "utf8")) as Report;
    const failures = rows.flatMap(({ key, error }) => (error === undefined ? [] : [`${key}: ${error}`]));
    return { table: readFileSync(table, "utf8"), rows: rows.length, failures: [...checks, ...failures] };
  } finally {
    await server.stop();
    await removeDataFolder(data);
  }
}

/** The mails that a new account has are none of the load program's. */
async function empty(port: number): Promise<void> {
  const client = await JmapClient.connect(port);
  const { ids } = await client.call("Email/query");
  await client.call("Email/set", { destroy: ids });
}
