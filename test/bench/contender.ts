import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import type { CountedStore } from "../stores/counted-store.ts";

/** One of the servers that are put side by side: a script in peers/ sets it up, starts it and stops it. */
export interface Contender {
  readonly script: string;
  readonly flags: readonly string[];
  /** Notes that are told of it beside those of its script. */
  readonly notes: string;
  /** The S3 that a Restante uses, and what its configuration says of it. */
  readonly store?: {
    readonly start: () => Promise<CountedStore>;
    readonly configuration: (store: CountedStore) => string;
  };
}

export const OUR_SCRIPT = "restante.sh";

/** Starts it, and its store, in a folder of its own. What it has started ends with the stack. */
export async function startContender(
  { name, contender }: { readonly name: string; readonly contender: Contender },
  { folder, users }: { readonly folder: string; readonly users: number },
  ends: AsyncDisposableStack,
): Promise<{ readonly endpointFile: string }> {
  const { store, script, notes, flags } = contender;
  const dir = join(folder, name);
  mkdirSync(dir, { recursive: true });
  const more: Record<string, string> = {};
  if (store) {
    const counted = ends.use(await store.start());
    writeFileSync(join(dir, "store.toml"), store.configuration(counted), { mode: 0o600 });
    more.requests = await tellCounts(counted, ends);
  }
  ends.defer(() => control(script, "stop", dir));
  await control(script, "start", dir, [
    "--port",
    String(await freePorts(PORTS.ofEach)),
    "--users",
    String(users),
    ...flags,
  ]);
  const endpointFile = join(dir, "endpoint.json");
  const spec = JSON.parse(readFileSync(endpointFile, "utf8"));
  // The size of our folder does not tell the size of another program's.
  if (store) delete spec.data;
  writeFileSync(endpointFile, JSON.stringify({ ...spec, ...more, name, notes: `${spec.notes}; ${notes}` }));
  return { endpointFile };
}

/** Where the counts of a store's requests are read, as JSON. */
async function tellCounts(store: CountedStore, ends: AsyncDisposableStack): Promise<string> {
  const server = createHttpServer((_, response) => response.end(JSON.stringify(store.counts())));
  ends.defer(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** Runs a peer's script. Its output goes to a file: a server keeps open what it was started with. */
async function control(
  script: string,
  action: "start" | "stop",
  dir: string,
  more: readonly string[] = [],
): Promise<void> {
  const log = join(dir, "control.log");
  const fd = openSync(log, "a");
  const args = [action, "--dir", dir, ...more];
  // Requests to the store are counted by this process meanwhile.
  const child = spawn(join(import.meta.dirname, "peers", script), args, { stdio: ["ignore", fd, fd] });
  closeSync(fd);
  if ((await endOf(child)) !== 0) throw new Error(`${dir} does not ${action}: ${readFileSync(log, "utf8")}`);
}

/** A program's exit code. Throws what kept it from starting. */
export function endOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
}

/** Below those that outgoing connections get: a server that restarts must find its own free again. One has up to five in a row. */
const PORTS = { from: 20_000, count: 12_000, ofEach: 5 };

/** The first of `count` free ports in a row. */
async function freePorts(count: number): Promise<number> {
  for (;;) {
    const servers: Server[] = [];
    const first = PORTS.from + Math.floor(Math.random() * PORTS.count);
    try {
      for (let port = first; port < first + count; port++) await listen(servers, port);
      return first;
    } catch (error) {
      // Try elsewhere.
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    } finally {
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    }
  }
}

function listen(servers: Server[], port: number): Promise<void> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      servers.push(server);
      resolve();
    });
  });
}
