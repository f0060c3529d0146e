import { join } from "node:path";
import { build, type Rollup } from "vite";
import { expect, test } from "vitest";

/** Bundles a module for a browser; resolves with the code of each of our modules, or rejects when one imports `node:`. */
async function bundle(entry: string): Promise<ReadonlyMap<string, string>> {
  const result = (await build({
    configFile: false,
    logLevel: "silent",
    root: import.meta.dirname,
    plugins: [
      {
        name: "no-node",
        enforce: "pre",
        resolveId(id, importer) {
          // libsodium asks for these only where they are, and runs in browsers without.
          if (importer?.includes("node_modules")) return null;
          if (id.startsWith("node:")) throw new Error(`${importer} imports ${id}`);
          return null;
        },
      },
    ],
    build: {
      write: false,
      minify: false,
      target: "es2022",
      lib: { entry, formats: ["es"], fileName: "engine" },
    },
  })) as Rollup.RollupOutput[];
  const chunks = result[0]!.output.filter((chunk) => chunk.type === "chunk");
  const modules = chunks.flatMap((chunk) => Object.entries(chunk.modules));
  return new Map(modules.filter(([id]) => !id.includes("node_modules")).map(([id, { code }]) => [id, code ?? ""]));
}

/** Lines that use Node's Buffer. Libraries use it where it is; ours may not know of it. */
function buffers(code: string): string[] {
  return code.match(/^.*\bBuffer\b(?!Like).*$/gm) ?? [];
}

test("the engine's core bundles for a browser: no node: import, no Buffer", async () => {
  const modules = await bundle(join(import.meta.dirname, "index.ts"));
  expect(modules.size).toBeGreaterThan(40);
  expect([...modules].flatMap(([id, code]) => buffers(code).map((line) => `${id}: ${line}`))).toEqual([]);
});

test("the same look finds what needs Node", async () => {
  await expect(bundle(join(import.meta.dirname, "node.ts"))).rejects.toThrow(/node:/);
  expect(buffers("const a = Buffer.from([1]);\n")).toHaveLength(1);
});
