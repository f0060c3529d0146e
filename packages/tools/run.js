// The bootstrap behind npm start, npm test and the other scripts: plain JavaScript for any Node from 20. It installs
// what the lockfile names, with the pinned Node among it, and runs everything with that.
import { execFile, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dirname, "..", "..");
const bin = join(root, "node_modules", ".bin");
const stamp = join(root, "node_modules", ".restante-stamp");
const env = {
  ...process.env,
  TURBO_TELEMETRY_DISABLED: "1",
  PATH: bin + delimiter + process.env.PATH,
  // Every thread and process of ours strips types and compiles anew without it: half of what short tests cost.
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, "node_modules", ".cache", "compile"),
};

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, env, stdio: "inherit" });
  if (result.error) throw result.error;
  return result.status ?? 1;
}
let isToldToEnd = false;
/** Runs a program, and passes on the signals that would end it; resolves with its exit code. */
function follow(command, args, cwd = root) {
  const child = spawn(command, args, { cwd, env, stdio: "inherit" });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"])
    process.on(signal, () => {
      isToldToEnd = signal !== "SIGHUP";
      child.kill(signal);
    });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}
/** Runs `restante` where the caller is, so that paths are theirs. */
function restante(args) {
  const main = join(root, "apps", "cli", "src", "main.ts");
  return follow("node", [main, ...args], process.env.INIT_CWD ?? process.cwd());
}
/** Runs all at once and resolves with the worst status. What one prints comes whole, in the order of the steps. */
async function runAll(steps) {
  const runs = steps.map(
    ([command, ...args]) =>
      new Promise((resolve) => {
        execFile(command, args, { cwd: root, env, maxBuffer: Number.POSITIVE_INFINITY }, (error, stdout, stderr) =>
          resolve({ error, stdout, stderr }),
        );
      }),
  );
  let worst = 0;
  for (const { error, stdout, stderr } of await Promise.all(runs)) {
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    if (error && typeof error.code !== "number") throw error;
    worst = error?.code || worst;
  }
  return worst;
}
function must(command, ...args) {
  const status = run(command, args);
  // npm takes its time to end, and may end well.
  if (status !== 0 || isToldToEnd) process.exit(status || 1);
}

const wanted = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .update(`${process.platform}-${process.arch}`)
  .digest("hex");
if ((existsSync(stamp) ? readFileSync(stamp, "utf8") : "") !== wanted) {
  console.error(
    "Setting up: npm fetches what Restante is made of, Node 24 among it (200 MB, half a minute). Once only.",
  );
  const status = await follow("npm", ["ci", "--loglevel=error", "--no-audit", "--no-fund"]);
  if (status !== 0) process.exit(status);
  must(
    "node",
    "-e",
    "if(Number(process.versions.node.split('.')[0])<24)throw new Error('no pinned Node 24 for this platform, and the one here is older')",
  );
  writeFileSync(stamp, wanted);
}

/** The line that every test command ends with, summed from the runners' own reports. */
function report(folders, status) {
  let passed = 0;
  let failed = 0;
  let missing = 0;
  for (const folder of folders) {
    const file = join(root, folder, ".reports", "vitest.json");
    if (!existsSync(file)) {
      missing++;
      continue;
    }
    const result = JSON.parse(readFileSync(file, "utf8"));
    passed += result.numPassedTests;
    failed += result.numFailedTests + result.numPendingTests + result.numTodoTests;
    if (!result.success && result.numFailedTests === 0) failed++;
  }
  if (missing > 0) console.log(`${missing} test reports are missing`);
  if (status !== 0 && failed === 0) failed = 1;
  console.log(`${passed} passed, ${failed + missing} failed`);
  process.exit(status !== 0 || failed + missing > 0 ? 1 : 0);
}

/** All that have tests: a package that is forgotten here would be counted by nobody. */
const WORKSPACES = ["packages", "apps"].flatMap((kind) =>
  readdirSync(join(root, kind))
    .map((name) => join(kind, name))
    .filter((folder) => existsSync(join(root, folder, "vitest.config.ts"))),
);
const [task, ...rest] = process.argv.slice(2);

/** Before any test: some plant files in the tree that these would find. */
function check() {
  return runAll([
    ["tsc", "-p", "."],
    ["biome", "ci", "--colors=off", "--error-on-warnings", "."],
    ["knip"],
    ["turbo", "boundaries"],
  ]);
}

switch (task) {
  case "start":
    process.exit(await restante(["serve", ...rest]));
    break;
  case "restante":
    process.exit(await restante(rest));
    break;
  case "check":
    process.exit(await check());
    break;
  case "test": {
    const checked = await check();
    for (const folder of WORKSPACES) rmSync(join(root, folder, ".reports"), { recursive: true, force: true });
    rmSync(join(root, "test", ".reports"), { recursive: true, force: true });
    // One after the other: servers under load and unit tests would slow each other down.
    const turbo = (name) =>
      run("turbo", ["run", name, "--continue", "--concurrency=4", "--output-logs=errors-only", ...rest]);
    const tested = turbo("test");
    const ended = turbo("test:e2e");
    report([...WORKSPACES, "test"], checked || tested || ended);
    break;
  }
  case "test:interop":
    process.exit(run("node", [join("test", "interop", "run.ts"), ...rest]));
    break;
  case "test:faults": {
    const { values, positionals: parts } = parseArgs({
      args: rest,
      allowPositionals: true,
      options: {
        rounds: { type: "string" },
        minutes: { type: "string" },
        inputs: { type: "string" },
        seed: { type: "string" },
      },
    });
    if (values.rounds) env.RESTANTE_FAULT_ROUNDS = values.rounds;
    if (values.minutes) env.RESTANTE_FAULT_MINUTES = values.minutes;
    if (values.seed) env.RESTANTE_TEST_SEED = values.seed;
    if (values.inputs) env.RESTANTE_FUZZ_RUNS = values.inputs;
    env.RESTANTE_FUZZ_RUNS ??= "100000";
    const parsers = ["packages/mime", "apps/imap"];
    // `npm run test:faults -- hostile`: parts by name, of those that run against a server.
    const folders = parts.length > 0 ? ["test"] : ["packages/engine", "test", ...parsers];
    for (const folder of folders) rmSync(join(root, folder, ".reports"), { recursive: true, force: true });
    env.RESTANTE_FAULT_RUNS ??= String(2 * Number(env.RESTANTE_FAULT_ROUNDS ?? 200));
    const suites = [
      ["packages/engine", "src/account/matrix.test.ts", "fuzz.test.ts"],
      ...parsers.map((folder) => [folder, "fuzz.test.ts"]),
      ["test", "--config", "vitest.faults.config.ts"],
    ];
    if (parts.length > 0) suites.splice(0, suites.length - 1);
    suites.at(-1).push(...parts);
    const status = suites.reduce((worst, suite) => run("vitest", ["run", "--root", ...suite]) || worst, 0);
    report(folders, status);
    break;
  }
  case "package":
    process.exit(run("node", [join("packages", "tools", "package.js"), ...rest]));
    break;
  case "docs":
    process.exit(run("node", [join("test", "docs.ts"), "--write"]));
    break;
  case "bench":
    process.exit(run("node", [join("test", "bench", "run.ts"), ...rest]));
    break;
  default:
    console.error(`no such task: ${task}`);
    process.exit(2);
}
