import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeDataFolder, removeDataFolder, restante, startServer } from "../kit/server.ts";

let data: string;
let cert: string;
beforeAll(async () => {
  data = await makeDataFolder();
  const server = await startServer(data);
  await server.stop();
  cert = join(data, "tls/localhost.pem");
});
afterAll(() => removeDataFolder(data));

interface Checked {
  readonly code: number | null;
  /** Findings that are not well: the setting, how bad it is, and why. */
  readonly found: readonly string[];
}

async function check(env: Readonly<Record<string, string>>, folder = data): Promise<Checked> {
  const { code, out, err } = await restante(folder, ["config", "check", "--json"], "", env);
  // A directory's words stand in the log.
  expect(err.split("\n").filter((line) => !line.startsWith('{"'))).toEqual([""]);
  const { findings } = JSON.parse(out) as { findings: { what: string; state: string; text: string }[] };
  const bad = findings.filter(({ state }) => state !== "well");
  return { code, found: bad.map(({ what, state, text }) => `${what}: ${state}: ${text}`) };
}

test("a place that would serve is well, before the first start too, and nothing is made there", async () => {
  expect(await check({})).toEqual({ code: 0, found: [] });
  const empty = await makeDataFolder();
  expect(await check({ RESTANTE_SERVER_DATA: join(empty, "a", "b") }, empty)).toEqual({ code: 0, found: [] });
  expect(existsSync(join(empty, "a"))).toBe(false);
  await removeDataFolder(empty);
});

test("beside the server that runs its addresses are its own, and taken for who has another folder", async () => {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const place = `127.0.0.1:${(probe.address() as AddressInfo).port}`;
  probe.close();
  await once(probe, "close");
  const env = { RESTANTE_IMAP_LISTEN: place };
  const server = await startServer(data, { env });
  expect(await check(env)).toEqual({ code: 0, found: [] });
  const other = await makeDataFolder();
  expect((await check(env, other)).code).toBe(3);
  await removeDataFolder(other);
  await server.kill();
  // A server that was killed counts no more.
  const squatter = createServer().listen(Number(place.split(":")[1]), "127.0.0.1");
  await once(squatter, "listening");
  expect((await check(env)).code).toBe(3);
  squatter.close();
  const again = await startServer(data);
  await again.stop();
  expect(readdirSync(join(data, "running"))).toEqual([]);
});

