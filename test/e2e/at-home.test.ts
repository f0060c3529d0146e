import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

/**
 * The second deployment of docs/operating.md: the provider runs LMTP and keeps the store, and what opens the mail is on
 * the owner's own device. Two processes, each with a data folder and a configuration file of its own; the store is all
 * that they share.
 */
const ADA = "ada@example.org";
const PASSWORD = "sesame-of-many-words";

let shared: string;
let provider: string;
let device: string;
let recoveryCode: string;
let lmtp: RunningServer;
let imap: RunningServer;

/** A data folder with the configuration of this side in it; the kit sees to free ports. */
async function makeSide(name: string): Promise<string> {
  const folder = join(shared, name);
  await mkdir(folder);
  const text = `[server]\ndata = "${folder}"\n[storage]\nkind = "embedded"\npath = "${join(shared, "store")}"\n`;
  await writeFile(join(folder, "restante.toml"), text);
  return folder;
}

const config = (folder: string): string[] => ["--config", join(folder, "restante.toml")];
const startProvider = (): Promise<RunningServer> =>
  startServer(provider, { args: ["--only", "lmtp", ...config(provider)] });
const startDevice = (): Promise<RunningServer> => startServer(device, { args: ["--only", "imap", ...config(device)] });

async function post(subject: string, to = ADA): Promise<string> {
  const client = await connectLmtp(lmtp.ports.lmtp!);
  const [reply] = await deliver(client, [to], `Subject: ${subject}\r\n\r\nwords of ${subject}\r\n`);
  client.end();
  return reply!;
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  return files.map((entry) => relative(folder, join(entry.parentPath, entry.name))).sort();
}

beforeAll(async () => {
  shared = await makeDataFolder();
  provider = await makeSide("provider");
  device = await makeSide("device");
  // On the device: the account, whose public facts alone go to the provider.
  const made = await restante(
    device,
    ["account", "add", ADA, "--password-stdin", "--json", ...config(device)],
    `${PASSWORD}\n`,
  );
  expect(made).toMatchObject({ code: 0, err: "" });
  recoveryCode = (JSON.parse(made.out) as { readonly recoveryCode: string }).recoveryCode;
  await cp(join(device, "users"), join(provider, "users"), { recursive: true });
  // From the provider: the key by which the device knows its deliveries.
  lmtp = await startProvider();
  await vi.waitFor(() => expect(lmtp.logs()).toMatch(/"publicKey":"[^"]+"/), { timeout: 10_000 });
  const line = lmtp
    .logs()
    .split("\n")
    .find((text) => text.includes("deliveries are signed"))!;
  const { publicKey } = JSON.parse(line) as { readonly publicKey: string };
  const file = join(device, "restante.toml");
  await writeFile(file, `${await readFile(file, "utf8")}[login]\ntrusted_hosts = ["${publicKey}"]\n`);
  imap = await startDevice();
});

afterAll(async () => {
  expect(await imap.stop()).toBe(0);
  expect(await lmtp.stop()).toBe(0);
  await removeDataFolder(shared);
});

test("each process has its own listeners and no other", () => {
  expect(Object.keys(lmtp.ports)).toEqual(["lmtp"]);
  expect(Object.keys(imap.ports)).toEqual(["imap", "imaps"]);
});

test("mail that the provider took is read on the device, also what came while the device was off", async () => {
  expect(await post("first")).toMatch(/^250/);
  expect(await post("nobody's", "bob@example.org")).toMatch(/^550 5\.1\.1/);
  const client = await connectImap(imap.ports.imap!, ADA, PASSWORD);
  expect(await client.command("SELECT INBOX")).toMatch(/^\* 1 EXISTS/m);
  expect(await client.command("FETCH 1 BODY.PEEK[TEXT]")).toContain("words of first");
  client.end();
  expect(await imap.stop()).toBe(0);
  expect(await post("second")).toMatch(/^250/);
  imap = await startDevice();
  const again = await connectImap(imap.ports.imap!, ADA, PASSWORD);
  expect(await again.command("SELECT INBOX")).toMatch(/^\* 2 EXISTS/m);
  expect(await again.command("FETCH 2 BODY.PEEK[TEXT]")).toContain("words of second");
  // The device trusts the provider's signature: nothing is set aside.
  expect(await again.command('LIST "" "*"')).not.toContain("Unverified");
  again.end();
});

test("the provider has public facts and its own signing key, and was given no secret", async () => {
  expect(await filesOf(provider)).toEqual([
    "keys/lmtp",
    "keys/seen/ada%40example.org.json",
    "restante.toml",
    // Which addresses it listens on.
    `running/${lmtp.process.pid}.json`,
    `users/${encodeURIComponent(ADA)}.json`,
  ]);
  expect(await filesOf(join(device, "keys"))).toContain("pepper");
  const pepper = await readFile(join(device, "keys", "pepper"));
  const files = (await filesOf(provider)).map((name) => join(provider, name));
  const given = [...files, `/proc/${lmtp.process.pid}/cmdline`, `/proc/${lmtp.process.pid}/environ`];
  const secrets = [
    PASSWORD,
    recoveryCode,
    pepper,
    pepper.toString("base64"),
    pepper.toString("hex"),
    pepper.toString().trim(),
  ];
  for (const file of given) {
    const bytes = await readFile(file);
    for (const secret of secrets) expect(bytes.includes(secret), file).toBe(false);
  }
});

test("with all that the provider has, the store among it, even the right password opens nothing", async () => {
  const open = (folder: string): ReturnType<typeof restante> =>
    restante(folder, ["check", ADA, "--password-stdin", ...config(folder)], `${PASSWORD}\n`);
  expect(await open(device)).toMatchObject({ code: 0, out: expect.stringMatching(/^2 messages/) });
  const copy = await makeSide("copy");
  for (const name of ["keys", "users"]) await cp(join(provider, name), join(copy, name), { recursive: true });
  expect(await open(copy)).toMatchObject({
    code: 1,
    out: "",
    err: expect.stringContaining("wrong user name or password"),
  });
});
