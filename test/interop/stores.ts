import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connectLmtp, deliver } from "../kit/line-client.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";
import { startGarage } from "../stores/garage.ts";
import { type StoreKey, type StoreServer, storeEnvironment } from "../stores/store-server.ts";
import { startVersitygw } from "../stores/versitygw.ts";
import { mailByCurl } from "./curl.ts";
import { assert, bodyOf, command, type Interop, need, type Steps, sha256, until } from "./harness.ts";

const ENGINE = join(import.meta.dirname, "../../packages/engine");
const TESTS = join(import.meta.dirname, "..");

/** versitygw has atomic create-if-absent: it holds everything. */
export const versitygw: Interop = async (steps) => {
  await using store = await startVersitygw();
  await contract(steps, "versitygw", store, true);
  await sabotage(steps, "versitygw", store, true);
  await mailByCurl(steps, storeEnvironment(store));
};

/** Garage has none: bodies, notes, packs and pages there, the log in the embedded store. */
export const garage: Interop = async (steps) => {
  for (const over of ["unix", "tcp"] as const) {
    await using store = await startGarage(over);
    const name = `Garage over ${over}`;
    await contract(steps, name, store, false);
    if (over === "tcp") await sabotage(steps, name, store, false);
    await steps.step(`${name} alone would need merge mode: nothing is written, and why is said`, () => refuses(store));
    await mailByCurl(steps, { ...storeEnvironment(store), RESTANTE_STORAGE_LOG_KIND: "embedded" }, `, ${name}`);
    const writer = await store.makeWriteOnlyKey();
    await deliversBlind(steps, store, writer);
  }
};

/** The engine's contract suite over the real store; each of its tests is a step. */
async function contract(steps: Steps, name: string, store: StoreServer, creates: boolean): Promise<void> {
  tellTests(name, store, creates);
  const { code, out, err } = await vitest(ENGINE, "vitest.s3.config.ts", 300_000);
  const report = JSON.parse(readFileSync(join(ENGINE, ".reports/vitest-s3.json"), "utf8")) as {
    readonly testResults: readonly {
      readonly assertionResults: readonly {
        readonly title: string;
        readonly status: string;
        readonly failureMessages: readonly string[];
      }[];
    }[];
  };
  const results = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  await steps.step(`${name}: the contract suite runs`, () =>
    assert(code === 0 && results.length > 20, (out + err).slice(-1000)),
  );
  for (const { title, status, failureMessages } of results)
    await steps.step(`${name}: ${title}`, () => assert(status === "passed", failureMessages.join("\n")));
}

/** Whatever is done to each kind of object in the real store is seen as in the doubles. */
async function sabotage(steps: Steps, name: string, store: StoreServer, creates: boolean): Promise<void> {
  tellTests(name, store, creates);
  await steps.step(`${name}: what its operator does is seen`, async () => {
    const { code, out, err } = await vitest(TESTS, "vitest.faults.config.ts", 900_000, "faults/saboteur.test.ts");
    assert(code === 0 && /Tests .*2 passed/.test(out), (out + err).slice(-2000));
  });
}

/** Names the store to the tests that run over a real one. */
function tellTests(name: string, { key, endpoint, region, bucket }: StoreServer, creates: boolean): void {
  const settings = { endpoint, region, bucket, prefix: "", pathStyle: true, ...key };
  process.env.RESTANTE_TEST_S3 = JSON.stringify({ name, settings, creates });
}

function vitest(root: string, config: string, timeoutMs: number, ...names: readonly string[]) {
  const program = join(ENGINE, "../../node_modules/vitest/vitest.mjs");
  const args = [program, "run", "--root", root, "--config", join(root, config), ...names];
  return command(process.execPath, args, "", timeoutMs);
}

