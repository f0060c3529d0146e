import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { endOf, readCertificate } from "../certificate.ts";
import { temporaryFolder } from "../test-kit.ts";
import { Tls } from "../tls.ts";
import { checkIssued, isDue } from "./acme.ts";
import { Challenges } from "./challenges.ts";

test("a certificate is renewed when a third of its life is left, or when it lacks a name", async () => {
  const folder = temporaryFolder();
  await new Tls({ cert: "", key: "", folder, minVersion: "TLSv1.2", oldSuites: false }).reload();
  const { facts } = await readCertificate(join(folder, "localhost.pem"), join(folder, "localhost.key"));
  const [begins, ends] = [Date.parse(facts.validFrom), endOf(facts)];
  const third = ends - (ends - begins) / 3;
  expect(isDue(facts, ["localhost"], begins)).toBe(false);
  expect(isDue(facts, ["localhost"], third - 1000)).toBe(false);
  expect(isDue(facts, ["localhost"], third + 1000)).toBe(true);
  expect(isDue(facts, ["localhost"], ends + 1000)).toBe(true);
  expect(isDue(facts, ["localhost", "mail.example.org"], begins)).toBe(true);
});

test("a certificate for another key, for other names, or that is over, is not written", async () => {
  const [one, other] = [temporaryFolder(), temporaryFolder()];
  for (const folder of [one, other])
    await new Tls({ cert: "", key: "", folder, minVersion: "TLSv1.2", oldSuites: false }).reload();
  const read = (folder: string, name: string): string => readFileSync(join(folder, name), "utf8");
  const chain = read(one, "localhost.pem");
  const own = `${read(one, "localhost.key")}\n${chain}`;
  const nowMs = Date.now();
  expect(() => checkIssued(own, ["localhost"], nowMs)).not.toThrow();
  // Short-lived ones too: ten days is what some authorities give.
  expect(() => checkIssued(own, ["localhost"], endOf(new X509Certificate(chain)) - 10 * 86_400_000)).not.toThrow();
  for (const [pem, names, at, text] of [
    [`${read(other, "localhost.key")}\n${chain}`, ["localhost"], nowMs, /another key/],
    [own, ["mail.example.org"], nowMs, /does not name/],
    [own, ["localhost"], nowMs + 1000 * 86_400_000, /it ended/],
    [own, ["localhost"], nowMs - 10 * 86_400_000, /it begins only/],
    ["nothing", ["localhost"], nowMs, /./],
  ] as const)
    expect(() => checkIssued(pem, names, at)).toThrow(text);
});

test("a challenge is answered while it lasts, and nothing else is", async () => {
  const challenges = new Challenges();
  const server = challenges.makeServer().listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const ask = async (path: string): Promise<readonly [number, string]> => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
    const response = await fetch(url, { headers: { connection: "close" } });
    return [response.status, await response.text()];
  };
  challenges.add("token", "token.print");
  expect(await ask("/.well-known/acme-challenge/token")).toEqual([200, "token.print"]);
  expect(await ask("/.well-known/acme-challenge/other")).toEqual([404, ""]);
  expect(await ask("/token")).toEqual([404, ""]);
  challenges.remove("token");
  expect(await ask("/.well-known/acme-challenge/token")).toEqual([404, ""]);
});
