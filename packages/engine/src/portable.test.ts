import { join } from "node:path";
import { expect, test } from "vitest";
import { bundle, linesForNode, nodeLines } from "./testing/bundle-kit.ts";

test("the engine's core bundles for a browser: no node: import, no Buffer", async () => {
  const bundled = await bundle(join(import.meta.dirname, "index.ts"));
  expect(bundled.modules.size).toBeGreaterThan(40);
  expect(nodeLines(bundled)).toEqual([]);
});

test("the same look finds what needs Node", async () => {
  await expect(bundle(join(import.meta.dirname, "node.ts"))).rejects.toThrow(/node:/);
  expect(linesForNode("const a = Buffer.from([1]);\n")).toHaveLength(1);
});
