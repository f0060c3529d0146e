import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";
import { assert, freePort, type Interop } from "./harness.ts";

const MODULE = "github.com/letsencrypt/pebble/v2";
const VERSION = "v2.8.0";
const HOST = "mail.example.org";

/** Pebble and its name server, built where they are not kept yet. */
function built(): { readonly bin: string; readonly certs: string } {
  const cache = process.env.RESTANTE_TEST_CACHE ?? join(homedir(), ".cache/restante");
  const bin = join(cache, `pebble-${VERSION}`);
  const env = { ...process.env, GOBIN: bin };
  for (const name of ["pebble", "pebble-challtestsrv"])
    if (!existsSync(join(bin, name)))
      execFileSync("go", ["install", `${MODULE}/cmd/${name}@${VERSION}`], { env, stdio: "inherit" });
  const modules = execFileSync("go", ["env", "GOMODCACHE"], { encoding: "utf8" }).trim();
  const certs = join(bin, "certs");
  if (!existsSync(certs)) {
    mkdirSync(certs);
    const from = join(modules, `${MODULE}@${VERSION}`, "test/certs");
    for (const name of ["pebble.minica.pem", "localhost/cert.pem", "localhost/key.pem"])
      writeFileSync(join(certs, name.replace("/", "-")), readFileSync(join(from, name)), { mode: 0o600 });
  }
  return { bin, certs };
}

/** Whose certificate is shown, and by whom it was signed. */
async function shown(
  port: number,
): Promise<{ readonly names: string; readonly issuer: string; readonly serial: string }> {
  const socket = connect({ port, host: "127.0.0.1", servername: HOST, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { subjectaltname = "", issuer, serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return { names: subjectaltname, issuer: String(issuer.CN), serial: serialNumber };
}

async function logged(server: RunningServer, text: string, count = 1): Promise<void> {
  while (server.logs().split(text).length <= count) await once(server.process.stderr!, "data");
}

/** Certificates by ACME, from Let's Encrypt's own test authority, on loopback. */
export const pebble: Interop = async (steps) => {
  const { bin, certs } = built();
  const place = mkdtempSync(join(tmpdir(), "restante-pebble-"));
  const [directory, management, http, dns] = [await freePort(), await freePort(), await freePort(), await freePort()];
  writeFileSync(
    join(place, "pebble.json"),
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${directory}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate: join(certs, "localhost-cert.pem"),
        privateKey: join(certs, "localhost-key.pem"),
        httpPort: http,
        tlsPort: http,
        ocspResponderURL: "",
        // As long as what is due at once, and then no more: a third of its life is never left.
        profiles: { default: { description: "short", validityPeriod: 7_776_000 } },
      },
    }),
  );
  const names = spawn(
    join(bin, "pebble-challtestsrv"),
    [
      "-defaultIPv6",
      "",
      "-dns01",
      `127.0.0.1:${dns}`,
      "-management",
      `127.0.0.1:${await freePort()}`,
      "-http01",
      "",
      "-https01",
      "",
      "-tlsalpn01",
      "",
      "-doh",
      "",
    ],
    { stdio: "ignore" },
  );
  // Half of all nonces are refused, as some always are.
  const authority = spawn(
    join(bin, "pebble"),
    ["-config", join(place, "pebble.json"), "-dnsserver", `127.0.0.1:${dns}`],
    {
      env: { ...process.env, PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "50" },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  await once(authority.stdout, "data");
  authority.stdout.resume();
  const data = await makeDataFolder();
  const env = {
    RESTANTE_TLS_ACME: "mailto:postmaster@example.org",
    RESTANTE_TLS_ACME_NAMES: HOST,
    RESTANTE_TLS_ACME_DIRECTORY: `https://127.0.0.1:${directory}/dir`,
    RESTANTE_TLS_ACME_CA_FILE: join(certs, "pebble.minica.pem"),
    RESTANTE_TLS_ACME_HTTP: `127.0.0.1:${http}`,
  };
  const inForce = '"event":"a new certificate is in force"';
  try {
    await steps.step("a server has its certificate by itself, on all its TLS ports, without a restart", async () => {
      const checked = await restante(data, ["config", "check"], "", env);
      assert(checked.code === 0, `${checked.out}${checked.err}`);
      const server = await startServer(data, { env });
      await logged(server, inForce);
      for (const port of [server.ports.imaps!, server.ports.https!]) {
        const { names: told, issuer } = await shown(port);
        assert(told === `DNS:${HOST}` && issuer.startsWith("Pebble"), `${told} by ${issuer}`);
      }
      assert((await server.stop()) === 0, "it did not end well");
    });
    await steps.step("after a restart it is the same, and the authority is not asked", async () => {
      const server = await startServer(data, {
        env: { ...env, RESTANTE_TLS_ACME_DIRECTORY: "https://127.0.0.1:1/dir" },
      });
      assert((await shown(server.ports.imaps!)).issuer.startsWith("Pebble"), "the certificate is another");
      assert(!server.logs().includes("can't be had"), server.logs());
      assert((await server.stop()) === 0, "it did not end well");
    });
    await steps.step("when two thirds of its life are over it is renewed, and shown at once", async () => {
      const server = await startServer(data, { env, clockShiftMs: 61 * 86_400_000 });
      const before = await shown(server.ports.imaps!);
      await logged(server, inForce);
      const after = await shown(server.ports.imaps!);
      assert(before.serial !== after.serial && after.issuer.startsWith("Pebble"), "it was not renewed");
      assert((await server.stop()) === 0, "it did not end well");
    });
    await steps.step("an authority that is away is told, and the old certificate stays", async () => {
      const server = await startServer(data, {
        env: {
          ...env,
          RESTANTE_TLS_ACME_NAMES: `${HOST},other.example.org`,
          RESTANTE_TLS_ACME_DIRECTORY: "https://127.0.0.1:1/dir",
        },
      });
      await logged(server, "a certificate can't be had");
      assert((await shown(server.ports.imaps!)).names === `DNS:${HOST}`, "the certificate is another");
      assert((await server.stop()) === 0, "it did not end well");
    });
  } finally {
    for (const child of [authority, names]) child.kill();
    await removeDataFolder(data);
    rmSync(place, { recursive: true });
  }
};
