// The packed form of Restante: plain JavaScript that any Node from 24 runs, since types are not stripped below node_modules.
// Each file keeps its place and its lines; see docs/decisions/0007-packages.md.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dirname, "..", "..");
/** What the command line is made of. */
const WORKSPACES = [
  "apps/cli",
  "apps/auth",
  "apps/imap",
  "apps/lmtp",
  "packages/engine",
  "packages/host",
  "packages/mime",
];

const read = (folder) => JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
const packages = new Map(WORKSPACES.map((folder) => [read(folder).name, { folder, ...read(folder) }]));

/** Writes the package into `target`, which is made anew. */
export function pack(target) {
  rmSync(target, { recursive: true, force: true });
  for (const folder of WORKSPACES) {
    for (const file of sourcesOf(folder)) write(join(target, "lib", file.replace(/\.ts$/, ".js")), javascript(file));
    const { name, version } = read(folder);
    write(join(target, "lib", folder, "package.json"), JSON.stringify({ name, version, type: "module" }));
  }
  for (const file of ["LICENSE", "README.md", "CHANGELOG.md", "docs"])
    cpSync(join(root, file), join(target, file), { recursive: true });
  write(join(target, "bin", "restante.js"), BIN, 0o755);
  const { version, license } = read(".");
  const manifest = {
    name: "restante",
    version,
    description: "A mail server whose every stored byte is sealed with keys that only the mailbox's owner can open",
    license,
    type: "module",
    bin: { restante: "bin/restante.js" },
    man: ["man/restante.1"],
    files: ["bin", "lib", "man", "completion", "docs", "CHANGELOG.md"],
    engines: { node: ">=24" },
    dependencies: dependencies(),
  };
  write(join(target, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
  const restante = (...args) =>
    execFileSync("node", [join(root, "apps/cli/src/main.ts"), ...args], { encoding: "utf8", cwd: target });
  write(join(target, "man", "restante.1"), restante("manual"));
  for (const shell of ["bash", "zsh", "fish"])
    write(join(target, "completion", `restante.${shell}`), restante("completion", shell));
}

/** An older Node would end with a stack of what it does not know. */
const BIN = `#!/usr/bin/env node
if (Number(process.versions.node.split(".")[0]) < 24) {
  console.error(\`restante: Node 24 or newer is needed, this is \${process.versions.node}\`);
  process.exit(2);
}
await import("../lib/apps/cli/src/main.js");
`;

/** A workspace's sources, but for what only tests use. */
function sourcesOf(folder) {
  return readdirSync(join(root, folder, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => !/\.test\.ts$|-kit\.ts$|\/testing\/|\/contract\.ts$/.test(file));
}

/** The file without its types; what it imports by name of ours, it imports by place. */
function javascript(file) {
  const text = stripTypeScriptTypes(readFileSync(join(root, file), "utf8"));
  return text.replaceAll(/(["'])((?:\.{1,2}|@restante)\/[^"'\n]*)\1/g, (whole, quote, name) => {
    if (name.startsWith(".")) return name.endsWith(".ts") ? `${quote}${name.slice(0, -3)}.js${quote}` : whole;
    const [scope, short, ...inside] = name.split("/");
    const found = packages.get(`${scope}/${short}`);
    if (!found) throw new Error(`${file}: ${name} is not packed`);
    const entry = found.exports[inside.length === 0 ? "." : `./${inside.join("/")}`];
    const path = relative(dirname(file), join(found.folder, entry)).replace(/\.ts$/, ".js");
    return `${quote}${path.startsWith(".") ? path : `./${path}`}${quote}`;
  });
}

/** What the workspaces need of others, in the versions that the lockfile has. */
function dependencies() {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const names = [...packages.values()].flatMap(({ dependencies = {} }) => Object.keys(dependencies));
  const others = [...new Set(names)].filter((name) => !packages.has(name)).sort();
  return Object.fromEntries(others.map((name) => [name, lock[`node_modules/${name}`].version]));
}

function write(file, text, mode = 0o644) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, { mode });
}
