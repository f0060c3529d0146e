import { spawn } from "node:child_process";
import { chmodSync, readFileSync, rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { need } from "../interop/harness.ts";
import { benchActiveSync } from "./activesync.ts";
import { BENCHES } from "./benches.ts";
import { endOf, OUR_SCRIPT, startContender } from "./contender.ts";
import { writeDocument } from "./document.ts";
import { benchFirstSync, PHONE_PEERS } from "./first-sync.ts";
import { benchHttps } from "./https.ts";
import { benchJmap, JMAP_PEERS } from "./jmap.ts";
import { limitsOfJmap } from "./jmap-limits.ts";
import { acknowledgeAtOnce } from "./quickack.ts";
import { benchSending, SENDING_PEERS } from "./sending.ts";
import { benchWaiting } from "./waiting.ts";

/**
 * `npm run bench -- imap|large|processes|stores|https|jmap|jmap-limits|activesync|first-sync|sending|waiting [--count N] [--rounds N] [--workloads a,b] [--peers a,b] [--write]`: a fresh
 * Restante and others side by side, each with a folder of its own, workload by workload; --write puts the tables into
 * docs/benchmarks.md. https measures what the HTTPS door costs by itself, jmap what calls of JMAP take, activesync what
 * phones ask, and five everyday tasks by three protocols, sending what it takes until a mail has gone, waiting what 2,000 phones cost that wait. Others are Dovecots (imap), one process of ours and a Dovecot (processes), or Restante over other
 * stores (stores). Needs root and Debian: what is missing is installed or built.
 *
 * Restante's own workloads alone count as passed or failed: a wrong answer is a failure. A workload that a peer can't do
 * is told in the table.
 */
const string = { type: "string" } as const;
const COMPARED = {
  ...{ count: string, rounds: string, workloads: string, skip: string, seconds: string, deliveries: string },
  ...{ appends: string, "sample-ms": string, warm: string, "size-max": string },
};
/** Options of jmap-load.mjs. */
const LOADED = { ...{ count: string, threads: string, rows: string, skip: string }, "sample-ms": string };

interface Result {
  readonly opsPerS?: number;
  readonly error?: string;
  readonly unsupported?: string;
}
type Results = Readonly<Record<string, Readonly<Record<string, readonly Result[]>>>>;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { ...COMPARED, ...LOADED, peers: string, write: { type: "boolean", default: false } },
});
const [kind = "", ...others] = positionals;
/** Benches that are one table each. */
const TABLES: Readonly<Record<string, () => Promise<string>>> = {
  async https() {
    need({ curl: "/usr/bin/curl" });
    return benchHttps();
  },
  activesync: benchActiveSync,
  "first-sync": () => benchFirstSync(namesOf(values.peers, PHONE_PEERS)),
  "jmap-limits": limitsOfJmap,
  async sending() {
    const peers = namesOf(values.peers, SENDING_PEERS);
    await acknowledgeAtOnce(peers.map((name) => SENDING_PEERS[name]!.script));
    return benchSending(peers);
  },
  waiting: () => benchWaiting(values.count === undefined ? undefined : Number(values.count)),
};
if (kind in TABLES && others.length === 0) {
  const table = await TABLES[kind]!();
  console.log(table);
  if (values.write) writeDocument(kind, table);
  console.log("1 passed, 0 failed");
  process.exit(0);
}
if (kind === "jmap" && others.length === 0) {
  const given = Object.entries(values).filter(([name]) => name in LOADED) as [string, string][];
  const peers = namesOf(values.peers, JMAP_PEERS);
  await acknowledgeAtOnce(peers.map((name) => JMAP_PEERS[name]!.script));
  const { table, rows, failures } = await benchJmap(Object.fromEntries(given), peers);
  console.log(table);
  if (values.write) writeDocument(kind, table);
  for (const line of failures) console.log(`FAILED  ${line}`);
  console.log(`${rows - failures.length} passed, ${failures.length} failed`);
  process.exit(failures.length > 0 ? 1 : 0);
}
if (others.length > 0 || !(kind in BENCHES)) {
  console.error(
    "npm run bench -- imap|large|processes|stores|https|jmap|jmap-limits|activesync|first-sync|sending|waiting [--count N] [--rounds N] [--workloads a,b] [--peers a,b] [--write]",
  );
  process.exit(2);
}
process.exit(await run());

/** Peers that were asked for; all if none were named. Throws for one that is not there. */
function namesOf(given: string | undefined, peers: Readonly<Record<string, unknown>>): readonly string[] {
  const names = given?.split(",").filter((name) => name !== "") ?? Object.keys(peers);
  const unknown = names.find((name) => !(name in peers));
  if (unknown !== undefined) throw new Error(`no such peer: ${unknown}`);
  return names;
}

async function run(): Promise<number> {
  const { contenders, users } = BENCHES[kind]!;
  const [first = "", ...peers] = Object.keys(contenders);
  const names = [first, ...namesOf(values.peers ?? peers.join(","), contenders)];
  const isOurs = (name: string): boolean => contenders[name]!.script === OUR_SCRIPT;
  if (!names.every(isOurs))
    need({ "dovecot-imapd": "/usr/lib/dovecot/imap", "dovecot-lmtpd": "/usr/lib/dovecot/lmtp" });
  const folder = await mkdtemp(join(tmpdir(), "restante-bench-"));
  await using ends = new AsyncDisposableStack();
  ends.defer(() => rmSync(folder, { recursive: true, force: true }));
  // Dovecot's mail user must come through.
  chmodSync(folder, 0o755);
  const endpoints: string[] = [];
  for (const name of names) {
    console.error(`starting ${name}`);
    const started = await startContender({ name, contender: contenders[name]! }, { folder, users }, ends);
    endpoints.push(started.endpointFile);
  }
  const { tables, results } = await compare(names, endpoints, folder);
  console.log(tables);
  if (values.write) writeDocument(kind, tables);
  let passed = 0;
  const failures: string[] = [];
  for (const [name, metrics] of Object.entries(results)) {
    const judged = judge(metrics);
    if (isOurs(name)) {
      passed += judged.passed;
      failures.push(...judged.failures.map((line) => `${name}: ${line}`));
    } else for (const line of judged.failures) console.log(`peer ${name}: ${line}`);
  }
  for (const line of failures) console.log(`FAILED  ${line}`);
  console.log(`${passed} passed, ${failures.length} failed`);
  return failures.length > 0 ? 1 : 0;
}

/** Results by endpoint and metric. */
async function compare(names: readonly string[], endpoints: readonly string[], folder: string) {
  const out = join(folder, "out.json");
  const table = join(folder, "out.md");
  const args = [join(import.meta.dirname, "compare.mjs"), "--out", out, "--table", table];
  for (const endpoint of endpoints) args.push("--endpoint", endpoint);
  const given = Object.entries(values).filter(([name]) => name in COMPARED);
  for (const [name, value] of Object.entries({ ...BENCHES[kind]!.options, ...Object.fromEntries(given) }))
    args.push(`--${name}=${value}`);
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  const code = await endOf(child);
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

/** A workload that a server can't do is neither passed nor failed. */
function judge(metrics: Readonly<Record<string, readonly Result[]>>) {
  const failures: string[] = [];
  let passed = 0;
  for (const [metric, list] of Object.entries(metrics))
    for (const { error, unsupported } of list)
      if (error !== undefined) failures.push(`${metric}: ${error}`);
      else if (unsupported === undefined) passed++;
  return { passed, failures };
}
