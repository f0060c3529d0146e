import { copyFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

const PASSWORD = "a-long-enough-password";
const UNICODE = "ada@b\u00fccher.example";
const ASCII = "ada@xn--bcher-kva.example";
const OTHER = "bob@xn--bcher-kva.example";
let data: string;
let server: RunningServer;

beforeAll(async () => {
  data = await makeDataFolder();
  for (const address of [UNICODE, OTHER])
    await restante(data, ["account", "add", address, "--password-stdin"], `${PASSWORD}\n`);
  const lmtp = `catch_all = "bob@b\u00fccher.example"\npostmaster = "${ASCII}"`;
  await writeFile(
    join(data, "restante.toml"),
    `[lmtp]\n${lmtp}\n[lmtp.aliases]\n"sales@b\u00fccher.example" = "${ASCII}"\n`,
  );
  server = await startServer(data);
});
afterAll(async () => {
  await server.stop();
  await removeDataFolder(data);
});

async function count(address: string): Promise<number> {
  // The client sends a character an octet.
  const octets = Buffer.from(address).toString("latin1");
  const client = await connectImap(server.ports.imap!, `"${octets}"`, PASSWORD);
  const answer = await client.command("STATUS INBOX (MESSAGES)");
  client.end();
  return Number(/MESSAGES (\d+)/.exec(answer)?.[1]);
}

test("an account is one under both forms of its domain: for LOGIN, RCPT, aliases, the catch-all and postmaster", async () => {
  const lmtp = await connectLmtp(server.ports.lmtp!);
  let ada = 0;
  for (const [at, recipient] of [
    ASCII,
    "ADA@XN--BCHER-KVA.example.",
    '"ada"@xn--bcher-kva.example',
    "ada+lists@xn--bcher-kva.example",
    "sales@xn--bcher-kva.example",
    "postmaster",
  ].entries()) {
    expect(await deliver(lmtp, [recipient], `Subject: ${at}\r\n\r\nx\r\n`), recipient).toEqual([
      expect.stringMatching(/^250 /),
    ]);
    ada++;
  }
  expect(await deliver(lmtp, ["nobody@xn--bcher-kva.example"], "Subject: all\r\n\r\nx\r\n")).toEqual([
    expect.stringMatching(/^250 /),
  ]);
  lmtp.end();
  for (const form of [UNICODE, ASCII, "Ada@bu\u0308cher.example"]) expect(await count(form), form).toBe(ada);
  for (const form of [OTHER, "bob@b\u00fccher.example"]) expect(await count(form), form).toBe(1);
});

test("no second account of one address is made; one that is there by hand is told at start, and the exact name wins", async () => {
  for (const address of [ASCII, "bob@b\u00fccher.example"]) {
    const { code, err } = await restante(data, ["account", "add", address, "--password-stdin"], `${PASSWORD}\n`);
    expect([code, err]).toEqual([1, expect.stringContaining("exists")]);
  }
  const users = join(data, "users");
  const files = (await readdir(users)).filter((name) => name.startsWith("ada") || name.startsWith("bob"));
  const bob = files.find((name) => name.startsWith("bob"))!;
  await copyFile(join(users, bob), join(users, `${encodeURIComponent(ASCII)}.json`));
  await server.stop();
  server = await startServer(data);
  expect(server.logs()).toMatch(
    /"accounts of one address".*ada@b\u00fccher\.example|accounts of one address.*xn--bcher-kva/,
  );
  expect(await count(UNICODE)).toBe(6);
  // The file says bob's account.
  expect(await count(ASCII)).toBe(1);
});
