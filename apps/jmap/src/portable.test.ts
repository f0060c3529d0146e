import { join } from "node:path";
import { bundle, linesForNode, nodeLines } from "@restante/engine/bundle-kit";
import { expect, test } from "vitest";

/** Folders whose files are in the bundle of the request layer and the methods. */
const FOLDERS = /\/(?:apps\/jmap\/src\/(?!door\/)|packages\/engine\/src\/(?!node\/)|packages\/mime\/src\/)/;
const LIBRARIES = /\/node_modules\/(?:cborg|libsodium(?:-wrappers)?)\//;

test("the request layer and the methods bundle for a browser: no node:, no Buffer, no fastify, no door", async () => {
  const bundled = await bundle(join(import.meta.dirname, "api.ts"));
  const files = [...bundled.modules.keys()];
  expect(files.filter((file) => file.includes("/apps/jmap/")).length).toBeGreaterThan(50);
  expect(files.filter((file) => !FOLDERS.test(file) && !/^(?:\0|__vite-)/.test(file))).toEqual([]);
  expect(bundled.libraries.filter((file) => !LIBRARIES.test(file))).toEqual([]);
  expect(nodeLines(bundled)).toEqual([]);
});

test("the same look finds what needs a server", async () => {
  await expect(bundle(join(import.meta.dirname, "index.ts"))).rejects.toThrow(/node:/);
  for (const line of ["Buffer.from(x)", "process.env", "setImmediate(x)"]) expect(linesForNode(line)).toHaveLength(1);
});
