import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const DOCUMENT = join(ROOT, "docs/benchmarks.md");

/** Puts a bench's tables into docs/benchmarks.md, between its markers, with what they were measured on. */
export function writeDocument(bench: string, tables: string): void {
  const [begin, end] = [`<!-- bench:${bench} -->`, `<!-- /bench:${bench} -->`];
  const text = readFileSync(DOCUMENT, "utf8");
  const [before, rest] = text.split(begin);
  const after = rest?.split(end)[1];
  if (after === undefined) throw new Error(`${DOCUMENT} has no ${begin} … ${end}`);
  const git = (...args: readonly string[]): string =>
    spawnSync("git", args, { cwd: ROOT, encoding: "utf8" }).stdout.trim();
  const processor = cpus();
  const head = [
    `Measured on ${new Date().toISOString().slice(0, 10)} at commit ${git("rev-parse", "--short", "HEAD")}`,
    `(${processor.length} × ${processor[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${release()}, Node ${process.version});`,
    `servers and load programs share the machine. \`npm run bench -- ${process.argv.slice(2).join(" ")}\`.`,
  ].join("\n");
  writeFileSync(DOCUMENT, `${before}${begin}\n${head}\n\n${tables.trim()}\n${end}${after}`);
}
