import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { certificateProblems, endOf, readCertificate } from "./certificate.ts";
import { temporaryFolder } from "./test-kit.ts";
import { Tls } from "./tls.ts";

const DAY_MS = 86_400_000;

/** A certificate for localhost of two years, made now, and its key. */
async function made(): Promise<{ readonly cert: string; readonly key: string }> {
  const folder = temporaryFolder();
  await new Tls({ cert: "", key: "", folder, minVersion: "TLSv1.2", oldSuites: false }).reload();
  return { cert: join(folder, "localhost.pem"), key: join(folder, "localhost.key") };
}

test("a certificate's end, its beginning and its names are judged by the time and the names that count", async () => {
  const { cert, key } = await made();
  const { facts } = await readCertificate(cert, key);
  const end = endOf(facts);
  const problems = (nowMs: number, ...names: string[]): readonly string[] =>
    certificateProblems(facts, { nowMs, names });
  expect(problems(Date.now(), "localhost", "127.0.0.1")).toEqual([]);
  expect(problems(end - 14 * DAY_MS)).toEqual([]);
  expect(problems(end - 14 * DAY_MS + 1)).toEqual([expect.stringContaining("within 14 days")]);
  expect(problems(end - 1)).toEqual([expect.stringContaining("within 1 days")]);
  expect(problems(end)).toEqual([expect.stringContaining("it ended")]);
  expect(problems(end - 800 * DAY_MS)).toEqual([expect.stringContaining("begins only")]);
  expect(problems(Date.now(), "mail.example.org", "127.0.0.2")).toEqual([
    "it does not name mail.example.org",
    "it does not name 127.0.0.2",
  ]);
});

test("files that can't be read, hold something else, or don't belong together are told by their setting", async () => {
  const [one, other] = await Promise.all([made(), made()]);
  const nonsense = join(temporaryFolder(), "nonsense");
  writeFileSync(nonsense, "nonsense");
  for (const [cert, key, text] of [
    ["/missing", one.key, /^tls\.cert: \/missing can't be read/],
    [one.cert, "/missing", /^tls\.key: \/missing can't be read/],
    [one.cert, "", /^tls\.key is missing/],
    [nonsense, one.key, /^tls\.cert: .* holds no PEM/],
    [one.cert, nonsense, /^tls\.key: .* holds no PEM/],
    [one.cert, other.key, /^tls\.key: .* is not the key of/],
  ] as const)
    await expect(readCertificate(cert, key)).rejects.toMatchObject({
      name: "ConfigError",
      message: expect.stringMatching(text),
    });
  const both = join(temporaryFolder(), "both.pem");
  writeFileSync(both, readFileSync(one.key, "utf8") + readFileSync(one.cert, "utf8"));
  expect((await readCertificate(both, both)).facts.subject).toBe("CN=localhost");
});
