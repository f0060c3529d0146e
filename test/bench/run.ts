import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { need } from "../interop/harness.ts";

/**
 * `npm run bench -- imap [--count N] [--rounds N] [--workloads a,b] [--peers O,W,E] [--write]`: a fresh Restante and the
 * peers side by side, each with a folder of its own, workload by workload; --write puts the tables into
 * docs/benchmarks.md. Needs root and Debian: what is missing is installed.
 *
 * What counts as passed or failed are Restante's own workloads: a wrong answer is a failure. What a peer can't do is
 * told in the table.
 */
interface Peer {
  readonly script: string;
  readonly flags: readonly string[];
  /** What an acknowledged write has survived. */
  readonly durability: string;
}

const FOLDER = import.meta.dirname;
const ROOT = join(FOLDER, "../..");
const DOCUMENT = join(ROOT, "docs/benchmarks.md");
const MARKERS = ["<!-- bench:imap -->", "<!-- /bench:imap -->"] as const;

/** mixed uses users up to 28. */
const USERS = 30;
const OURS = "restante";
const PEERS: Readonly<Record<string, Peer>> = {
  [OURS]: {
    script: "restante.sh",
    flags: [],
    durability: "mail, flags and mailboxes are synced to disk before any answer; all of it is sealed",
  },
  O: {
    script: "dovecot.sh",
    flags: ["--fsync", "optimized"],
    durability: "mail is synced before the answer, flags are not; nothing is sealed",
  },
  W: {
    script: "dovecot.sh",
    flags: ["--fsync", "always"],
    durability: "mail and flags are synced before the answer; nothing is sealed",
  },
  E: {
    script: "dovecot.sh",
    flags: ["--fsync", "optimized", "--crypt", "--zstd"],
    durability: "as O; bodies are sealed, the index (subjects, addresses, flags) is not",
  },
};

interface Result {
  readonly opsPerS?: number;
  readonly error?: string;
  readonly unsupported?: string;
}
type Results = Readonly<Record<string, Readonly<Record<string, readonly Result[]>>>>;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: "string", default: "3000" },
    rounds: { type: "string", default: "3" },
    workloads: { type: "string" },
    skip: { type: "string" },
    peers: { type: "string", default: "O,W,E" },
    seconds: { type: "string" },
    deliveries: { type: "string" },
    "sample-ms": { type: "string" },
    write: { type: "boolean", default: false },
  },
});
if (positionals.length !== 1 || positionals[0] !== "imap") {
  console.error("npm run bench -- imap [--count N] [--rounds N] [--workloads a,b] [--peers O,W,E] [--write]");
  process.exit(2);
}
process.exit(await run());