async function refuses(store: StoreServer): Promise<void> {
  const data = await makeDataFolder();
  try {
    const { code, err } = await restante(data, ["serve"], "", storeEnvironment(store));
    assert(code === 2 && err.includes("merge mode") && err.includes("storage.log_kind"), `${code}: ${err}`);
    const add = await restante(data, ["account", "add", "ada@example.org", "--password-stdin"], PASSWORD, {
      ...storeEnvironment(store),
    });
    assert(add.code === 2 && add.err.includes("merge mode"), `${add.code}: ${add.err}`);
    const { status, body } = await signed(store, store.key, "/?list-type=2");
    // The contract suite's objects lie under shorter prefixes than accounts'.
    const ofAccounts = keysIn(body).filter((name) => /^[0-9a-f]{32}\//.test(name));
    assert(status === 200 && ofAccounts.length === 0, `${status} ${ofAccounts.join(" ")}`);
  } finally {
    await removeDataFolder(data);
  }
}

const ADDRESS = "ada@example.org";
const PASSWORD = "correct horse battery\n";

/** LMTP as a process of its own, with a key that can only write. */
async function deliversBlind(steps: Steps, store: StoreServer, writer: StoreKey): Promise<void> {
  const [home, gate] = [await makeDataFolder(), await makeDataFolder()];
  const owner = { ...storeEnvironment(store), RESTANTE_STORAGE_LOG_KIND: "embedded" };
  const running: RunningServer[] = [];
  try {
    const added = await restante(home, ["account", "add", ADDRESS, "--password-stdin"], PASSWORD, owner);
    assert(added.code === 0, added.err);
    const users = join(home, "users");
    const lmtp = await startServer(gate, {
      args: ["--only", "lmtp"],
      env: { ...storeEnvironment(store, writer), RESTANTE_LOGIN_USERS_DIR: users },
    });
    running.push(lmtp);
    await until("the delivering host's public key", async () => lmtp.logs().includes("publicKey"));
    const trusted = /"publicKey":"([^"]+)"/.exec(lmtp.logs())![1]!;
    const imap = await startServer(home, {
      args: ["--only", "imap"],
      env: { ...owner, RESTANTE_LOGIN_TRUSTED_HOSTS: trusted },
    });
    running.push(imap);
    const mails = [100, 200_000, 12_000_000].map(
      (size) => `Subject: ${size} bytes\r\n\r\n${"0123456789abcdef\r\n".repeat(Math.ceil(size / 18))}`,
    );
    await steps.step("LMTP delivers with a key that can only write, by one PUT and in parts", async () => {
      const client = await connectLmtp(lmtp.ports.lmtp!);
      for (const mail of mails) {
        const [reply] = await deliver(client, [ADDRESS], mail);
        assert(reply?.startsWith("250"), `${reply} ${lmtp.logs()}`);
      }
      client.end();
      const login = ["-s", "-S", "--max-time", "60", "--user", `${ADDRESS}:${PASSWORD.trim()}`];
      for (const [at, mail] of mails.entries()) {
        const url = `imap://127.0.0.1:${imap.ports.imap}/INBOX;UID=${at + 1}`;
        const { out, err } = await command("curl", [...login, url]);
        assert(sha256(bodyOf(out)) === sha256(bodyOf(mail)), `mail ${at + 1} differs: ${err}`);
      }
    });
    await steps.step("that key can neither read nor list", async () => {
      const list = await signed(store, store.key, "/?list-type=2");
      const key = keysIn(list.body).find((name) => name.includes("/note/") || name.includes("/body/"));
      assert(list.status === 200 && key !== undefined, `the owner's key lists ${list.status}`);
      assert((await signed(store, store.key, `/${key}`)).status === 200, "the owner's key can't read");
      assert((await signed(store, writer, `/${key}`)).status === 403, "the writer's key can read");
      assert((await signed(store, writer, `/${key}`, ["-I"])).status === 403, "the writer's key can look");
      assert((await signed(store, writer, "/?list-type=2")).status === 403, "the writer's key can list");
      assert((await signed(store, writer, "/blind", ["-T", "/etc/hostname"])).status === 200, "it can't write");
    });
  } finally {
    for (const server of running) await server.stop();
    await Promise.all([home, gate].map(removeDataFolder));
  }
}

/** A request to the bucket by curl, which signs by itself. */
export async function signed(
  { endpoint, region, bucket }: Pick<StoreServer, "endpoint" | "region" | "bucket">,
  { accessKey, secretKey }: StoreKey,
  path: string,
  more: readonly string[] = [],
): Promise<{ readonly status: number; readonly body: string }> {
  need({ curl: "/usr/bin/curl" });
  const socket = endpoint.startsWith("http+unix://") ? ["--unix-socket", endpoint.slice("http+unix://".length)] : [];
  const url = `${socket.length > 0 ? "http://localhost" : endpoint}/${bucket}${path}`;
  const sign = ["--aws-sigv4", `aws:amz:${region}:s3`, "--user", `${accessKey}:${secretKey}`];
  sign.push("-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD");
  const { out, err } = await command("curl", ["-s", "-S", "-w", "\n%{http_code}", ...socket, ...sign, ...more, url]);
  const at = out.lastIndexOf("\n");
  if (at < 0) throw new Error(err);
  return { status: Number(out.slice(at)), body: out.slice(0, at) };
}

export function keysIn(list: string): string[] {
  return [...list.matchAll(/<Key>([^<]+)<\/Key>/g)].map((match) => match[1]!);
}
