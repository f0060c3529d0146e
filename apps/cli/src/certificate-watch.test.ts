import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LogLine, readConfig, Tls } from "@restante/host";
import { expect, onTestFinished, test } from "vitest";
import { watchCertificate } from "./certificate-watch.ts";

const DAY_MS = 86_400_000;

/** A watch over a certificate for localhost, and what it logged; `pass` lets days go by. */
async function watched(settings: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), "restante-watch-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const tls = new Tls({ cert: "", key: "", folder, minVersion: "TLSv1.2", oldSuites: false });
  await tls.reload();
  const lines: LogLine[] = [];
  const works: { readonly ms: number; readonly work: () => void }[] = [];
  let now = Date.now();
  const platform = {
    now: () => now,
    every(ms: number, work: () => void) {
      works.push({ ms, work });
      return () => undefined;
    },
  };
  const config = readConfig("/dev/null", settings);
  watchCertificate(tls, { config, platform, log: (line) => lines.push(line) });
  const pass = (days: number): void => {
    for (let day = 0; day < days; day++) {
      now += DAY_MS;
      for (const { ms, work } of works) for (let of = 0; of < DAY_MS / ms; of++) work();
    }
  };
  return { tls, lines, pass };
}

test("a certificate that ends within fourteen days is told each day", async () => {
  const { lines, pass } = await watched({});
  pass(730 - 15);
  expect(lines).toEqual([]);
  pass(3);
  expect(lines.map(({ level, event, problem }) => `${level} ${event}: ${problem}`)).toEqual(
    [14, 13, 12].map((days) =>
      expect.stringContaining(`warn the certificate is in trouble: it ends within ${days} days`),
    ),
  );
  pass(14);
  expect(String(lines.at(-1)!.problem)).toMatch(/^it ended on /);
  expect(lines).toHaveLength(17);
});

test("one that does not name the server is told at once, where it was not made by itself", async () => {
  const origin = { RESTANTE_SERVER_ORIGIN: "https://mail.example.org" };
  expect((await watched(origin)).lines).toEqual([]);
  const { lines } = await watched({ ...origin, RESTANTE_TLS_CERT: "/some/cert.pem" });
  expect(lines.map(({ problem }) => problem)).toEqual(["it does not name mail.example.org"]);
});
