import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, readConfig } from "@restante/host";
import { expect, test } from "vitest";
import { configFile } from "./config-file.ts";
import { addressIn, hostName, type Plan, senderOf, storeOf } from "./plan.ts";
import { dnsRecords, postfixLines } from "./records.ts";
import { serveUnit } from "./units.ts";

const PLAN: Plan = {
  domain: "example.org",
  host: "mx.example.org",
  sender: "mx.example.org",
  data: "/var/lib/restante",
  store: { kind: "embedded" },
};

/** The text, read as a configuration file is. */
function configured(text: string): Config {
  const folder = mkdtempSync(join(tmpdir(), "restante-setup-"));
  writeFileSync(join(folder, "restante.toml"), text);
  try {
    return readConfig(join(folder, "restante.toml"), {});
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test.each([
  ["embedded", PLAN],
  ["a bucket", { ...PLAN, store: storeOf("s3:https://s3.example.net/mail") } as Plan],
  ["another sender", { ...PLAN, sender: "out.example.org" }],
  ["a folder with a quote in its name", { ...PLAN, data: '/srv/a "b"\\c' }],
])("the file of a plan is a configuration that says the same: %s", (_, plan) => {
  const config = configured(configFile(plan));
  expect(config.server).toMatchObject({ data: plan.data, origin: "https://mx.example.org", domains: ["example.org"] });
  // Settings in comments are well formed too.
  const offered = configFile(plan)
    .split("\n")
    .map((line) => line.replace(/^# (?=[a-z_]+ = ["[])/, ""));
  const { tls, metrics } = configured(offered.join("\n"));
  expect([tls.acme, metrics.listen]).toEqual(["mailto:postmaster@example.org", ["127.0.0.1:9090"]]);
  expect(config.storage.kind).toBe(plan.store.kind);
  if (plan.store.kind === "s3") expect(config.s3).toMatchObject({ endpoint: "https://s3.example.net", bucket: "mail" });
  // A provider's user is not known: until somebody writes it, nothing goes out.
  expect(senderOf(config, plan.host)).toBe(plan.sender === plan.host ? plan.host : undefined);
});

test("records tell the ports that are listened on, and what is off", () => {
  const config = configured(`[server]
origin = "https://mx.example.org:8443"
[imap]
listen = ["[::]:1143"]
[imaps]
listen = []
[submissions]
listen = ["127.0.0.1:1465", "[::]:2465"]
[submission]
listen = ["127.0.0.1:1587"]
`);
  const records = dnsRecords({ ...PLAN, sender: undefined }, config);
  for (const line of [
    "_imap._tcp.example.org. SRV 0 1 1143 mx.example.org.",
    "_imaps._tcp.example.org. SRV 0 0 0 .",
    "_submissions._tcp.example.org. SRV 0 1 2465 mx.example.org.",
    // On this machine alone: something in front has the usual one.
    "_submission._tcp.example.org. SRV 0 1 587 mx.example.org.",
    "_jmap._tcp.example.org. SRV 0 1 8443 mx.example.org.",
    '; example.org. TXT "v=spf1 a:THE-HOST-THAT-SENDS -all"',
  ])
    expect(records).toContain(line);
});

test("Postfix hands mail over where LMTP listens, and no more than it takes", () => {
  const config = configured('[lmtp]\nlisten = ["unix:/run/restante/lmtp"]\nsize_max = 1000\n');
  expect(postfixLines("example.org", config)).toEqual(
    expect.arrayContaining(["virtual_transport = lmtp:unix:/run/restante/lmtp", "message_size_limit = 1000"]),
  );
});

test("the sender is who the smarthost is", () => {
  for (const [smarthost, sender] of [
    ["smtp://127.0.0.1:25", "mx.example.org"],
    ["smtp+unix:///run/mta", "mx.example.org"],
    ["smtps://ada@Out.example.net:465", "out.example.net"],
  ] as const)
    expect(senderOf(configured(`[outbound]\nsmarthost = "${smarthost}"\n`), "mx.example.org")).toBe(sender);
});

test("a unit opens what its places need, and nothing else", () => {
  const usual = serveUnit({ restante: "/usr/bin/restante", config: "/etc/restante/restante.toml" });
  expect(usual).not.toMatch(/ReadWritePaths|ProtectHome=no/);
  const data = "/srv/mail";
  expect(serveUnit({ restante: "/usr/bin/restante", config: "/etc/restante.toml", data })).toMatch(
    /^ReadWritePaths=\/srv\/mail$/m,
  );
  // systemd takes the last one.
  for (const places of [
    { restante: "/root/.nvm/node /opt/restante.js", config: "/etc/restante.toml" },
    { restante: "/usr/bin/restante", config: "/home/ada/restante.toml" },
    { restante: "/usr/bin/restante", config: "/etc/restante.toml", data: "/home/ada/mail" },
  ])
    expect(serveUnit(places)).toMatch(/ProtectHome=yes[\s\S]*^ProtectHome=no$/m);
});

test("what is no name, address or store is refused", () => {
  for (const text of ["example", "a b.example.org", "-a.example.org", "example.org\nx", `${"a".repeat(64)}.org`])
    expect(() => hostName("domain", text)).toThrow(/no host name/);
  for (const text of ["a@b@example.org", "ada@example.net", "", "a b", "@example.org"])
    expect(() => addressIn("example.org", text)).toThrow(/no address/);
  for (const text of ["s3", "memory", "s3:ftp://a/mail", "s3:https://a/M", "s3:https://a"])
    expect(() => storeOf(text)).toThrow(/neither/);
  expect(addressIn("example.org", "Ada")).toBe("ada@example.org");
  expect(hostName("domain", "Example.ORG.")).toBe("example.org");
});
