import { dirname } from "node:path";
import { build, type Rollup } from "vite";

/** A module bundled for a browser. */
export interface Bundle {
  /** Files that a browser loads, by name; the first one is loaded first. */
  readonly files: ReadonlyMap<string, string>;
  /** The code of each of our modules that is in it, by file. */
  readonly modules: ReadonlyMap<string, string>;
  /** Files of libraries that it can't do without. */
  readonly libraries: readonly string[];
}

/** Bundles a module for a browser; rejects when one of ours imports `node:`. */
export async function bundle(entry: string): Promise<Bundle> {
  const result = (await build({
    configFile: false,
    logLevel: "silent",
    root: dirname(entry),
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
      lib: { entry, formats: ["es"], fileName: "bundle" },
    },
  })) as Rollup.RollupOutput[];
  const chunks = result[0]!.output.filter((chunk) => chunk.type === "chunk");
  const isOurs = (id: string): boolean => !id.includes("node_modules");
  const all = chunks.flatMap((chunk) => Object.entries(chunk.modules));
  const needed = chunks.filter(({ isDynamicEntry }) => !isDynamicEntry).flatMap(({ moduleIds }) => moduleIds);
  return {
    files: new Map(chunks.map(({ fileName, code }) => [fileName, code])),
    modules: new Map(all.filter(([id]) => isOurs(id)).map(([id, { code }]) => [id, code ?? ""])),
    libraries: needed.filter((id) => !isOurs(id)),
  };
}

/** Lines that use Node's Buffer, or `process`. Libraries use them where they are; ours may not know of them. */
export function nodeLines({ modules }: Bundle): string[] {
  return [...modules].flatMap(([id, code]) => linesForNode(code).map((line) => `${id}: ${line}`));
}

export function linesForNode(code: string): string[] {
  return code.match(/^.*\b(?:Buffer\b(?!Like)|process\.(?:env|nextTick|hrtime|exit|on)\b|setImmediate\b).*$/gm) ?? [];
}
