import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TRACE_BYTES_MAX, Traces, WAITING_BYTES_MAX } from "./traces.ts";

const NOW = Date.UTC(2026, 0, 1);
const HEAD = "2026-01-01T00:00:00.000Z imap ";
let folder: string;
let events: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "restante-traces-"));
  events = [];
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function opened(): Promise<Traces> {
  writeFileSync(join(folder, "one.request"), JSON.stringify({ address: "ada@example.org", untilMs: NOW + 1000 }));
  return await Traces.open(
    folder,
    () => NOW,
    ({ event }) => events.push(event),
  );
}

function told(): string {
  return readFileSync(join(folder, "one.log"), "utf8");
}

/** Tells a line, and waits until it is written. */
async function tellSlowly(traces: Traces, line: string): Promise<void> {
  const file = join(folder, "one.log");
  const before = existsSync(file) ? statSync(file).size : 0;
  traces.of("ada@example.org", "imap")?.(line);
  const end = before + Buffer.byteLength(`${HEAD}${line}\n`);
  await vi.waitFor(() => expect(statSync(file).size).toBeGreaterThanOrEqual(end), { interval: 1 });
}

test("lines stand in their order, and all of them are there at the end", async () => {
  const traces = await opened();
  const lines = Array.from({ length: 2000 }, (_, number) => `S: line ${number}`);
  for (const line of lines) traces.of("ada@example.org", "imap")?.(line);
  expect(traces.of("bob@example.org", "imap")).toBeUndefined();
  await traces[Symbol.asyncDispose]();
  expect(told()).toBe(lines.map((line) => `${HEAD}${line}\n`).join(""));
  expect(statSync(join(folder, "one.log")).mode & 0o777).toBe(0o600);
});

test("lines that come faster than the disk takes them are left out, and their number is told", async () => {
  const traces = await opened();
  const line = "x".repeat(64 * 1024);
  const count = Math.floor(WAITING_BYTES_MAX / (line.length + HEAD.length + 1));
  for (let number = 0; number < count + 7; number++) traces.of("ada@example.org", "imap")?.(line);
  await vi.waitFor(() => expect(told()).toHaveLength(count * (line.length + HEAD.length + 1)));
  await tellSlowly(traces, "the last");
  await traces[Symbol.asyncDispose]();
  const lines = told().split("\n");
  expect(lines).toHaveLength(count + 3);
  expect(lines.slice(count)).toEqual(["7 lines are left out here", `${HEAD}the last`, ""]);
});

test("a trace has no more octets than it may, whatever its letters", async () => {
  const traces = await opened();
  const line = "€".repeat(100_000);
  const size = Buffer.byteLength(`${HEAD}${line}\n`);
  const count = Math.floor(TRACE_BYTES_MAX / size);
  for (let number = 0; number < count; number++) await tellSlowly(traces, line);
  const tell = traces.of("ada@example.org", "imap");
  expect(tell).toBeDefined();
  tell?.(line);
  tell?.("no more of it");
  expect(traces.of("ada@example.org", "imap")).toBeUndefined();
  await traces[Symbol.asyncDispose]();
  expect(statSync(join(folder, "one.log")).size).toBe(count * size);
});

test("a trace whose request is gone is not written any more", async () => {
  const traces = await opened();
  const tell = traces.of("ada@example.org", "imap");
  await tellSlowly(traces, "one");
  rmSync(join(folder, "one.request"));
  rmSync(join(folder, "one.log"));
  tell?.("two");
  await vi.waitFor(() => expect(traces.of("ada@example.org", "imap")).toBeUndefined());
  tell?.("three");
  await traces[Symbol.asyncDispose]();
  expect(existsSync(join(folder, "one.log"))).toBe(false);
  expect(events).toEqual([]);
});

test("a trace that can't be written ends, and fails nobody", async () => {
  const traces = await opened();
  rmSync(folder, { recursive: true });
  traces.of("ada@example.org", "imap")?.("one");
  await vi.waitFor(() => expect(events).toContain("a trace can't be written"));
  expect(traces.of("ada@example.org", "imap")).toBeUndefined();
  await traces[Symbol.asyncDispose]();
});
