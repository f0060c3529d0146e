// The packed form of Restante: plain JavaScript that any Node from 24 runs, since types are not stripped below node_modules.
// Each file keeps its place and its lines; see docs/decisions/0007-packages.md.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const read = (folder) => JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
const workspaces = new Map(
  ["apps", "packages"]
    .flatMap((kind) => readdirSync(join(root, kind)).map((name) => `${kind}/${name}`))
    .filter((folder) => existsSync(join(root, folder, "package.json")))
    .map((folder) => [read(folder).name, { folder, ...read(folder) }]),
);
/** Packages of others that a workspace names. */
const declared = new Set(
  [...workspaces.values()]
    .flatMap(({ dependencies = {} }) => Object.keys(dependencies))
    .filter((name) => !workspaces.has(name)),
);

/** Writes the package into `target`, which is made anew. */
export function pack(target) {
  rmSync(target, { recursive: true, force: true });
  const { files, others } = reached("apps/cli/src/main.ts");
  for (const [file, text] of files) write(join(target, "lib", file.replace(/\.ts$/, ".js")), text);
  for (const { folder, name, version } of workspaces.values())
    if (existsSync(join(target, "lib", folder)))
      write(join(target, "lib", folder, "package.json"), JSON.stringify({ name, version, type: "module" }));
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
    dependencies: versions(others),
  };
  write(join(target, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
  const restante = (...args) =>
    execFileSync(process.execPath, [join(root, "apps/cli/src/main.ts"), ...args], { encoding: "utf8", cwd: target });
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

/** Where a module is named: an import, what it gives on, or a thread's file. */
const MODULE_NAME = /(\b(?:from|import)\s*\(?\s*|\bnew URL\(\s*)(["'])([^"'\n]+)\2/g;

/** The source files that one leads to, each as JavaScript, and the packages of others that they import. */
function reached(first) {
  const files = new Map();
  const others = new Set();
  const waiting = [first];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (files.has(file)) continue;
    const { text, names } = javascript(file);
    files.set(file, text);
    for (const name of names)
      if (!name.startsWith(".")) others.add(name);
      else if (name.endsWith(".ts")) waiting.push(join(dirname(file), name));
  }
  return { files, others };
}

/** The file without its types; what it imports by name of ours, it imports by place. `names`: all that it imports. */
function javascript(file) {
  const names = [];
  const source = stripTypeScriptTypes(readFileSync(join(root, file), "utf8"));
  const text = source.replaceAll(MODULE_NAME, (whole, before, quote, name) => {
    const place = name.startsWith(".") ? name : placeOf(name, file);
    if (place !== undefined || isOthers(name)) names.push(place ?? name);
    return place === undefined ? whole : `${before}${quote}${place.replace(/\.ts$/, ".js")}${quote}`;
  });
  return { text, names };
}

/** Where a workspace's door lies, seen from a file; undefined for what is not ours. */
function placeOf(name, file) {
  const owner = [...workspaces.keys()].find((known) => name === known || name.startsWith(`${known}/`));
  if (owner === undefined) return undefined;
  const { folder, exports } = workspaces.get(owner);
  const path = relative(dirname(file), join(folder, exports[`.${name.slice(owner.length)}`]));
  return path.startsWith(".") ? path : `./${path}`;
}

/** `@scope/name/inside` is of `@scope/name`. */
const packageOf = (name) => name.split("/", name.startsWith("@") ? 2 : 1).join("/");
const isOthers = (name) => declared.has(packageOf(name));

/** What is imported of others, in the versions that the lockfile has. */
function versions(names) {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const others = [...new Set([...names].map(packageOf))].sort();
  return Object.fromEntries(others.map((name) => [name, lock[`node_modules/${name}`].version]));
}

function write(file, text, mode = 0o644) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, { mode });
}