test("each thing that would keep it from serving is told by its setting", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const place = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  const key = join(data, "tls/localhost.key");
  const file = join(data, "file");
  await writeFile(file, "");
  const wrongKey = join(data, "wrong-key");
  await writeFile(wrongKey, "c2hvcnQ=\n");
  /** Settings that make `serve` end too, with the same code and by a sentence. */
  const ends: readonly [Readonly<Record<string, string>>, number, RegExp][] = [
    [{ RESTANTE_IMAP_LISTEN: place }, 3, /^imap\.listen .*: unavailable: another process/],
    [{ RESTANTE_LMTP_LISTEN: "unix:/no/such/folder/lmtp" }, 2, /^lmtp\.listen .*: wrong: there is no such folder/],
    [{ RESTANTE_SERVER_DATA: join(file, "data") }, 2, /^server\.data: wrong: .*ENOTDIR/],
    [{ RESTANTE_TLS_CERT: cert }, 2, /^tls\.cert: wrong: tls\.key is missing/],
    [{ RESTANTE_TLS_CERT: key, RESTANTE_TLS_KEY: key }, 2, /^tls\.cert: wrong: .* holds no PEM/],
    [{ RESTANTE_HTTPS_TLS: "off", RESTANTE_HTTPS_LISTEN: "0.0.0.0:0" }, 2, /^https: wrong: .*loopback/],
    [{ RESTANTE_IMAPS_LISTEN: "0.0.0.0:0" }, 2, /^login\.users_dir: wrong: the demo account exists/],
    [
      {
        RESTANTE_IMAP_LISTEN: "127.0.0.1:39143",
        RESTANTE_IMAPS_LISTEN: "0.0.0.0:39143",
        RESTANTE_SERVER_SHARE_PORTS: "true",
      },
      2,
      /^listeners: wrong: imaps\.listen 0\.0\.0\.0:39143 and imap\.listen 127\.0\.0\.1:39143 are one place/,
    ],
    [{ RESTANTE_LMTP_KEY_FILE: data }, 2, /^lmtp\.key_file: wrong: EISDIR/],
    [{ RESTANTE_LOGIN_PEPPER_FILE: wrongKey }, 2, /^login\.pepper_file: wrong: .* does not hold a key of 32 bytes/],
    [
      { RESTANTE_TLS_ACME: "mailto:a@example.org", RESTANTE_TLS_CERT: cert, RESTANTE_TLS_KEY: key },
      2,
      /^tls: wrong: tls\.acme and tls\.cert both/,
    ],
    [{ RESTANTE_TLS_ACME: "mailto:a@example.org" }, 2, /^tls: wrong: tls\.acme needs a name/],
    [
      { RESTANTE_TLS_ACME: "yes", RESTANTE_TLS_ACME_NAMES: "a.example.org" },
      2,
      /^tls: wrong: tls\.acme: yes is no contact/,
    ],
    [
      { RESTANTE_TLS_ACME: "a@example.org", RESTANTE_TLS_ACME_NAMES: "192.0.2.1" },
      2,
      /^tls: wrong: .* 192\.0\.2\.1 is none/,
    ],
    [
      {
        RESTANTE_TLS_ACME: "a@example.org",
        RESTANTE_TLS_ACME_NAMES: "a.example.org",
        RESTANTE_TLS_ACME_DIRECTORY: "http://ca",
      },
      2,
      /^tls: wrong: tls\.acme_directory: /,
    ],
    [
      {
        RESTANTE_TLS_ACME: "a@example.org",
        RESTANTE_TLS_ACME_NAMES: "a.example.org",
        RESTANTE_TLS_ACME_CA_FILE: join(data, "no"),
      },
      2,
      /^tls: wrong: tls\.acme_ca_file: there is no file/,
    ],
    [{ RESTANTE_IMAP_HIDE: "UIDONLY, SPECULATIVE" }, 2, /^imap: wrong: imap\.hide: there is no capability SPECULATIVE/],
    [{ RESTANTE_OUTBOUND_CA_FILE: join(data, "no") }, 2, /^outbound: wrong: outbound\.ca_file: ENOENT/],
  ];
  /** With what `serve` begins all the same, since it may be better later, or hinders others alone. */
  const begins: typeof ends = [
    [
      { RESTANTE_TLS_CERT: cert, RESTANTE_TLS_KEY: key, RESTANTE_SERVER_ORIGIN: "https://mail.example.org" },
      2,
      /^tls\.cert: wrong: it does not name mail\.example\.org/,
    ],
    [{ RESTANTE_LMTP_CATCH_ALL: "nobody@example.org" }, 2, /^lmtp\.catch_all: wrong: there is no account nobody/],
    [
      { RESTANTE_LMTP_ALIASES: "info@example.org=gone@example.org" },
      2,
      /^lmtp\.aliases info@example\.org: wrong: .*gone/,
    ],
    [
      {
        RESTANTE_STORAGE_KIND: "s3",
        RESTANTE_S3_BUCKET: "mail",
        RESTANTE_S3_ENDPOINT: `http://127.0.0.1:1`,
        RESTANTE_S3_ACCESS_KEY: "a",
        RESTANTE_S3_SECRET_KEY: "b",
      },
      3,
      /^storage: unavailable: /,
    ],
    [
      {
        RESTANTE_LOGIN_KIND: "ldap",
        RESTANTE_LDAP_URL: "ldap://127.0.0.1:1",
        RESTANTE_LDAP_BASE_DN: "dc=example,dc=org",
      },
      3,
      /^ldap: unavailable: /,
    ],
  ];
  const open = await check({ RESTANTE_METRICS_LISTEN: "0.0.0.0:0" });
  expect(open).toEqual({
    code: 0,
    found: [expect.stringMatching(/^metrics\.listen: warning: whoever reaches 0\.0\.0\.0:0 /)],
  });
  for (const [env, code, text] of [...ends, ...begins]) {
    const checked = await check(env);
    expect(checked.found, JSON.stringify(env)).toContainEqual(expect.stringMatching(text));
    expect(checked.code, JSON.stringify(checked)).toBe(code);
  }
  for (const [env, code, text] of ends) {
    const { code: ended, out, err } = await restante(data, ["serve"], "", env);
    expect([ended, out], err).toEqual([code, ""]);
    expect(err).toMatch(/^restante: [^\n]*\n$/);
    // By the setting, where the check has one.
    const setting = /\^(\w+\\\.\w+)/.exec(text.source)?.[1];
    if (setting !== undefined && setting !== "login\\.users_dir") expect(err).toMatch(new RegExp(setting));
  }
  other.close();
});
