import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

/** What needs Node, or a server. */
const FORBIDDEN = /from "(?:node:|fastify)|\bBuffer\b|\bprocess\.|\brequire\(/;
const sources = readdirSync(import.meta.dirname).filter(
  (file) => file.endsWith(".ts") && !/\.test\.ts$|-kit\.ts$/.test(file),
);

test("the Email object runs in a browser: nothing in it needs Node", () => {
  expect(sources.length).toBeGreaterThan(15);
  expect(sources.filter((file) => FORBIDDEN.test(readFileSync(join(import.meta.dirname, file), "utf8")))).toEqual([]);
});

test("the same look finds what needs Node", () => {
  for (const line of ['import { x } from "node:fs";', "Buffer.from(x)", "process.env", 'import f from "fastify";'])
    expect(FORBIDDEN.test(line)).toBe(true);
});
