import { once } from "node:events";
import { existsSync } from "node:fs";
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
  /** What is not well: the setting, how bad it is, and why. */
  readonly found: readonly string[];
}

async function check(env: Readonly<Record<string, string>>, folder = data): Promise<Checked> {
  const { code, out, err } = await restante(folder, ["config", "check", "--json"], "", env);
  expect(err).toBe("");
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

test("each thing that would keep it from serving is told by its setting", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const place = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  const key = join(data, "tls/localhost.key");
  const file = join(data, "file");
  await writeFile(file, "");
  const cases: readonly [Readonly<Record<string, string>>, number, RegExp][] = [
    [{ RESTANTE_IMAP_LISTEN: place }, 3, /^imap\.listen .*: unavailable: another process/],
    [{ RESTANTE_LMTP_LISTEN: "192.0.2.1:24" }, 2, /^lmtp\.listen .*: wrong: .*no such address/],
    [{ RESTANTE_SERVER_DATA: join(file, "data") }, 2, /^server\.data: wrong: .*ENOTDIR/],
    [{ RESTANTE_TLS_CERT: cert }, 2, /^tls\.cert: wrong: tls\.key is missing/],
    [{ RESTANTE_TLS_CERT: key, RESTANTE_TLS_KEY: key }, 2, /^tls\.cert: wrong: .* holds no PEM/],
    [
      { RESTANTE_TLS_CERT: cert, RESTANTE_TLS_KEY: key, RESTANTE_SERVER_ORIGIN: "https://mail.example.org" },
      2,
      /^tls\.cert: wrong: it does not name mail\.example\.org/,
    ],
    [{ RESTANTE_HTTPS_TLS: "off", RESTANTE_HTTPS_LISTEN: "0.0.0.0:0" }, 2, /^https: wrong: .*loopback/],
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
  ];
  for (const [env, code, text] of cases) {
    const checked = await check(env);
    expect(checked.found, JSON.stringify(env)).toContainEqual(expect.stringMatching(text));
    expect(checked.code, JSON.stringify(checked)).toBe(code);
  }
  other.close();
});

test("a capability that nobody knows can't be hidden", async () => {
  const { code, found } = await check({ RESTANTE_IMAP_HIDE: "UIDONLY, SPECULATIVE" });
  expect(code).not.toBe(0);
  expect(found).toEqual(["imap: wrong: imap.hide: there is no capability SPECULATIVE that can be hidden"]);
});
