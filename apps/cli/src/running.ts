import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Config, makeFolder } from "@restante/host";
import { placesOf } from "./context.ts";
import { listenersOf } from "./listeners.ts";

/** A file for each `serve` of this host's data folder, by its process: which addresses of the settings it listens on. One that
 * was killed leaves its own, which counts no more. */
function fileOf(config: Config, pid: number): string {
  return join(placesOf(config).running, `${pid}.json`);
}

/** Says that this process listens on all that its settings name. Dispose: it does no more. Throws the system's error. */
export async function tellRunning(config: Config): Promise<AsyncDisposable> {
  const { running } = placesOf(config);
  await makeFolder(running);
  for (const { name, pid } of await filesOf(running)) if (!isAlive(pid)) await rm(join(running, name), { force: true });
  const file = fileOf(config, process.pid);
  await writeFile(file, JSON.stringify(listenersOf(config).map(({ address }) => address)), { mode: 0o600 });
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
}

/** The process of ours that listens on each address, as the settings have it. */
export async function readRunning(config: Config): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (const { pid } of await filesOf(placesOf(config).running)) {
    if (!isAlive(pid)) continue;
    const text = await readFile(fileOf(config, pid), "utf8").catch(() => "[]");
    for (const address of JSON.parse(text) as readonly string[]) found.set(address, pid);
  }
  return found;
}

/** None where there is no such folder, or it can't be read: others tell of that. */
async function filesOf(folder: string): Promise<readonly { readonly name: string; readonly pid: number }[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .map((name) => ({ name, pid: Number(/^(\d+)\.json$/.exec(name)?.[1] ?? 0) }))
    .filter(({ pid }) => pid > 0);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // The process is another user's.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