async function run(): Promise<number> {
  const names = [OURS, ...values.peers.split(",").filter((name) => name !== "")];
  const unknown = names.find((name) => !(name in PEERS));
  if (unknown !== undefined) throw new Error(`no such peer: ${unknown}`);
  if (names.length > 1) need({ "dovecot-imapd": "/usr/lib/dovecot/imap", "dovecot-lmtpd": "/usr/lib/dovecot/lmtp" });
  const folder = await mkdtemp(join(tmpdir(), "restante-bench-"));
  // Dovecot's mail user must come through.
  chmodSync(folder, 0o755);
  const started: string[] = [];
  try {
    for (const name of names) {
      console.error(`starting ${name}`);
      started.push(name);
      control(name, "start", folder, ["--port", String(await freePorts(3)), "--users", String(USERS)]);
      rename(join(folder, name, "endpoint.json"), name);
    }
    const { tables, results } = await compare(names, folder);
    console.log(tables);
    const { passed, failures } = judge(results[OURS] ?? {});
    if (values.write) writeDocument(tables);
    for (const [name, metrics] of Object.entries(results))
      for (const line of name === OURS ? [] : judge(metrics).failures) console.log(`peer ${name}: ${line}`);
    for (const line of failures) console.log(`FAILED  ${line}`);
    console.log(`${passed} passed, ${failures.length} failed`);
    return failures.length > 0 ? 1 : 0;
  } finally {
    for (const name of started) control(name, "stop", folder);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a peer's script. Its output goes to a file: a server keeps open what it was started with. */
function control(name: string, action: "start" | "stop", folder: string, more: readonly string[] = []): void {
  const peer = PEERS[name]!;
  const dir = join(folder, name);
  mkdirSync(dir, { recursive: true });
  const log = join(dir, "control.log");
  const fd = openSync(log, "a");
  const args = [action, "--dir", dir, ...more, ...(action === "start" ? peer.flags : [])];
  const { status } = spawnSync(join(FOLDER, "peers", peer.script), args, { stdio: ["ignore", fd, fd] });
  if (status !== 0) throw new Error(`${name} does not ${action}: ${readFileSync(log, "utf8")}`);
}

function rename(endpoint: string, name: string): void {
  const spec = JSON.parse(readFileSync(endpoint, "utf8"));
  const notes = `${spec.notes}; an acknowledged write: ${PEERS[name]!.durability}`;
  writeFileSync(endpoint, JSON.stringify({ ...spec, name, notes }));
}

/** Results by endpoint and metric. */
async function compare(names: readonly string[], folder: string) {
  const out = join(folder, "out.json");
  const table = join(folder, "out.md");
  const args = [join(FOLDER, "compare.mjs"), "--out", out, "--table", table];
  for (const name of names) args.push("--endpoint", join(folder, name, "endpoint.json"));
  for (const option of ["count", "rounds", "workloads", "skip", "seconds", "deliveries", "sample-ms"] as const)
    if (values[option] !== undefined) args.push(`--${option}`, values[option]);
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`compare.mjs ended with ${code}`);
  const byMetric = JSON.parse(readFileSync(out, "utf8")).results as Results;
  const results = Object.fromEntries(
    names.map((name) => [
      name,
      Object.fromEntries(Object.entries(byMetric).map(([metric, byName]) => [metric, byName[name] ?? []])),
    ]),
  );
  return { tables: readFileSync(table, "utf8"), results };
}

/** What a server can't do is neither passed nor failed. */
function judge(metrics: Readonly<Record<string, readonly Result[]>>) {
  const failures: string[] = [];
  let passed = 0;
  for (const [metric, list] of Object.entries(metrics))
    for (const { error, unsupported } of list)
      if (error !== undefined) failures.push(`${metric}: ${error}`);
      else if (unsupported === undefined) passed++;
  return { passed, failures };
}

function writeDocument(tables: string): void {
  const text = readFileSync(DOCUMENT, "utf8");
  const [before, rest] = text.split(MARKERS[0]);
  const after = rest?.split(MARKERS[1])[1];
  if (after === undefined) throw new Error(`${DOCUMENT} has no ${MARKERS.join(" … ")}`);
  const git = (...args: readonly string[]): string =>
    spawnSync("git", args, { cwd: ROOT, encoding: "utf8" }).stdout.trim();
  const processor = cpus();
  const head = [
    `Measured on ${new Date().toISOString().slice(0, 10)} at commit ${git("rev-parse", "--short", "HEAD")}`,
    `(${processor.length} × ${processor[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${release()}, Node ${process.version});`,
    `servers and load programs share the machine. \`npm run bench -- ${process.argv.slice(2).join(" ")}\`.`,
  ].join("\n");
  writeFileSync(DOCUMENT, `${before}${MARKERS[0]}\n${head}\n\n${tables.trim()}\n${MARKERS[1]}${after}`);
}

/** The first of `count` free ports in a row. */
async function freePorts(count: number): Promise<number> {
  for (;;) {
    const servers: Server[] = [];
    try {
      const first = await listen(servers, 0);
      for (let port = first + 1; port < first + count; port++) await listen(servers, port);
      return first;
    } catch (error) {
      // A neighbour is in use: try elsewhere.
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    } finally {
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    }
  }
}

function listen(servers: Server[], port: number): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      servers.push(server);
      resolve((server.address() as { readonly port: number }).port);
    });
  });
}
