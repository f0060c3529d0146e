import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { JmapClient } from "../kit/jmap-client.ts";
import { DEMO, environment, makeDataFolder, removeDataFolder, untilReady } from "../kit/server.ts";

const ROOT = join(import.meta.dirname, "../..");
let place: string;
let home: string;
let dependencies: readonly string[];
beforeAll(async () => {
  place = await makeDataFolder();
  // Where npm puts it: below node_modules Node strips no types.
  home = join(place, "node_modules", "restante");
  const script = `import { pack } from ${JSON.stringify(join(ROOT, "packages/tools/pack.js"))}; pack(${JSON.stringify(home)})`;
  execFileSync(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "ignore", "pipe"] });
  const manifest = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  dependencies = Object.keys(manifest.dependencies);
  // The dependencies that it names, and nothing else that happens to be here.
  for (const name of dependencies) {
    const link = join(home, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", name), link);
  }
});
afterAll(() => removeDataFolder(place));

test("all that the packed form imports is packed, or a dependency that it names", () => {
  const files = readdirSync(join(home, "lib"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".js"))
    .map((entry) => join(entry.parentPath, entry.name));
  const missing = files.flatMap((file) =>
    [
      ...readFileSync(file, "utf8").matchAll(
        /^(?:import|export) [^;]*?from\s*"([@.\w][\w@./:-]*)"|\b(?:import|URL)\("([@.\w][\w@./:-]*)"/gm,
      ),
    ]
      .map(([, first, second]) => (first ?? second)!)
      .filter((name) => {
        if (name.startsWith(".")) return !existsSync(join(dirname(file), name));
        return !isBuiltin(name) && !dependencies.some((known) => name === known || name.startsWith(`${known}/`));
      })
      .map((name) => `${relative(home, file)}: ${name}`),
  );
  expect(files.length).toBeGreaterThan(500);
  expect(missing).toEqual([]);
});

test("the packed form serves every protocol", async () => {
  const data = join(place, "data");
  const child = spawn(process.execPath, [join(home, "bin/restante.js"), "serve"], {
    env: environment(data, { RESTANTE_HTTPS_TLS: "off" }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const server = await untilReady(child, data);
  expect(Object.keys(server.ports).sort()).toEqual(["https", "imap", "imaps", "lmtp", "submission", "submissions"]);
  const { session } = await JmapClient.connect(server.ports.https!);
  expect(session.username).toBe(DEMO.user);
  expect(await server.stop()).toBe(0);
});
